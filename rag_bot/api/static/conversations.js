// The side list of conversations: open, rename in place, delete after a question.

import { conversations } from "./api.js";
import { byId, confirmDelete, el, iconButton, toast } from "./dom.js";

const name = (conversation) => conversation.title || "Untitled conversation";

export class ConversationList {
  /** `ongone(id)`: the conversation was deleted; `onrename(conversation)`: it has another title. */
  constructor({ ongone, onrename }) {
    this.list = byId("conversations");
    this.note = byId("conversations-note");
    this.ongone = ongone;
    this.onrename = onrename;
    this.items = [];
    this.next = null;
    this.current = null;
  }

  async refresh() {
    try {
      const { conversations: fresh, next = null } = await conversations.list();
      const older = this.items.filter((item) => fresh.length && item.updated_at < fresh.at(-1).updated_at);
      this.items = [...fresh, ...older.filter((item) => fresh.every((other) => other.id !== item.id))];
      if (this.items.length === fresh.length) this.next = next;
      this.note.textContent = "Questions you ask are kept here.";
      this.note.hidden = this.items.length > 0;
    } catch (problem) {
      this.note.textContent = problem.message;
      this.note.hidden = false;
    }
    this.draw();
  }

  async showOlder() {
    try {
      const { conversations: older, next = null } = await conversations.list(this.next);
      this.items.push(...older.filter((item) => this.items.every((other) => other.id !== item.id)));
      this.next = next;
      this.draw();
      if (older.length) this.focus(older[0].id);
    } catch (problem) {
      toast(problem.message);
    }
  }

  select(id) {
    this.current = id;
    for (const link of this.list.querySelectorAll("a")) this.mark(link);
  }

  mark(link) {
    if (link.dataset.id === this.current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }

  draw() {
    // A name that is being typed is not taken away by a list that has just come.
    if (this.list.querySelector("form")) return;
    const focused = document.activeElement?.closest("#conversations a")?.dataset.id;
    const older = el("li", {}, el("button", { type: "button", class: "side-button", onclick: () => this.showOlder() }, "Show older"));
    this.list.replaceChildren(...this.items.map((conversation) => this.row(conversation)), ...(this.next ? [older] : []));
    if (focused) this.focus(focused);
  }

  focus(id) {
    [...this.list.querySelectorAll("a")].find((link) => link.dataset.id === id)?.focus();
  }

  row(conversation) {
    const title = name(conversation);
    const link = el("a", { href: `#c=${encodeURIComponent(conversation.id)}`, "data-id": conversation.id, dir: "auto", title }, title);
    this.mark(link);
    const row = el("li", { class: "conversation" }, link,
      el("span", { class: "conversation-buttons" },
        iconButton("edit", `Rename ${title}`, () => this.rename(row, conversation)),
        iconButton("trash", `Delete ${title}`, () => this.remove(conversation))));
    return row;
  }

  rename(row, conversation) {
    const field = el("input", { class: "field", type: "text", maxlength: "200", dir: "auto", "aria-label": "New name", autocomplete: "off" });
    field.value = name(conversation);
    const form = el("form", { class: "rename" }, field);
    let open = true;
    const end = async (keep, refocus) => {
      if (!open) return;
      open = false;
      const title = field.value.trim();
      form.remove();
      if (keep && title && title !== conversation.title) {
        try {
          await conversations.rename(conversation.id, title);
          conversation.title = title;
          this.onrename(conversation);
        } catch (problem) {
          toast(problem.message);
        }
      }
      this.draw();
      if (refocus) this.focus(conversation.id);
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      end(true, true);
    });
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      end(false, true);
    });
    field.addEventListener("blur", () => end(true, false));
    row.replaceChildren(form);
    field.select();
    field.focus();
  }

  async remove(conversation) {
    if (!(await confirmDelete("Delete this conversation?", `“${name(conversation)}” and its answers will be gone for good.`))) return;
    try {
      await conversations.remove(conversation.id);
    } catch (problem) {
      if (problem.status !== 404) return toast(problem.message);
    }
    this.items = this.items.filter((item) => item.id !== conversation.id);
    this.draw();
    toast("Conversation deleted");
    this.ongone(conversation.id);
  }
}
