// What admins manage: who may sign in, as what, in which groups; the API keys of programs.

import { keys, people } from "./api.js";
import { byId, confirmDelete, copy, el, iconButton } from "./dom.js";

const view = byId("people");

export function showPeople() {
  say("");
  byId("key-made").hidden = true;
  view.showModal();
  refresh();
}

const say = (words) => {
  byId("people-note").textContent = words;
  byId("people-note").hidden = !words;
};

/** Do it, show what is there then; what goes wrong is said above the lists. */
async function attempt(work) {
  try {
    await work();
    say("");
  } catch (problem) {
    say(problem.message);
  }
  await refresh();
}

async function refresh() {
  try {
    const [users, found] = await Promise.all([people.list(), keys.list()]);
    const valid = found.filter((key) => key.valid);
    byId("people-list").replaceChildren(...users.map(personRow));
    byId("keys-list").replaceChildren(...valid.map(keyRow));
    byId("keys-none").hidden = valid.length > 0;
  } catch (problem) {
    say(problem.message);
  }
}

const listed = (text) => text.split(",").map((name) => name.trim()).filter(Boolean);
const inGroups = (groups) => (groups.length ? `in ${groups.join(", ")}` : "in no group");
const row = (name, about, ...buttons) => el("li", { class: "document managed" },
  el("div", { class: "document-text" }, el("span", { class: "document-title", dir: "auto" }, name), el("span", { class: "document-source", dir: "auto" }, about)), buttons);

function personRow(user) {
  const local = user.issuer === "local";
  const about = [user.role, inGroups(user.groups), local ? "" : `by ${user.issuer}`, user.disabled ? "may not come in" : ""].filter(Boolean).join(", ");
  const role = el("select", { class: "select", "aria-label": `Role of ${user.name}`, onchange: (event) => attempt(() => people.change(user.id, { role: event.target.value })) },
    ["reader", "editor", "admin"].map((name) => el("option", { value: name, selected: name === user.role }, name)));
  const groups = iconButton("edit", `Groups of ${user.name}`, (event) => editGroups(user, event.currentTarget.closest("li")));
  const state = el("button", { type: "button", class: "button small", onclick: () => attempt(() => people.change(user.id, { disabled: !user.disabled })) },
    user.disabled ? "Let in" : "Keep out");
  // The provider says at each sign-in what role and groups somebody has.
  return row(user.name, about, local ? [role, groups] : [], state, iconButton("trash", `Remove ${user.name}`, async () => {
    if (await confirmDelete(`Remove ${user.name}?`, "Their sessions end. Nobody sees their conversations any more.", "Remove")) await attempt(() => people.remove(user.id));
  }));
}

function editGroups(user, item) {
  const field = el("input", { class: "field", "aria-label": `Groups of ${user.name}`, value: user.groups.join(", "), spellcheck: "false" });
  const form = el("form", { class: "rename", onsubmit: (event) => {
    event.preventDefault();
    attempt(() => people.change(user.id, { groups: listed(field.value) }));
  } }, field, el("button", { type: "submit", class: "button small" }, "Save"));
  item.replaceChildren(form);
  field.focus();
}

function keyRow(key) {
  const until = key.expires_at ? `until ${key.expires_at.slice(0, 10)}` : "until it is revoked";
  const used = key.used_at ? `last used ${key.used_at.slice(0, 10)}` : "never used";
  return row(`${key.name} (${key.id}…)`, [key.role, inGroups(key.groups), until, used].join(", "), iconButton("trash", `Revoke ${key.name}`, async () => {
    if (await confirmDelete(`Revoke ${key.name}?`, "Programs that use it are refused from now on.", "Revoke")) await attempt(() => keys.revoke(key.id));
  }));
}

const values = (form) => Object.fromEntries(new FormData(form));

byId("people-add").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  const { name, password, role, groups } = values(form);
  attempt(async () => {
    await people.add({ name, password, role, groups: listed(groups) });
    form.reset();
    form.closest("details").open = false;
  });
});
byId("keys-add").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  const { name, role, groups, days } = values(form);
  attempt(async () => {
    const made = await keys.create({ name, role, groups: listed(groups), ...(days ? { days: Number(days) } : {}) });
    form.reset();
    form.closest("details").open = false;
    byId("key-text").textContent = made.key;
    byId("key-copy").textContent = "Copy";
    byId("key-made").hidden = false;
    byId("key-copy").focus();
  });
});
byId("key-copy").addEventListener("click", async () => {
  const said = await copy(byId("key-text").textContent).then(() => "Copied", () => "Copy it by hand");
  byId("key-copy").textContent = said;
});
byId("people-close").addEventListener("click", () => view.close());
view.addEventListener("close", () => { byId("key-text").textContent = ""; });
