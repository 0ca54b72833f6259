// The conversations on the left, newest first; on a narrow page, behind a button.

import { readConversations } from "./api.js";

/** @typedef {{ id: string, title: string | null, current_job: string | null }} Conversation */

export class Sidebar {
  #list;
  #older;
  #toggle;
  /** @type {Conversation[]} */
  #items = [];
  /** @type {string | null} */
  #place = null;
  /** @type {string | null} */
  #open = null;

  /**
   * @param {HTMLElement} list
   * @param {HTMLButtonElement} older
   * @param {HTMLButtonElement} toggle
   */
  constructor(list, older, toggle) {
    this.#list = list;
    this.#older = older;
    this.#toggle = toggle;
    older.addEventListener("click", () => void this.#more());
    toggle.addEventListener("click", () => {
      this.unfold(toggle.ariaExpanded !== "true");
      // What was unfolded stands before the button, so the focus goes to its first part.
      if (toggle.ariaExpanded === "true") list.parentElement?.querySelector("button")?.focus();
    });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || toggle.ariaExpanded !== "true") return;
      this.unfold(false);
      toggle.focus();
    });
  }

  /** @param {boolean} unfolded */
  unfold(unfolded) {
    this.#toggle.ariaExpanded = String(unfolded);
    document.body.classList.toggle("unfolded", unfolded);
  }

  /** Reads the newest conversations again; those read before stay. */
  async refresh() {
    const { items, next_cursor } = await readConversations(null);
    const fresh = new Set(items.map((/** @type {Conversation} */ each) => each.id));
    const kept = this.#items.filter((each) => !fresh.has(each.id));
    if (kept.length === 0) this.#place = next_cursor;
    this.#items = [...items, ...kept];
    this.#show();
  }

  /** @param {Conversation} conversation */
  put(conversation) {
    const at = this.#items.findIndex((each) => each.id === conversation.id);
    this.#items = at === -1 ? [conversation, ...this.#items] : this.#items.with(at, conversation);
    this.#show();
  }

  /** @param {string | null} id */
  mark(id) {
    this.#open = id;
    this.#show();
  }

  /** @param {string} id @returns {string | null} */
  title(id) {
    return this.#items.find((each) => each.id === id)?.title || null;
  }

  async #more() {
    const { items, next_cursor } = await readConversations(this.#place);
    this.#place = next_cursor;
    const known = new Set(this.#items.map((each) => each.id));
    this.#items.push(...items.filter((/** @type {Conversation} */ each) => !known.has(each.id)));
    this.#show();
  }

  #show() {
    this.#older.hidden = this.#place === null;
    const wanted = this.#items.map((each) => each.id);
    while (this.#list.children.length > wanted.length) this.#list.lastElementChild?.remove();
    this.#items.forEach((each, at) => {
      const row = this.#list.children[at] ?? this.#list.appendChild(emptyRow());
      const link = /** @type {HTMLAnchorElement} */ (row.firstElementChild);
      link.href = `#${each.id}`;
      link.textContent = each.title || "Untitled";
      if (each.id === this.#open) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    });
  }
}

function emptyRow() {
  const row = document.createElement("li");
  row.append(document.createElement("a"));
  return row;
}
