// Questions on their way to the service, one after the other, each with a key of its own.
// Theory: an answer that got lost says nothing about whether the question arrived. So a question is sent again
// under the same Idempotency-Key until the service has answered, also after a reload of the page: it is asked once.

import { call, Refusal } from "./api.js";
import { BACKOFF_FIRST_MS, BACKOFF_LONGEST_MS, TITLE_CHARACTERS } from "./limits.js";
import { randomKey } from "./random_key.js";

/**
 * @typedef {object} Letter
 * @property {string} key
 * @property {string | null} conversation null: a conversation is to be made for it
 * @property {string} draft names the conversation to be made; letters of one draft share it
 * @property {string} input
 * @property {string | null} model
 * @property {boolean} tools the model may call what there is
 * @property {"refuse" | "replace" | "queue"} on_active
 */
/**
 * @typedef {object} OutboxListener
 * @property {() => void} changed
 * @property {(letter: Letter, conversation: any) => void} opened a conversation was made for the letter
 * @property {(letter: Letter, job: any) => void} sent
 * @property {(letter: Letter, refusal: Refusal) => void} refused
 */

const KEPT = "runchat.outbox";

export class Outbox {
  /** @type {Letter[]} */
  letters = JSON.parse(sessionStorage.getItem(KEPT) ?? "[]");
  #listener;
  #running = false;
  /** @type {(() => void) | null} */
  #wake = null;

  /** @param {OutboxListener} listener */
  constructor(listener) {
    this.#listener = listener;
    addEventListener("online", () => this.#wake?.());
  }

  /** @param {Omit<Letter, "key">} letter */
  send(letter) {
    this.letters.push({ ...letter, key: randomKey() });
    this.#changed();
    void this.run();
  }

  /** Sends all that waits; also what a page before this one left. */
  async run() {
    if (this.#running) return;
    this.#running = true;
    for (let attempt = 0; this.letters.length > 0; ) {
      const letter = this.letters[0];
      try {
        const job = await this.#post(letter);
        this.letters.shift();
        this.#listener.sent(letter, job);
        attempt = 0;
      } catch (error) {
        if (isFinal(error)) {
          this.letters.shift();
          this.#listener.refused(letter, /** @type {Refusal} */ (error));
          attempt = 0;
        } else {
          await this.#pause(error instanceof Refusal ? error.retry_s * 1000 : 0, attempt++);
        }
      }
      this.#changed();
    }
    this.#running = false;
  }

  /** @param {Letter} letter */
  async #post(letter) {
    if (letter.conversation === null) {
      const made = await call("POST", "/api/conversations", { body: { title: titleOf(letter.input) }, key: `${letter.draft}-conversation` });
      for (const each of this.letters) if (each.draft === letter.draft) each.conversation = made.id;
      this.#listener.opened(letter, made);
      this.#changed();
    }
    const { input, model, on_active, tools } = letter;
    const body = { input, on_active, ...(model === null ? {} : { model }), ...(tools ? { tools: "all" } : {}) };
    return call("POST", `/api/conversations/${encodeURIComponent(letter.conversation ?? "")}/jobs`, { body, key: letter.key });
  }

  /** @param {number} least_ms @param {number} attempt */
  async #pause(least_ms, attempt) {
    const grown_ms = Math.min(BACKOFF_LONGEST_MS, BACKOFF_FIRST_MS * 2 ** attempt) * (1 - Math.random() / 2);
    await new Promise((resolve) => {
      this.#wake = () => resolve(undefined);
      setTimeout(this.#wake, Math.max(least_ms, grown_ms));
    });
  }

  #changed() {
    sessionStorage.setItem(KEPT, JSON.stringify(this.letters));
    this.#listener.changed();
  }
}

/** The first line of a question, cut after a whole word. @param {string} input */
function titleOf(input) {
  const line = input.trim().split("\n")[0].trim();
  if (line.length <= TITLE_CHARACTERS) return line;
  const cut = line.slice(0, TITLE_CHARACTERS);
  return `${cut.slice(0, cut.lastIndexOf(" ") > 0 ? cut.lastIndexOf(" ") : cut.length)}…`;
}

/** A refusal that another try would only meet again. @param {unknown} error */
function isFinal(error) {
  return error instanceof Refusal && error.status < 500 && error.status !== 429;
}
