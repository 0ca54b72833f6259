// The turns of a conversation on the page. A turn that did not change is not touched.

import { Approval } from "./approval.js";
import { isSpoken } from "./fold.js";
import { GrowingText } from "./growing_text.js";
import { PINNED_PIXELS } from "./limits.js";
import { itemWords, stateWords } from "./words.js";

/** @typedef {import("./dialogue.js").Turn} Turn */

export class Transcript {
  #log;
  #latest;
  /** @type {Map<string, TurnOnPage>} */
  #turns = new Map();
  #pinned = true;

  /**
   * @param {HTMLElement} log the element that scrolls
   * @param {HTMLButtonElement} latest
   */
  constructor(log, latest) {
    this.#log = log;
    this.#latest = latest;
    log.addEventListener("scroll", () => this.#look(), { passive: true });
    latest.addEventListener("click", () => this.pin());
    new ResizeObserver(() => this.#keep()).observe(log);
  }

  /** Shows the end, and goes on showing it as it grows. */
  pin() {
    this.#pinned = true;
    this.#keep();
  }

  clear() {
    this.#turns.clear();
    this.#log.replaceChildren();
    this.pin();
  }

  /** @param {Turn[]} turns */
  show(turns) {
    const wanted = new Set(turns.map((turn) => turn.job_id));
    for (const [id, turn] of this.#turns) if (!wanted.has(id)) this.#remove(id, turn);
    turns.forEach((turn, at) => {
      let shown = this.#turns.get(turn.job_id);
      if (shown === undefined) {
        shown = new TurnOnPage();
        this.#turns.set(turn.job_id, shown);
      }
      if (this.#log.children[at] !== shown.element) this.#log.insertBefore(shown.element, this.#log.children[at] ?? null);
      shown.count(at + 1);
      shown.show(turn);
    });
    this.#keep();
  }

  /** @param {string} id @param {TurnOnPage} turn */
  #remove(id, turn) {
    turn.element.remove();
    this.#turns.delete(id);
  }

  #look() {
    const { scrollTop, scrollHeight, clientHeight } = this.#log;
    this.#pinned = scrollHeight - scrollTop - clientHeight <= PINNED_PIXELS;
    this.#latest.hidden = this.#pinned;
  }

  #keep() {
    if (this.#pinned) this.#log.scrollTop = this.#log.scrollHeight;
    this.#look();
  }
}

class TurnOnPage {
  element = make("section", "turn");
  /** @type {Turn | null} */
  #turn = null;
  #number = 0;
  #question = make("article", "question");
  #answer = make("article", "answer");
  #state = make("p", "state");
  #asked;
  /** @type {Map<string, ItemOnPage>} */
  #items = new Map();
  #asking = make("div", "asking");
  /** @type {Map<string, Approval>} */
  #approvals = new Map();

  constructor() {
    this.#asked = new GrowingText(this.#question);
    this.element.append(this.#question, this.#answer, this.#asking, this.#state);
  }

  /** Its place in the conversation, 1 for the first. @param {number} number */
  count(number) {
    if (this.#number === number) return;
    this.#number = number;
    this.#question.ariaLabel = `Question ${number}`;
    this.#answer.ariaLabel = `Answer ${number}`;
    this.#state.id = `state-${number}`;
    this.#answer.setAttribute("aria-describedby", this.#state.id);
  }

  /** @param {Turn} turn */
  show(turn) {
    if (this.#turn === turn) return;
    this.#turn = turn;
    this.#question.hidden = turn.question === null;
    this.#asked.show(turn.question ?? "");
    this.element.dataset.status = turn.status;
    const items = turn.view?.items ?? stored(turn);
    const wanted = new Set(items.map((item) => item.id));
    for (const [id, item] of this.#items) {
      if (wanted.has(id)) continue;
      item.element.remove();
      this.#items.delete(id);
    }
    for (const item of items) this.#item(item).show(item);
    this.#answer.hidden = items.length === 0;
    this.#ask(turn);
    const words = stateWords(turn);
    if (this.#state.textContent !== words) this.#state.textContent = words;
  }

  /** @param {Turn} turn */
  #ask(turn) {
    const open = new Map((turn.view?.approvals ?? []).map((asked) => [asked.approval_id, asked]));
    for (const [id, approval] of this.#approvals) {
      if (open.has(id)) continue;
      approval.element.remove();
      this.#approvals.delete(id);
    }
    for (const [id, asked] of open) {
      if (this.#approvals.has(id)) continue;
      const approval = new Approval(turn.job_id, asked);
      this.#approvals.set(id, approval);
      this.#asking.append(approval.element);
    }
  }

  /** @param {import("./fold.js").Item} item */
  #item(item) {
    let shown = this.#items.get(item.id);
    if (shown === undefined) {
      shown = isSpoken(item) ? new Spoken() : new Aside(item.type);
      this.#items.set(item.id, shown);
      this.#answer.append(shown.element);
    }
    return shown;
  }
}

/** @typedef {{ element: HTMLElement, show: (item: import("./fold.js").Item) => void }} ItemOnPage */

/** What the model says to its reader. */
class Spoken {
  element = make("div", "text");
  #text = new GrowingText(this.element);

  /** @param {import("./fold.js").Item} item */
  show(item) {
    this.#text.show(item.text ?? "");
  }
}

/** What goes with an answer, folded away: reasoning, a call of a tool. */
class Aside {
  element = make("details", "aside");
  #text;

  /** @param {string} type */
  constructor(type) {
    const summary = make("summary", "");
    summary.textContent = itemWords(type);
    const body = make("div", "text");
    this.#text = new GrowingText(body);
    this.element.append(summary, body);
  }

  /** @param {import("./fold.js").Item} item */
  show(item) {
    this.#text.show(item.text ?? item.arguments ?? "");
  }
}

/** @param {Turn} turn @returns {import("./fold.js").Item[]} */
function stored(turn) {
  if (turn.answer === null) return [];
  const rest = { id: "stored", type: "message", role: "assistant", index: 0, annotations: [] };
  return [{ ...rest, status: "completed", text: turn.answer }];
}

/** @param {string} tag @param {string} name */
function make(tag, name) {
  const element = document.createElement(tag);
  element.className = name;
  return element;
}
