// One question and its answer on the page: steps while waiting, sentences with marks, refusals, errors, and what to do next.

import { feedback } from "./api.js";
import { announce, copy, count, el, icon, iconButton, toast } from "./dom.js";

const STEPS = {
  search: "Searching the documents",
  read: "Reading what was found",
  answer: "Answering",
};

/** `Title › Heading › Subheading, page 3`, without a heading that only repeats the title; a file's own terms come before the page. */
export function placeOf({ heading = [], page = null, place = null, title = "" }, withTitle = true) {
  const path = heading.filter((part, index) => !(index === 0 && part === title));
  const parts = withTitle ? [title, ...path] : path;
  return [parts.join(" › "), place || (page === null || page === undefined ? "" : `page ${page}`)].filter(Boolean).join(", ");
}

const squeeze = (text) => (text ?? "").trim().replace(/\s+/g, " ");

const cellsOf = (line) => {
  const cells = line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "").split(/(?<!\\)\|/);
  return cells.map((cell) => cell.trim().replaceAll("\\|", "|"));
};

const ITEM = /^(?:[-*•–]|\d{1,3}[.)])\s/;
const RULE = /^\s*\|?(\s*:?-+:?\s*\|)*\s*:?-+:?\s*\|?\s*$/;

/** The rows of a Markdown table, its header first; null where the text is not one. */
export function tableRows(text) {
  const lines = text.trim().split("\n");
  if (lines.length < 2 || !lines[1].includes("-") || !RULE.test(lines[1])) return null;
  if (!lines.every((line) => line.includes("|"))) return null;
  return [lines[0], ...lines.slice(2)].map(cellsOf);
}

function table([header, ...rows]) {
  const line = (tag, cells) => el("tr", {}, header.map((_, i) => el(tag, { dir: "auto", scope: tag === "th" ? "col" : null }, cells[i] ?? "")));
  const head = header.some(Boolean) ? el("thead", {}, line("th", header)) : null;
  return el("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "Table" },
    el("table", {}, head, el("tbody", {}, rows.map((cells) => line("td", cells)))));
}

/** Answer, marks and sources as plain text, for pasting elsewhere. */
export function plainText(answer) {
  const sources = answer.citations.map((c) => `[${c.n}] ${placeOf(c)} (${c.source})\n    “${c.quote.replaceAll("\n", "\n    ")}”`);
  return [answer.answer, ...(sources.length ? ["", "Sources", ...sources] : [])].join("\n");
}

/** What happened in words, framed so that it cannot be taken for an answer. */
function notice(kind, symbol, label, ...children) {
  return el("div", { class: `notice ${kind}` }, el("p", { class: "notice-label" }, icon(symbol), label), children);
}

export class Exchange {
  /** `actions`: openCitation(citation, opener), retry(question), edit(question). */
  constructor(question, actions) {
    this.question = question;
    this.actions = actions;
    this.citations = new Map();
    this.shown = [];
    this.paragraph = null;
    this.body = el("div", { class: "answer-body" });
    this.foot = el("div", { class: "answer-foot" });
    this.status = el("p", { class: "step" });
    this.understood = el("p", { class: "understood", dir: "auto", hidden: true });
    this.node = el("article", { class: "exchange" },
      el("h2", { class: "question", dir: "auto" }, question), this.understood,
      el("div", { class: "answer" }, this.body, this.status, this.foot));
    this.status.hidden = true;
  }

  step(name) {
    const words = STEPS[name] ?? name.replaceAll("_", " ").replace(/^./, (letter) => letter.toUpperCase());
    this.status.hidden = false;
    this.status.replaceChildren(el("span", { class: "pulse", "aria-hidden": "true" }), `${words}…`);
  }

  /** A released sentence; its citations are whole ones while streaming and marks in a kept answer. */
  sentence({ text, citations, supported }) {
    for (const citation of citations) if (typeof citation === "object") this.citations.set(citation.n, citation);
    const marks = citations.map((citation) => this.mark(typeof citation === "object" ? citation.n : citation));
    const rows = tableRows(text);
    const unproved = supported === false ? el("span", { class: "unproved" }, "not proved") : null;
    if (rows) {
      this.paragraph = null;
      this.body.append(el("div", { class: "table-answer" }, table(rows), el("div", { class: "table-marks" }, marks, unproved)));
    } else {
      // An item of a list that an LLM wrote begins a line of its own.
      if (!this.paragraph || ITEM.test(text)) {
        this.paragraph = el("p", { class: "sentences", dir: "auto" });
        this.body.append(this.paragraph);
      }
      this.paragraph.append(el("span", { class: unproved ? "sentence doubtful" : "sentence" }, text), ...marks, unproved ?? "", " ");
    }
    this.shown.push(text);
  }

  mark(n) {
    const citation = this.citations.get(n);
    const label = citation ? `Source ${n}: ${placeOf(citation)}` : `Source ${n}`;
    return el("button", {
      type: "button", class: "mark", "data-n": n, "aria-label": label, title: citation ? placeOf(citation) : null, disabled: !citation,
      onclick: (event) => this.actions.openCitation(this.citations.get(n), event.currentTarget),
    }, `[${n}]`);
  }

  /** The whole answer has come, or is read back from a conversation, with the thumb it was given (1, -1 or null). */
  finish(answer, thumb = null) {
    this.status.hidden = true;
    this.answerId = answer.answer_id;
    for (const citation of answer.citations) this.citations.set(citation.n, citation);
    this.node.classList.toggle("refused", answer.abstained);
    const same = squeeze(answer.question) === squeeze(this.question);
    this.understood.hidden = same || !answer.question;
    this.understood.replaceChildren(same ? "" : `Understood as: ${answer.question}`);
    if (answer.blocked) this.showBlocked(answer);
    else if (answer.abstained) this.showRefusal(answer);
    else this.showSentences(answer);
    this.foot.replaceChildren(...[
      this.notes(answer),
      answer.abstained || answer.blocked ? null : this.sources(answer.citations),
      this.toolbar(answer, thumb),
    ].filter(Boolean));
  }

  clearBody() {
    this.body.replaceChildren();
    this.paragraph = null;
    this.shown = [];
  }

  showSentences(answer) {
    const same = this.shown.length === answer.sentences.length && answer.sentences.every((s, i) => s.text === this.shown[i]);
    const proved = answer.sentences.every((s) => s.supported !== false);
    // What is already on the page stays, so that a focused mark keeps its focus.
    if (same && proved) return;
    this.clearBody();
    for (const sentence of answer.sentences) this.sentence(sentence);
    if (!answer.sentences.length) this.sentence({ text: answer.answer, citations: [] });
  }

  showRefusal(answer) {
    this.clearBody();
    const closest = answer.citations.map((citation) => el("li", {}, el("button", {
      type: "button", class: "link closest", dir: "auto", "aria-label": `Open ${placeOf(citation)}`,
      onclick: (event) => this.actions.openCitation(citation, event.currentTarget),
    }, placeOf(citation))));
    const words = closest.length ? answer.answer.replace(/\s*Closest:[^]*$/, "") : answer.answer;
    this.body.append(notice("none", "none", "Not in the documents",
      el("p", { dir: "auto" }, words.replace(/\s*\[\d+\]/g, "")),
      closest.length ? [el("p", { class: "notice-sub" }, "The closest sections"), el("ul", { class: "closest-list" }, closest)] : null));
  }

  showBlocked(answer) {
    this.clearBody();
    this.body.append(notice("blocked", "shield", "Not answered",
      el("p", { dir: "auto" }, answer.answer),
      el("p", { class: "notice-sub" }, `Refused by the rail “${answer.blocked.rail}” (${answer.blocked.reason})`),
      this.againButtons()));
  }

  fail(problem) {
    this.status.hidden = true;
    const wait = Number(problem.retryAfter) > 0 ? ` Try again in ${problem.retryAfter} s.` : "";
    const trace = problem.traceId ? el("p", { class: "muted" }, `For whoever runs this service: ${problem.traceId}`) : null;
    this.foot.replaceChildren(notice("error", "alert", problem.title, el("p", {}, problem.message + wait), trace, this.againButtons()));
    announce(`${problem.title}. ${problem.message}`);
  }

  stopped() {
    this.status.hidden = true;
    this.foot.replaceChildren(notice("stopped", "stop", "Stopped", this.againButtons()));
  }

  againButtons() {
    return el("div", { class: "row" },
      el("button", { type: "button", class: "button small", onclick: () => this.actions.retry(this) }, icon("retry"), "Try again"),
      el("button", { type: "button", class: "button small", onclick: () => this.actions.edit(this.question) }, icon("edit"), "Change the question"));
  }

  /** What the user should know of how the answer came about: an LLM that failed, sentences left out. */
  notes({ notes }) {
    if (!notes?.length) return null;
    return el("ul", { class: "notes", "aria-label": "Notes" }, notes.map((note) => el("li", { dir: "auto" }, note)));
  }

  sources(citations) {
    if (!citations.length) return null;
    return el("ul", { class: "sources", "aria-label": "Sources" }, citations.map((citation) => el("li", {}, el("button", {
      type: "button", class: "source-link", "aria-label": `Open source ${citation.n}: ${placeOf(citation)}`,
      onclick: (event) => this.actions.openCitation(citation, event.currentTarget),
    },
    el("span", { class: "source-n" }, String(citation.n)),
    el("span", { class: "source-text", dir: "auto" },
      el("span", { class: "source-name" }, citation.title || citation.source),
      el("span", { class: "source-where" }, placeOf(citation, false)))))));
  }

  toolbar(answer, thumb) {
    const thumbs = answer.answer_id ? this.thumbs(answer.answer_id, thumb) : { buttons: [], form: null };
    const copyAll = async () => {
      try {
        await copy(plainText(answer));
        toast("Answer and sources copied");
      } catch {
        toast("The browser did not allow copying");
      }
    };
    return el("div", {},
      el("div", { class: "toolbar" }, iconButton("copy", "Copy answer and sources", copyAll), thumbs.buttons, this.details(answer)),
      thumbs.form);
  }

  thumbs(answerId, given) {
    const form = el("form", { class: "why", hidden: true });
    const field = el("input", { class: "field", type: "text", maxlength: "1000", dir: "auto", autocomplete: "off", "aria-label": "Why (optional)" });
    let chosen = given ?? 0;
    const send = async (thumb, reason) => {
      try {
        await feedback(answerId, thumb, reason);
        return true;
      } catch (problem) {
        toast(problem.message);
        return false;
      }
    };
    const choose = async (thumb, button) => {
      if (!(await send(thumb))) return;
      chosen = thumb;
      for (const other of [up, down]) other.setAttribute("aria-pressed", String(other === button));
      field.placeholder = thumb > 0 ? "What was helpful? (optional)" : "What was wrong? (optional)";
      form.hidden = false;
      field.focus();
    };
    const up = iconButton("up", "Good answer", () => choose(1, up), { "aria-pressed": String(chosen === 1) });
    const down = iconButton("down", "Bad answer", () => choose(-1, down), { "aria-pressed": String(chosen === -1) });
    const close = () => {
      form.hidden = true;
      (chosen > 0 ? up : down).focus();
    };
    form.append(field, el("button", { class: "button small" }, "Send"), el("button", { type: "button", class: "button small plain", onclick: close }, "Skip"));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (field.value.trim() && !(await send(chosen, field.value.trim()))) return;
      close();
      toast("Thank you");
    });
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      close();
    });
    return { buttons: [up, down], form };
  }

  details(answer) {
    const rows = [["Question as understood", answer.question], ["Answered by", answer.model]];
    const { prompt_tokens: read, completion_tokens: written, cost } = answer.usage ?? {};
    if (read || written) rows.push(["Tokens", `${count(read, "token")} read, ${count(written, "token")} written${cost ? `, $${cost.toPrecision(2)}` : ""}`]);
    const left = Object.entries(answer.counts ?? {}).filter(([, number]) => number);
    if (left.length) rows.push(["Counted", left.map(([name, number]) => `${name.replaceAll("_", " ")}: ${number}`).join(" · ")]);
    const timings = Object.entries(answer.timings_ms ?? {});
    if (timings.length) rows.push(["Time", timings.map(([step, ms]) => `${step} ${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`).join(" · ")]);
    return el("details", { class: "made" }, el("summary", {}, "How it was made"),
      el("dl", {}, rows.filter(([, value]) => value).map(([name, value]) => [el("dt", {}, name), el("dd", { dir: "auto" }, value)])));
  }
}
