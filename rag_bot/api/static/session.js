// Who is signed in: the sign-in view before anything else where there are accounts, and the account's own dialog.

import { session } from "./api.js";
import { byId, toast } from "./dom.js";
import { showPeople } from "./people.js";

const view = byId("sign-in");
const account = byId("account");

// What the service tells in the address (`?sign-in=…`) when somebody comes back from the provider unsigned.
const FAILURES = {
  unreachable: "The sign-in provider can’t be reached. Try again in a moment.",
  denied: "You did not sign in there.",
  refused: "Your account there may not use this service. Ask an admin.",
  failed: "Signing in failed. Try again; if it stays so, an admin finds the reason in the service’s log.",
};
const LEFT = "rag-bot-left";

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
  bringBack();
  byId("sign-in-provider").hidden = !found.provider;
  byId("sign-in-provider-name").textContent = found.provider ?? "";
  const failure = FAILURES[new URLSearchParams(location.search).get("sign-in")] ?? "";
  if (failure) history.replaceState(null, "", location.pathname + location.hash);
  if (found.accounts && !found.principal) show(failure);
  else enter(found);
}

/** To the provider; what was typed and open is there again on coming back. */
function leave() {
  try {
    sessionStorage.setItem(LEFT, JSON.stringify({ hash: location.hash, question: byId("question").value }));
  } catch {
    // Then the page is empty on coming back.
  }
  location.assign("v1/session/oidc");
}

function bringBack() {
  try {
    const left = JSON.parse(sessionStorage.getItem(LEFT));
    sessionStorage.removeItem(LEFT);
    if (!left) return;
    if (left.hash && !location.hash) history.replaceState(null, "", left.hash);
    if (!byId("question").value) byId("question").value = left.question;
  } catch {
    // Nothing that was kept can be read: nothing is brought back.
  }
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
  byId("people-open").hidden = !accounts || !principal.permissions.includes("admin");
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

byId("sign-in-provider-go").addEventListener("click", leave);
byId("people-open").addEventListener("click", showPeople);
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
