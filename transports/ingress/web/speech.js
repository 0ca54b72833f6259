// What a screen reader is told: whole sentences, gathered for a moment, and how the answer ended. Never tokens.

import { isOver, saidIn } from "./dialogue.js";
import { SENTENCE_CHARACTERS, SPEECH_CHARACTERS, SPEECH_MS } from "./limits.js";
import { stateWords } from "./words.js";

/** @typedef {import("./dialogue.js").Turn} Turn */

const SENTENCES = new Intl.Segmenter(undefined, { granularity: "sentence" });

/** The whole sentences at the start of a text that may still grow. @param {string} text @returns {string} */
function wholeSentences(text) {
  const last = [...SENTENCES.segment(text)].at(-1);
  return last === undefined ? "" : text.slice(0, last.index);
}

export class Speech {
  #region;
  /** Answers spoken of, by job: how much of each was said. @type {Map<string, { said: number, over: boolean }>} */
  #known = new Map();
  /** Answers with news. @type {Map<string, Turn>} */
  #news = new Map();
  #timer = 0;

  /** @param {HTMLElement} region aria-live=polite */
  constructor(region) {
    this.#region = region;
  }

  /**
   * Speaks of this answer from now on.
   * @param {Turn} turn
   * @param {number} said characters of it that are not read out: they were there before this page looked
   */
  follow(turn, said) {
    if (this.#known.has(turn.job_id)) return;
    this.#known.set(turn.job_id, { said, over: false });
  }

  /** @param {Turn} turn */
  update(turn) {
    const known = this.#known.get(turn.job_id);
    if (known === undefined || known.over) return;
    this.#news.set(turn.job_id, turn);
    if (isOver(turn.status)) this.#flush();
    else if (this.#timer === 0) this.#timer = setTimeout(() => this.#flush(), SPEECH_MS);
  }

  /** Another conversation is open. */
  forget() {
    this.#known.clear();
    this.#news.clear();
    this.say("");
  }

  /** Says one thing at once, such as a lost connection. @param {string} words */
  say(words) {
    this.#region.textContent = words;
  }

  #flush() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    const words = [...this.#news.values()].flatMap((turn) => this.#wordsOf(turn)).filter((each) => each !== "");
    this.#news.clear();
    if (words.length > 0) this.say(words.join(" "));
  }

  /** @param {Turn} turn */
  #wordsOf(turn) {
    const known = this.#known.get(turn.job_id);
    if (known === undefined) return [];
    known.over = isOver(turn.status);
    const rest = saidIn(turn).slice(known.said);
    const whole = known.over ? rest : wholeSentences(rest.slice(0, SENTENCE_CHARACTERS));
    known.said += whole.length;
    return [shortened(whole), known.over ? stateWords(turn) : ""];
  }
}

/** @param {string} words */
function shortened(words) {
  const plain = words.replace(/\s+/g, " ").trim();
  if (plain.length <= SPEECH_CHARACTERS) return plain;
  return `${plain.slice(0, SPEECH_CHARACTERS)}… More is in the transcript.`;
}
