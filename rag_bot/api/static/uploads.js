// Files on their way into the index: each is sent, waits for its turn, and is read; a row for each says how far it is.

import { documents, jobs } from "./api.js";
import { count, el, icon, iconButton } from "./dom.js";

const KEPT = "uploads";
const AGAIN_MS = 2000;

export class Uploads {
  /** `list` gets a row for each file; `onchange()`: something was taken in. */
  constructor(list, onchange) {
    this.list = list;
    this.onchange = onchange;
    this.sending = Promise.resolve();
    this.following = Promise.resolve();
    this.resume();
  }

  /** Send files one after the other. They are taken in in that order, so it is enough to follow one at a time. */
  add(files) {
    const rows = files.map((file) => ({ file, row: this.row(file.name) }));
    for (const { file, row } of rows) this.sending = this.sending.then(() => this.send(file, row));
  }

  /** The rows of what has ended are no longer needed. */
  clear() {
    this.list.querySelectorAll(".settled").forEach((row) => row.remove());
  }

  /** What was sent before the page was loaded again. */
  resume() {
    for (const { id, name } of kept()) this.follow(id, this.row(name));
  }

  row(name) {
    const state = el("span", { class: "upload-state" }, "Waiting to be sent");
    const bar = el("progress", { class: "upload-bar", "aria-label": `Progress of ${name}`, hidden: true });
    const stop = iconButton("close", `Cancel ${name}`, () => {}, { hidden: true });
    const node = el("li", { class: "upload" },
      icon("file"), el("span", { class: "upload-name", dir: "auto" }, name), stop, state, bar);
    this.list.append(node);
    return { node, state, bar, stop };
  }

  async send(file, row) {
    row.state.textContent = "Sending…";
    try {
      if (file.isFolder) throw new Error("a folder can't be added here; choose the files in it");
      const job = await documents.upload(file);
      keep([...kept(), { id: job.job_id, name: job.name }]);
      this.follow(job.job_id, row);
    } catch (problem) {
      settle(row, "failed", `Failed: ${problem.message}`);
    }
  }

  follow(id, row) {
    row.state.textContent = "Waiting for its turn";
    row.stop.hidden = false;
    row.stop.addEventListener("click", () => this.cancel(id, row));
    this.following = this.following.then(() => this.show(id, row));
  }

  async show(id, row) {
    let job = null;
    while (!job?.ended_at) {
      try {
        for await (job of jobs.follow(id)) draw(row, job);
      } catch (problem) {
        if (problem.status === 404) {
          forget(id);
          return settle(row, "failed", `Failed: ${problem.message}`);
        }
        // The service stops or the network is gone; what was sent is on its disk.
        row.state.textContent = "Waiting for the service";
      }
      if (!job?.ended_at) await new Promise((go) => setTimeout(go, AGAIN_MS));
    }
    forget(id);
    const { kind, words } = outcomeOf(job);
    settle(row, kind, words);
    this.onchange();
  }

  async cancel(id, row) {
    row.stop.disabled = true;
    try {
      await jobs.cancel(id);
      // One that waits is followed only when its turn comes: say it now.
      settle(row, "cancelled", "Cancelled");
    } catch {
      row.stop.disabled = false; // it is over, which its row says in a moment
    }
  }
}

function draw(row, job) {
  const { state, bar } = row;
  if (job.ended_at) return;
  const part = job.chunks_total ? `, ${job.chunks_done.toLocaleString("en")} of ${count(job.chunks_total, "passage")}` : "";
  const words = { queued: job.ahead ? `Waiting: ${count(job.ahead, "file")} before it` : "Waiting", parsing: "Reading…", embedding: `Indexing${part}` };
  state.replaceChildren(el("span", { class: "pulse", "aria-hidden": "true" }), words[job.state] ?? job.state);
  bar.hidden = false;
  if (job.chunks_total) {
    bar.max = job.chunks_total;
    bar.value = job.chunks_done;
  } else bar.removeAttribute("value");
}

function settle({ node, state, bar, stop }, kind, words) {
  node.classList.add("settled", kind);
  node.firstChild.replaceWith(icon({ failed: "alert", cancelled: "close" }[kind] ?? "check"));
  bar.remove();
  stop.remove();
  state.textContent = words;
}

function outcomeOf({ state, entry, problem }) {
  if (state === "cancelled") return { kind: "cancelled", words: "Cancelled" };
  if (!entry) return { kind: "failed", words: `Failed: ${problem?.detail ?? "no reason given"}` };
  const passages = count(entry.chunks ?? 0, "passage");
  const note = entry.reason ? `; ${entry.reason}` : "";
  const words = { added: `Added, ${passages}${note}`, replaced: `Replaced, ${passages}${note}`, unchanged: "Unchanged: it is already here" }[entry.status];
  if (words) return { kind: "done", words };
  return { kind: "failed", words: `${entry.status === "quarantined" ? "Set aside" : "Failed"}: ${entry.reason ?? "no reason given"}` };
}

// --- what is on its way, kept for this tab

function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT)) ?? [];
  } catch {
    return [];
  }
}

function keep(items) {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(items));
  } catch {
    // A browser that keeps nothing: the rows are then gone after a reload, the uploads are not.
  }
}

const forget = (id) => keep(kept().filter((item) => item.id !== id));
