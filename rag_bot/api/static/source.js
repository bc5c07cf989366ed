// The source panel: the document's own text around a passage, with the quote marked; of a PDF first the page, with it boxed.
//
// Offsets of the service count code points and strings of JavaScript count UTF-16 units, so text is cut by code points only.

import { documents } from "./api.js";
import { placeOf } from "./answer.js";
import { byId, el, icon } from "./dom.js";
import { hasPages, Pages, pageProblem } from "./pages.js";

const AROUND = 2000;
const MORE = 6000;
const PATIENCE = 2000; // milliseconds

export class SourcePanel {
  /** `onclose(opener)`: give the focus back; `onlayout()`: the panel has come or gone. */
  constructor({ onclose, onlayout }) {
    this.node = byId("source");
    this.body = byId("source-body");
    this.onclose = onclose;
    this.onlayout = onlayout;
    this.opener = null;
    this.loading = null;
    this.shown = null; // {stretch, citation, pages} where both views are to be had
    byId("view-page").addEventListener("click", () => this.view("page"));
    byId("view-text").addEventListener("click", () => this.view("text"));
    byId("source-close").addEventListener("click", () => this.close());
    this.node.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.close();
    });
  }

  get isOpen() {
    return !this.node.hidden;
  }

  /** Show the passage that a citation names; `opener` gets the focus back. */
  async openCitation(citation, opener) {
    this.show("Source", citation.title || citation.source, placeOf(citation, false), citation, opener);
    await this.load(citation.document_id, Math.max(0, citation.start - AROUND), citation.end + AROUND, citation);
  }

  /** Show a document from its beginning. */
  async openDocument(document, opener) {
    this.show("Document", document.title || document.source, "", document, opener);
    await this.load(document.document_id, 0, AROUND * 2, null);
  }

  show(kind, title, place, { document_id: id, source }, opener) {
    this.forgetOpener();
    this.opener = opener;
    opener?.setAttribute("aria-expanded", "true");
    byId("source-kind").textContent = kind;
    byId("source-title").textContent = title;
    byId("source-place").textContent = place;
    byId("source-file").textContent = source;
    byId("source-file").title = source;
    byId("source-download").href = documents.file(id);
    this.shown = null;
    byId("source-views").hidden = true;
    this.body.replaceChildren(el("p", { class: "step" }, el("span", { class: "pulse", "aria-hidden": "true" }), "Opening the document…"));
    this.node.hidden = false;
    this.onlayout();
    byId("source-title").focus({ preventScroll: true });
  }

  close() {
    if (!this.isOpen) return;
    this.loading?.abort();
    this.node.hidden = true;
    this.onlayout();
    const opener = this.opener;
    this.forgetOpener();
    this.onclose(opener);
  }

  forgetOpener() {
    this.opener?.removeAttribute("aria-expanded");
    this.opener = null;
  }

  async load(id, from, to, citation) {
    this.loading?.abort();
    this.loading = new AbortController();
    const { signal } = this.loading;
    try {
      const [info, text] = await Promise.all([documents.get(id), documents.text(id, from, to, signal)]);
      if (signal.aborted) return;
      const stretch = new Stretch(id, from, text, info.characters);
      if (!(await this.drawPage(info, stretch, citation, signal)) && !signal.aborted) this.draw(stretch, citation);
    } catch (problem) {
      if (problem.name === "AbortError" || signal.aborted) return;
      const gone = problem.status === 404 ? "This document is no longer in the index." : problem.message;
      this.body.replaceChildren(this.warning(gone), ...this.kept(citation));
    }
  }

  /** Show the page that the quote stands on; false where its text must do: there are no pages, or other words there now.
   *  Where finding the place takes long (a scan is read once more), the text is shown, and the page is offered beside it. */
  async drawPage(info, stretch, citation, signal) {
    if (!citation || !hasPages(info)) return false;
    if (stretch.cut(citation.start, citation.end).inside !== citation.quote) return false;
    let late = false;
    const patience = setTimeout(() => {
      late = true;
      this.draw(stretch, citation);
    }, PATIENCE);
    try {
      const places = await documents.boxes(info.document_id, citation.start, citation.end, signal);
      if (!places.length || signal.aborted) return late || signal.aborted;
      this.shown = { stretch, citation, pages: new Pages(info, places) };
      clearTimeout(patience);
      await this.view(late ? "text" : "page");
    } catch (problem) {
      if (signal.aborted) throw problem;
      this.drawInstead(stretch, citation, problem);
    } finally {
      clearTimeout(patience);
    }
    return true;
  }

  /** Show the `page` or the `text`. */
  async view(kind) {
    const shown = this.shown;
    byId("source-views").hidden = false;
    for (const each of ["page", "text"]) byId(`view-${each}`).setAttribute("aria-pressed", String(each === kind));
    if (kind === "text") return this.draw(shown.stretch, shown.citation);
    this.body.replaceChildren(shown.pages.node);
    try {
      await shown.pages.draw();
      if (shown === this.shown) shown.pages.reveal(this.body);
    } catch (problem) {
      if (shown === this.shown) this.drawInstead(shown.stretch, shown.citation, problem);
    }
  }

  /** Show the text, as the page can't be. */
  drawInstead(stretch, citation, problem) {
    this.shown = null;
    byId("source-views").hidden = true;
    this.draw(stretch, citation);
    this.body.prepend(el("p", { class: "muted page-note", role: "status" }, pageProblem(problem)));
  }

  draw(stretch, citation) {
    const { before, inside, after } = citation ? stretch.cut(citation.start, citation.end) : { before: stretch.text, inside: "", after: "" };
    const proved = citation && inside === citation.quote;
    const mark = proved ? el("mark", { id: "quote", tabindex: "-1" }, inside) : null;
    const head = document.createTextNode(before);
    const tail = document.createTextNode(mark ? after : inside + after);
    const page = el("div", { class: "page", dir: "auto" }, head, mark, tail);
    const earlier = this.more("Show more before", stretch.from > 0, async (button) => {
      const text = await stretch.earlier();
      const height = this.body.scrollHeight;
      head.data = text + head.data;
      button.hidden = stretch.from === 0;
      this.body.scrollTop += this.body.scrollHeight - height;
    });
    const later = this.more("Show more after", !stretch.atEnd, async (button) => {
      tail.data += await stretch.later();
      button.hidden = stretch.atEnd;
    });
    const changed = citation && !proved ? [this.warning("The document has changed since this answer was given."), ...this.kept(citation)] : [];
    const now = changed.length ? [el("h3", { class: "eyebrow" }, "The text at this place now")] : [];
    this.body.replaceChildren(...changed, ...now, earlier, page, later);
    this.body.scrollTop = 0;
    if (mark) {
      const offset = mark.getBoundingClientRect().top - this.body.getBoundingClientRect().top;
      this.body.scrollTop = offset - this.body.clientHeight * 0.3;
    }
  }

  more(label, visible, load) {
    const button = el("button", { type: "button", class: "button small more" }, label);
    button.hidden = !visible;
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        await load(button);
      } catch (problem) {
        button.after(this.warning(problem.message));
      }
      button.disabled = false;
      (button.hidden ? this.body : button).focus({ preventScroll: true });
    });
    return button;
  }

  warning(text) {
    return el("div", { class: "notice error", role: "alert" }, el("p", { class: "notice-label" }, icon("alert"), text));
  }

  kept(citation) {
    if (!citation) return [];
    return [el("h3", { class: "eyebrow" }, "The quote as it was kept"), el("blockquote", { class: "page", dir: "auto" }, citation.quote)];
  }
}

/** The loaded stretch of a document's text; `from` and `to` count code points. */
class Stretch {
  constructor(id, from, text, characters) {
    this.id = id;
    this.from = from;
    this.text = text;
    this.to = from + [...text].length;
    this.characters = characters;
  }

  get atEnd() {
    return this.to >= this.characters;
  }

  cut(start, end) {
    const points = [...this.text];
    const part = (a, b) => points.slice(Math.max(0, a - this.from), Math.max(0, b - this.from)).join("");
    return { before: part(this.from, start), inside: part(start, end), after: part(end, this.to) };
  }

  async earlier() {
    const start = Math.max(0, this.from - MORE);
    const text = await documents.text(this.id, start, this.from);
    this.from = start;
    return text;
  }

  async later() {
    const text = await documents.text(this.id, this.to, this.to + MORE);
    this.to += [...text].length;
    if (!text) this.characters = this.to;
    return text;
  }
}
