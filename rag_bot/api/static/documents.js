// Documents: what is in the index, adding files by choosing or dropping them, deleting.

import { documents } from "./api.js";
import { byId, confirmDelete, count, el, icon, iconButton, toast } from "./dom.js";

const SHOWN = 200;
const FILTER_FROM = 12;

export class Documents {
  /** `onchange(items)`: the documents are known or have changed; `onopen(document)`: one is to be read. */
  constructor({ onchange, onopen }) {
    this.dialog = byId("documents");
    this.list = byId("documents-list");
    this.filter = byId("documents-filter");
    this.note = byId("documents-note");
    this.uploads = byId("uploads");
    this.onchange = onchange;
    this.onopen = onopen;
    this.items = [];
    this.queue = Promise.resolve();
    byId("documents-open").addEventListener("click", () => this.show());
    byId("documents-close").addEventListener("click", () => this.dialog.close());
    byId("upload").addEventListener("click", () => byId("files").click());
    byId("attach").addEventListener("click", () => byId("files").click());
    byId("files").addEventListener("change", (event) => {
      this.add([...event.target.files]);
      event.target.value = "";
    });
    this.filter.addEventListener("input", () => this.draw());
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
    this.dialog.addEventListener("close", () => this.uploads.querySelectorAll(".settled").forEach((row) => row.remove()));
    this.acceptDrops();
  }

  show() {
    if (!this.dialog.open) this.dialog.showModal();
    this.refresh();
  }

  async refresh() {
    try {
      this.items = await documents.list();
      this.items.sort((a, b) => (a.title || a.source).localeCompare(b.title || b.source));
      this.note.hidden = true;
      this.draw();
      this.onchange(this.items);
    } catch (problem) {
      this.note.textContent = problem.message;
      this.note.hidden = false;
      // The service is up before its models are: it says when to look again.
      clearTimeout(this.again);
      if (problem.status === 503) this.again = setTimeout(() => this.refresh(), 1000 * (Number(problem.retryAfter) || 5));
    }
  }

  draw() {
    const wanted = this.filter.value.trim().toLocaleLowerCase();
    const found = this.items.filter((item) => `${item.title}\n${item.source}`.toLocaleLowerCase().includes(wanted));
    this.filter.hidden = this.items.length < FILTER_FROM;
    this.list.replaceChildren(...found.slice(0, SHOWN).map((item) => this.row(item)));
    const more = found.length - SHOWN;
    const words = more > 0 ? `${count(more, "more document")}: type above to find one.` : "No document has these words in its name.";
    this.note.textContent = this.items.length ? words : "No documents yet.";
    this.note.hidden = found.length > 0 && more <= 0;
  }

  row(item) {
    const title = item.title || item.source;
    const open = () => {
      this.dialog.close();
      this.onopen(item);
    };
    return el("li", { class: "document" },
      el("button", { type: "button", class: "document-open", onclick: open },
        icon("file"),
        el("span", { class: "document-text", dir: "auto" },
          el("span", { class: "document-title" }, title),
          el("span", { class: "document-source" }, item.source))),
      el("span", { class: "document-count" }, count(item.chunks, "passage")),
      iconButton("trash", `Delete ${title}`, () => this.remove(item)));
  }

  async remove(item) {
    if (!(await confirmDelete("Delete this document?", `“${item.title || item.source}” will no longer be searched or quoted.`))) return;
    try {
      await documents.remove(item.document_id);
      toast("Document deleted");
    } catch (problem) {
      toast(problem.message);
    }
    await this.refresh();
    byId("documents-close").focus();
  }

  /** Add files one after the other: the index has one writer. */
  add(files) {
    if (!files.length) return;
    this.show();
    const rows = files.map((file) => {
      const state = el("span", { class: "upload-state" }, "Waiting");
      const row = el("li", { class: "upload" }, icon("file"), el("span", { class: "upload-name", dir: "auto" }, file.name), state);
      this.uploads.append(row);
      return { file, row, state };
    });
    for (const entry of rows) this.queue = this.queue.then(() => this.upload(entry));
    this.queue = this.queue.then(() => this.refresh());
  }

  async upload({ file, row, state }) {
    state.replaceChildren(el("span", { class: "pulse", "aria-hidden": "true" }), "Reading…");
    let outcome;
    try {
      if (file.isFolder) throw new Error("a folder can't be added here; choose the files in it");
      outcome = outcomeOf(await documents.upload(file));
    } catch (problem) {
      outcome = { kind: "failed", words: `Failed: ${problem.message}` };
    }
    row.classList.add("settled", outcome.kind);
    row.firstChild.replaceWith(icon(outcome.kind === "failed" ? "alert" : "check"));
    state.textContent = outcome.words;
  }

  acceptDrops() {
    const overlay = byId("drop");
    const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
    window.addEventListener("dragover", (event) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      overlay.hidden = false;
    });
    window.addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) overlay.hidden = true;
    });
    window.addEventListener("drop", (event) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      overlay.hidden = true;
      this.add(filesOf(event.dataTransfer));
    });
  }
}

function outcomeOf(entry) {
  const passages = count(entry.chunks ?? 0, "passage");
  const note = entry.reason ? `; ${entry.reason}` : "";
  const words = { added: `Added, ${passages}${note}`, replaced: `Replaced, ${passages}${note}`, unchanged: "Unchanged: it is already here" }[entry.status];
  if (words) return { kind: "done", words };
  if (entry.job_id) return { kind: "done", words: "Taken; it is listed once it has been read" };
  return { kind: "failed", words: `${entry.status === "quarantined" ? "Set aside" : "Failed"}: ${entry.reason ?? "no reason given"}` };
}

/** The dropped files; a folder comes as an entry that says so, since its bytes can't be sent. */
function filesOf(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === "file");
  return items.map((item) => {
    const entry = item.webkitGetAsEntry?.();
    return entry?.isDirectory ? { name: entry.name, isFolder: true } : item.getAsFile();
  }).filter(Boolean);
}
