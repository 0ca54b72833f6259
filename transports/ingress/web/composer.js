// Where a question is written: send; while an answer is being written: ask next, ask instead, stop.
// The focus stays in the field, whatever is pressed and whatever ends.

import { INPUT_CHARACTERS } from "./limits.js";

/** @typedef {"refuse" | "replace" | "queue"} OnActive */
/**
 * @typedef {object} ComposerParts
 * @property {HTMLFormElement} form
 * @property {HTMLTextAreaElement} field
 * @property {HTMLButtonElement} send
 * @property {HTMLButtonElement} instead
 * @property {HTMLButtonElement} stop
 * @property {HTMLSelectElement} model
 * @property {HTMLInputElement} tools
 * @property {HTMLElement} complaint
 */

const CHOSEN_MODEL = "runchat.model";
const CHOSEN_TOOLS = "runchat.tools";

export class Composer {
  #parts;
  #ask;
  #busy = false;

  /**
   * @param {ComposerParts} parts
   * @param {(input: string, on_active: OnActive) => void} ask
   * @param {() => void} stop
   */
  constructor(parts, ask, stop) {
    this.#parts = parts;
    this.#ask = ask;
    parts.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit(this.#busy ? "queue" : "refuse");
    });
    parts.field.addEventListener("keydown", (event) => this.#key(event));
    parts.instead.addEventListener("click", () => this.#submit("replace"));
    parts.stop.addEventListener("click", () => {
      stop();
      this.focus();
    });
    parts.model.addEventListener("change", () => localStorage.setItem(CHOSEN_MODEL, parts.model.value));
    parts.tools.addEventListener("change", () => localStorage.setItem(CHOSEN_TOOLS, String(parts.tools.checked)));
  }

  focus() {
    this.#parts.field.focus({ preventScroll: true });
  }

  /** An answer is being written, or no longer. @param {boolean} busy @param {boolean} stoppable */
  show(busy, stoppable) {
    const { send, instead, stop } = this.#parts;
    this.#busy = busy;
    const focused = document.activeElement;
    const left = (focused === instead && !busy) || (focused === stop && !stoppable);
    // What is written stays as it is where nothing changes: each event of a stream comes by here.
    if (busy === instead.hidden) send.textContent = busy ? "Ask next" : "Send";
    if (busy === instead.hidden) instead.hidden = !busy;
    if (stoppable === stop.hidden) stop.hidden = !stoppable;
    if (left) this.focus();
  }

  /** @param {string[]} models @param {string | null} preferred */
  offer(models, preferred) {
    const { model } = this.#parts;
    model.replaceChildren(...models.map((id) => new Option(id, id)));
    const chosen = [localStorage.getItem(CHOSEN_MODEL), preferred].find((id) => id !== null && models.includes(id));
    if (chosen != null) model.value = chosen;
    model.closest("label")?.toggleAttribute("hidden", models.length === 0);
  }

  /** There are tools, or none. @param {boolean} there */
  offerTools(there) {
    const { tools } = this.#parts;
    tools.checked = there && localStorage.getItem(CHOSEN_TOOLS) === "true";
    tools.closest("label")?.toggleAttribute("hidden", !there);
  }

  /** Whether the model may call tools. */
  get tools() {
    return this.#parts.tools.checked;
  }

  /** The model to ask, or null for the service's own choice. */
  get model() {
    return this.#parts.model.value || null;
  }

  /** Gives a question back to be changed. @param {string} input @param {string} why */
  giveBack(input, why) {
    const { field, complaint } = this.#parts;
    field.value = field.value === "" ? input : `${input}\n\n${field.value}`;
    complaint.textContent = why;
    this.focus();
  }

  /** @param {OnActive} on_active */
  #submit(on_active) {
    const { field, complaint } = this.#parts;
    this.focus();
    const input = field.value;
    if (input.trim() === "") return;
    if (input.length > INPUT_CHARACTERS) {
      complaint.textContent = "This question is longer than the service takes (1 MiB).";
      return;
    }
    complaint.textContent = "";
    field.value = "";
    this.#ask(input, on_active);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    // An Enter that ends the choice of a character belongs to the input method.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (this.#busy && (event.ctrlKey || event.metaKey)) this.#submit("replace");
    else this.#parts.form.requestSubmit();
  }
}
