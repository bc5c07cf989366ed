// The chat page: what is asked, which conversation or passage is open (`#c=…`, `#d=…` in the address), and the parts around it.

import { Problem, ask, collections, conversations, documents } from "./api.js";
import { Exchange } from "./answer.js";
import { ConversationList } from "./conversations.js";
import { announce, byId, count, el, icon, isNarrow, onWidthChange, silence, toast } from "./dom.js";
import { Documents } from "./documents.js";
import { begin } from "./session.js";
import { SourcePanel } from "./source.js";

const question = byId("question");
const log = byId("log");
const exchanges = byId("exchanges");

let conversationId = null;
let running = null;
let opening = 0;

const panel = new SourcePanel({ onclose: giveFocusBack, onlayout: layOut });
const list = new ConversationList({
  ongone: (id) => (id === conversationId ? startNew() : byId("new").focus()),
  onrename: (conversation) => conversation.id === conversationId && setTitle(conversation.title),
});
const docs = new Documents({ onchange: drawDocuments, onopen: (document) => panel.openDocument(document, byId("documents-open")) });

const actions = {
  openCitation: (citation, opener) => panel.openCitation(citation, opener),
  retry: (exchange) => {
    if (running) return;
    exchange.node.remove();
    question.focus();
    submit(exchange.question);
  },
  edit: (text) => {
    question.value = text;
    grow();
    question.focus();
  },
};

// --- asking

async function submit(text) {
  if (running) return;
  const controller = new AbortController();
  running = controller;
  byId("welcome")?.remove();
  const exchange = new Exchange(text, actions);
  exchanges.append(exchange.node);
  setRunning(true);
  silence();
  scrollToEnd();
  exchange.step("Sending");
  try {
    await follow(exchange, controller.signal);
  } catch (problem) {
    if (controller.signal.aborted) exchange.stopped();
    else exchange.fail(problem instanceof Problem ? problem : new Problem({ detail: String(problem) }));
    if (running === controller) scrollToEnd();
  } finally {
    // A conversation opened meanwhile has already put another state in place.
    if (running === controller) {
      running = null;
      setRunning(false);
    }
  }
}

/** Show each event as it comes, until the whole answer is there. */
async function follow(exchange, signal) {
  for await (const { name, data } of ask(exchange.question, { conversationId, collection: byId("collection").value }, signal)) {
    const atEnd = isAtEnd();
    if (name === "status") exchange.step(data.step);
    else if (name === "sentence") {
      exchange.sentence(data);
      announce(data.text);
    } else if (name === "error") throw new Problem(data);
    else if (name === "done") {
      exchange.finish(data);
      if (data.abstained || data.blocked) announce(data.answer);
      settle(data.conversation_id);
    }
    if (atEnd) scrollToEnd();
    if (name === "done") return;
  }
  throw new Problem({ title: "The answer broke off", detail: "The service ended the connection before the answer was whole." });
}

/** The conversation of a first answer gets its place in the address, so that reloading keeps it. */
async function settle(id) {
  if (id && id !== conversationId) {
    conversationId = id;
    history.replaceState(null, "", `#c=${encodeURIComponent(id)}`);
  }
  list.select(conversationId);
  await list.refresh();
  setTitle(list.items.find((item) => item.id === conversationId)?.title);
}

function setRunning(on) {
  const hadFocus = [byId("send"), byId("stop")].includes(document.activeElement);
  byId("send").hidden = on;
  byId("stop").hidden = !on;
  exchanges.setAttribute("aria-busy", String(on));
  if (hadFocus) (on ? byId("stop") : question).focus();
}

const isAtEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < 80;

/** Down to the end, but never so far that the question asked last goes out of sight. */
function scrollToEnd() {
  const last = exchanges.lastElementChild?.querySelector(".question");
  const top = last ? last.getBoundingClientRect().top - log.getBoundingClientRect().top + log.scrollTop - 20 : Infinity;
  log.scrollTop = Math.min(top, log.scrollHeight);
}

function grow() {
  question.style.height = "auto";
  question.style.height = `${question.scrollHeight}px`;
}

function giveFocusBack(opener) {
  opener?.focus();
  // What opened the panel may be gone, or lie in the closed side list.
  if (document.activeElement !== opener) question.focus();
}

// --- conversations

const idInAddress = () => {
  const match = /^#c=(.+)$/.exec(location.hash);
  try {
    return match ? decodeURIComponent(match[1]) : null;
  } catch {
    return null;
  }
};

/** `#d=DOCUMENT&start=N&end=N`, as other programs link to a passage: the document is opened there. */
async function openPlaceInAddress() {
  const place = new URLSearchParams(location.hash.slice(1));
  const id = place.get("d");
  if (!id) return;
  const [start, end] = [Number(place.get("start")) || 0, Number(place.get("end")) || 0];
  const opener = byId("documents-open");
  try {
    const info = await documents.get(id);
    if (end <= start) return panel.openDocument(info, opener);
    const quote = await documents.text(id, start, end);
    panel.openCitation({ ...info, start, end, quote, page: null, heading: [] }, opener);
  } catch (problem) {
    toast(problem.status === 404 ? "This document is no longer in the index." : problem.message);
  }
}

function setTitle(title) {
  const shown = conversationId ? title || "Untitled conversation" : "New conversation";
  byId("chat-title").textContent = shown;
  byId("bar-title").textContent = shown;
  document.title = conversationId ? `${shown} · rag-bot` : "rag-bot";
}

async function openConversation(id) {
  running?.abort();
  running = null;
  setRunning(false);
  panel.close();
  closeSide();
  silence();
  conversationId = id;
  list.select(id);
  const turn = (opening += 1);
  if (!id) {
    setTitle();
    exchanges.replaceChildren();
    drawWelcome();
    question.focus();
    return;
  }
  try {
    const conversation = await conversations.get(id);
    if (turn !== opening) return;
    setTitle(conversation.title);
    exchanges.replaceChildren(...conversation.messages.map((message) => {
      const exchange = new Exchange(message.question, actions);
      exchange.finish(message.answer, message.thumb);
      return exchange.node;
    }));
    scrollToEnd();
  } catch (problem) {
    if (turn !== opening) return;
    const words = problem.status === 404 ? "This conversation is no longer there." : problem.message;
    exchanges.replaceChildren(el("div", { class: "notice error", role: "alert" },
      el("p", { class: "notice-label" }, icon("alert"), words),
      el("div", { class: "row" }, el("button", { type: "button", class: "button small", onclick: startNew }, icon("plus"), "New conversation"))));
    conversationId = null;
  }
}

function startNew() {
  if (location.hash) history.pushState(null, "", location.pathname + location.search);
  openConversation(null);
}

// --- the empty page

let known = null;

function drawDocuments(items) {
  known = items;
  byId("documents-count").textContent = items.length.toLocaleString("en");
  if (byId("welcome")) drawWelcome();
}

function drawWelcome() {
  if (exchanges.querySelector(".exchange")) return;
  const welcome = el("section", { id: "welcome", class: "welcome" }, el("h2", {}, "Ask your documents"));
  if (known && !known.length) {
    welcome.append(el("p", { class: "lead" }, "There are no documents yet. Drop files anywhere on this page, or choose them."),
      el("button", { type: "button", class: "button", onclick: () => byId("files").click() }, icon("upload"), "Choose files"));
  } else {
    welcome.append(el("p", { class: "lead" }, "Every sentence of an answer carries the passage that proves it. What the documents don’t say, you are told."));
  }
  if (known?.length) welcome.append(starts());
  byId("welcome")?.remove();
  exchanges.append(welcome);
}

function starts() {
  const shown = known.slice(0, 6).map((document) => el("li", {}, el("button", {
    type: "button", class: "start", dir: "auto", onclick: (event) => panel.openDocument(document, event.currentTarget),
  }, icon("file"), el("span", {}, document.title || document.source))));
  const all = known.length > shown.length
    ? el("button", { type: "button", class: "link", onclick: () => docs.show() }, `All ${count(known.length, "document")}`) : null;
  return el("div", {}, el("p", { class: "eyebrow" }, `${count(known.length, "document")} to ask`), el("ul", { class: "starts" }, shown), all);
}

/** What may be asked alone is offered beside the question box. */
async function drawCollections() {
  const box = byId("collection");
  let names = [];
  try {
    names = await collections();
  } catch {
    // Without the list all documents are asked.
  }
  const chosen = names.includes(box.value) ? box.value : "";
  box.replaceChildren(el("option", { value: "" }, "All documents"), ...names.map((name) => el("option", { value: name }, name)));
  box.value = chosen;
  byId("collection-choice").hidden = !names.length;
}

// --- the side list on a narrow page

const side = byId("side");
let sideOpen = false;

/** On a narrow page the side list and the source lie over the chat: what is below them is out of reach then. */
function layOut() {
  const narrow = isNarrow();
  const sideOver = narrow && sideOpen;
  const panelOver = narrow && panel.isOpen;
  document.body.classList.toggle("with-side", sideOver);
  document.body.classList.toggle("with-source", panel.isOpen);
  byId("shade").hidden = !sideOver && !panelOver;
  byId("side-open").setAttribute("aria-expanded", String(sideOver));
  byId("chat").inert = sideOver || panelOver;
  side.inert = narrow && !sideOver;
  panel.node.setAttribute("role", panelOver ? "dialog" : "complementary");
  if (panelOver) panel.node.setAttribute("aria-modal", "true");
  else panel.node.removeAttribute("aria-modal");
}

function openSide() {
  sideOpen = true;
  layOut();
  byId("side-close").focus();
}

function closeSide() {
  const had = isNarrow() && side.contains(document.activeElement);
  sideOpen = false;
  layOut();
  if (had) byId("side-open").focus();
}

// --- light and dark

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const theme = () => document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");

function nameTheme() {
  byId("theme-label").textContent = theme() === "dark" ? "Light theme" : "Dark theme";
}

function toggleTheme() {
  const other = theme() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = other;
  try {
    localStorage.setItem("rag-bot-theme", other);
  } catch {
    // It holds until the page is left.
  }
  nameTheme();
}

// --- what the buttons and keys do

byId("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = question.value.trim();
  if (!text || running) return;
  question.value = "";
  grow();
  submit(text);
});
question.addEventListener("keydown", (event) => {
  // While an input method is composing a word, Enter belongs to it.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  byId("composer").requestSubmit();
});
question.addEventListener("input", grow);
byId("stop").addEventListener("click", () => running?.abort());
byId("new").addEventListener("click", startNew);
byId("new-narrow").addEventListener("click", startNew);
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  question.focus();
});
byId("theme").addEventListener("click", toggleTheme);
byId("side-open").addEventListener("click", openSide);
byId("side-close").addEventListener("click", closeSide);
byId("shade").addEventListener("click", () => (sideOpen ? closeSide() : panel.close()));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]")) return;
  if (document.body.classList.contains("with-side")) closeSide();
  else panel.close();
});
list.list.addEventListener("click", (event) => {
  if (event.target.closest("a")?.dataset.id === conversationId) closeSide();
});
window.addEventListener("hashchange", () => openConversation(idInAddress()).then(openPlaceInAddress));
dark.addEventListener("change", nameTheme);
onWidthChange(closeSide);

nameTheme();
layOut();
drawWelcome();
let opened = false;
begin(() => {
  list.refresh();
  docs.refresh();
  drawCollections();
  // Somebody who signs in again in the middle finds what was there.
  // So does somebody who has asked already, before it was known who asks.
  if (!opened && !exchanges.querySelector(".exchange")) openConversation(idInAddress()).then(openPlaceInAddress);
  opened = true;
});
