// One open conversation: reads what was, follows what comes, and keeps both as one dialogue.
// Theory: the head of the conversation's log is read before its messages, and the log is followed from that head.
// So what is not among the messages comes as an event; what is in both is applied twice by id, which changes nothing.

import { readConversation, readHead, readJob, readMessages } from "./api.js";
import { EMPTY, liveTurns, withConversationEvent, withJob, withJobEvents, withMessages } from "./dialogue.js";
import { spokenText } from "./fold.js";
import { EXPLAINED_MAX } from "./limits.js";

/** @typedef {import("./fold.js").Event} Event */
/** @typedef {import("./dialogue.js").Turn} Turn */

export class Room {
  /** @type {import("./dialogue.js").Dialogue} */
  dialogue = EMPTY;
  title = "";
  ready = false;
  /** The job that ran when the page looked first, and how much it had said: up to there it is not news. */
  old = { job: "", said: 0 };
  #follower;
  #changed;
  #closed = false;
  #fetching = false;
  /** @type {string | null} */
  #place = null;

  /**
   * @param {string} id
   * @param {import("./follow.js").Follower} follower
   * @param {() => void} changed
   */
  constructor(id, follower, changed) {
    this.id = id;
    this.#follower = follower;
    this.#changed = changed;
  }

  /** Reads and follows. Throws what the service or the network refuses; may then be called again. */
  async open() {
    const head = await readHead(this.id);
    const conversation = await readConversation(this.id);
    const { items, place } = await readMessages(this.id, null);
    const current = conversation.current_job === null ? null : await readJob(conversation.current_job);
    if (this.#closed) return;
    this.title = conversation.title ?? "";
    this.#place = place;
    this.dialogue = withMessages(this.dialogue, items);
    if (current !== null) {
      this.old = { job: current.id, said: spokenText(current).length };
      this.dialogue = withJob(this.dialogue, current);
    }
    this.ready = true;
    this.#follower.follow(`conversations/${this.id}`, head);
    this.#update();
    await this.#explain();
  }

  close() {
    this.#closed = true;
    for (const stream of this.#follower.followed) this.#follower.unfollow(stream);
  }

  /** @param {string} stream @param {Event[]} events */
  take(stream, events) {
    if (stream === `conversations/${this.id}`) {
      this.dialogue = events.reduce(withConversationEvent, this.dialogue);
    } else if (stream.startsWith("jobs/")) {
      this.dialogue = withJobEvents(this.dialogue, stream.slice("jobs/".length), events);
    }
    this.#update();
  }

  /**
   * The service took a question. While the room is being read this is nothing new: it will be among the messages,
   * or come as an event.
   * @param {string} input
   * @param {any} job
   */
  asked(input, job) {
    if (!this.ready) return;
    const question = { id: job.message_id, role: "user", job_id: job.id, parts: [{ type: "text", text: input }] };
    this.dialogue = withJob(withMessages(this.dialogue, [question]), job);
    this.#update();
  }

  /** Asks for the questions that others put here, which the log names by id only. */
  async fetchQuestions() {
    if (this.#fetching || !this.dialogue.turns.some((turn) => turn.question === null)) return;
    this.#fetching = true;
    try {
      const { items, place } = await readMessages(this.id, this.#place);
      this.#place = place;
      this.dialogue = withMessages(this.dialogue, items);
      this.#update();
    } finally {
      this.#fetching = false;
    }
  }

  /** Is anything being written, or waiting to be? */
  get busy() {
    return this.dialogue.turns.some((turn) => turn.status === "running" || turn.status === "queued");
  }

  #update() {
    if (this.#closed) return;
    for (const turn of liveTurns(this.dialogue)) this.#follower.follow(`jobs/${turn.job_id}`, turn.view?.head ?? 0);
    this.#changed();
  }

  /** Asks why answers ended badly and what became of questions that have none, newest first. */
  async #explain() {
    const unclear = this.dialogue.turns.filter((turn) => !turn.live && needsExplaining(turn));
    for (const turn of unclear.reverse().slice(0, EXPLAINED_MAX)) {
      const job = await readJob(turn.job_id).catch(() => null);
      if (this.#closed) return;
      if (job !== null) this.dialogue = withJob(this.dialogue, job);
      this.#update();
    }
  }
}

/** @param {Turn} turn */
function needsExplaining(turn) {
  return turn.status === "unknown" || turn.status === "failed" || turn.status === "incomplete";
}
