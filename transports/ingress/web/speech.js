// What a screen reader is told: whole sentences, gathered for a moment, and how the answer ended. Never tokens.

import { isOver } from "./dialogue.js";
import { spokenText } from "./fold.js";
import { SENTENCE_CHARACTERS, SPEECH_CHARACTERS, SPEECH_MS } from "./limits.js";
import { stateWords } from "./words.js";

/** @typedef {import("./dialogue.js").Turn} Turn */

const SENTENCES = new Intl.Segmenter(undefined, { granularity: "sentence" });

/**
 * The whole sentences at the start of a text that may still grow; the last one counts only when it is over.
 * @param {string} text
 * @param {boolean} over
 * @returns {string}
 */
export function wholeSentences(text, over) {
  if (over) return text;
  const last = [...SENTENCES.segment(text)].at(-1);
  return last === undefined ? "" : text.slice(0, last.index);
}

export class Speech {
  #region;
  #job = "";
  #said = 0;
  #over = true;
  /** @type {Turn | null} */
  #turn = null;
  #timer = 0;

  /** @param {HTMLElement} region aria-live=polite */
  constructor(region) {
    this.#region = region;
  }

  /**
   * Speaks of this turn from now on.
   * @param {Turn} turn
   * @param {boolean} fresh false: it was begun before this page looked, and what is there is not read out
   */
  follow(turn, fresh) {
    if (this.#job === turn.job_id) return;
    this.#flush();
    this.#job = turn.job_id;
    this.#said = fresh || turn.view === null ? 0 : spokenText(turn.view).length;
    this.#over = false;
  }

  /** @param {Turn} turn */
  update(turn) {
    if (turn.job_id !== this.#job || this.#over) return;
    this.#turn = turn;
    if (isOver(turn.status)) this.#flush();
    else if (this.#timer === 0) this.#timer = setTimeout(() => this.#flush(), SPEECH_MS);
  }

  /** Says one thing at once, such as a lost connection. @param {string} words */
  say(words) {
    this.#region.textContent = words;
  }

  #flush() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    const turn = this.#turn;
    this.#turn = null;
    if (turn === null || this.#over) return;
    this.#over = isOver(turn.status);
    const text = turn.view === null ? "" : spokenText(turn.view);
    const whole = wholeSentences(text.slice(this.#said, this.#said + SENTENCE_CHARACTERS), this.#over);
    this.#said += whole.length;
    const words = [shortened(whole), this.#over ? stateWords(turn) : ""].filter((each) => each.trim() !== "");
    if (words.length > 0) this.say(words.join(" "));
  }
}

/** @param {string} words */
function shortened(words) {
  const plain = words.replace(/\s+/g, " ").trim();
  if (plain.length <= SPEECH_CHARACTERS) return plain;
  return `${plain.slice(0, SPEECH_CHARACTERS)}… More is in the transcript.`;
}
