// Who is signed in: the sign-in view before anything else where there are accounts, and the account's own dialog.

import { session } from "./api.js";
import { byId, toast } from "./dom.js";

const view = byId("sign-in");
const account = byId("account");

let onsigned = () => {};

/** Calls `onready(principal)` once it is known who asks, and again after each time that somebody has signed in. */
export async function begin(onready) {
  onsigned = onready;
  window.addEventListener("rag-bot:signed-out", () => show("Your session is over. Sign in to go on."));
  let found;
  try {
    found = await session.get();
  } catch (problem) {
    if (problem.status !== 503) return onready(null); // what is wrong shows where it is asked for
    return setTimeout(() => begin(onready), 1000 * (Number(problem.retryAfter) || 5));
  }
  if (found.accounts && !found.principal) show("");
  else enter(found);
}

function show(words) {
  if (view.open) return;
  document.querySelectorAll("dialog[open]").forEach((dialog) => dialog.close());
  byId("sign-in-note").textContent = words;
  view.showModal();
  byId("sign-in-name").focus();
}

function enter({ accounts, principal }) {
  document.body.classList.toggle("reads-only", !principal.permissions.includes("write"));
  byId("account-open").hidden = !accounts;
  byId("account-name").textContent = principal.name;
  byId("account-title").textContent = principal.name;
  const groups = principal.groups.length ? `in ${principal.groups.join(", ")}` : "in no group";
  byId("account-role").textContent = `${principal.role}, ${groups}`;
  onsigned(principal);
}

byId("sign-in-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = byId("sign-in-go");
  button.disabled = true;
  try {
    const found = await session.signIn(byId("sign-in-name").value, byId("sign-in-password").value);
    byId("sign-in-password").value = "";
    view.close();
    enter(found);
  } catch (problem) {
    byId("sign-in-note").textContent = problem.message;
    byId("sign-in-password").select();
  } finally {
    button.disabled = false;
  }
});
// Nothing lies behind it that could be used: Escape leaves it where it is.
view.addEventListener("cancel", (event) => event.preventDefault());

byId("account-open").addEventListener("click", () => {
  byId("account-note").textContent = "";
  account.showModal();
});
byId("account-close").addEventListener("click", () => account.close());
byId("password-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const [old, fresh] = [byId("password-old"), byId("password-new")];
  try {
    await session.changePassword(old.value, fresh.value);
    old.value = fresh.value = "";
    account.close();
    toast("Password changed");
  } catch (problem) {
    byId("account-note").textContent = problem.message;
  }
});
for (const [id, everywhere] of [["sign-out", false], ["sign-out-all", true]]) {
  byId(id).addEventListener("click", async () => {
    try {
      await session.signOut(everywhere);
      location.assign(location.pathname); // nothing of what was shown stays
    } catch (problem) {
      byId("account-note").textContent = problem.message;
    }
  });
}
