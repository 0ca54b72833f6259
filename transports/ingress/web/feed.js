// The one connection of a browser to the service: every followed stream, each after its cursor.
// Theory: a cursor moves by exactly one. What is older is an echo and is dropped; what is further means that
// something was lost, so the connection is opened again from the cursor. The set of streams is part of the
// request, so a changed set is a new connection, opened after the old one has been given up.

import { BACKOFF_FIRST_MS, BACKOFF_LONGEST_MS, PARKED_POLL_MS, REOPEN_PAUSE_MS, SILENCE_MS, STREAMS_MAX } from "./limits.js";
import { FrameReader } from "./sse.js";

/** @typedef {import("./fold.js").Event} Event */
/** @typedef {"idle" | "connecting" | "live" | "lost"} Link */
/**
 * @typedef {object} FeedListener
 * @property {(stream: string, events: Event[]) => void} events
 * @property {(link: Link) => void} link
 * @property {(stream: string, why: "gone" | "reset") => void} closed
 * @property {() => void} signedOut
 */

export class Feed {
  /** @type {Map<string, { cursor: number, ended: boolean }>} */
  lines = new Map();
  /** @type {Link} */
  link = "idle";
  #listener;
  /** @type {AbortController | null} */
  #open = null;
  #attempts = 0;
  #base_ms = BACKOFF_FIRST_MS;
  #timer = 0;
  #poll = 0;

  /** @param {FeedListener} listener */
  constructor(listener) {
    this.#listener = listener;
  }

  /** Follows a stream after a cursor. @param {string} stream @param {number} after */
  add(stream, after) {
    this.lines.set(stream, { cursor: after, ended: false });
    this.#reopen(REOPEN_PAUSE_MS);
  }

  /** @param {string} stream */
  drop(stream) {
    const line = this.lines.get(stream);
    this.lines.delete(stream);
    if (line !== undefined && (!line.ended || this.lines.size === 0)) this.#reopen(REOPEN_PAUSE_MS);
  }

  /** Tries at once where the feed was waiting: the network is said to be back. */
  hurry() {
    this.#attempts = 0;
    if (this.link === "lost") this.#reopen(0);
  }

  /** @param {number} pause_ms */
  #reopen(pause_ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#connect(), pause_ms);
  }

  /** @param {Link} link */
  #say(link) {
    if (this.link === link) return;
    this.link = link;
    this.#listener.link(link);
  }

  async #connect() {
    this.#open?.abort();
    this.#open = null;
    clearInterval(this.#poll);
    const running = [...this.lines].filter(([, line]) => !line.ended).map(([stream]) => stream);
    if (running.length === 0) return this.#say("idle");
    const open = (this.#open = new AbortController());
    // The newest find a place in the feed; what is older than that is looked at from time to time.
    const parked = running.slice(0, -STREAMS_MAX);
    if (parked.length > 0) this.#poll = setInterval(() => void this.#look(parked), PARKED_POLL_MS);
    if (this.link !== "lost") this.#say(this.link === "live" ? "live" : "connecting");
    const query = running.slice(-STREAMS_MAX).map((stream) => {
      const cursor = this.lines.get(stream)?.cursor ?? 0;
      return `follow=${stream.split("/").map(encodeURIComponent).join("/")}:${cursor}`;
    });
    let pause_ms = 0;
    try {
      pause_ms = await this.#read(open, `/api/events?${query.join("&")}`);
    } catch {
      // The reason does not matter: the cursor is good and the next attempt starts from it.
    }
    if (this.#open !== open) return;
    open.abort();
    this.#open = null;
    if (pause_ms < 0) return;
    this.#say("lost");
    const grown_ms = Math.min(BACKOFF_LONGEST_MS, this.#base_ms * 2 ** this.#attempts++);
    this.#reopen(Math.max(pause_ms, grown_ms * (1 - Math.random() / 2)));
  }

  /**
   * Reads one connection to its end.
   * @param {AbortController} open
   * @param {string} url
   * @returns {Promise<number>} the least pause before the next one in ms; negative for none
   */
  async #read(open, url) {
    let watchdog = setTimeout(() => open.abort(), SILENCE_MS);
    try {
      const response = await fetch(url, { headers: { Accept: "text/event-stream" }, cache: "no-store", signal: open.signal });
      if (response.status !== 200 || response.body === null) return await this.#refused(response, open);
      const frames = new FrameReader();
      const reader = response.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done || this.#open !== open) return 0;
        clearTimeout(watchdog);
        watchdog = setTimeout(() => open.abort(), SILENCE_MS);
        this.#attempts = 0;
        this.#say("live");
        const grouped = group(frames.read(value));
        this.#base_ms = frames.retry_ms ?? BACKOFF_FIRST_MS;
        for (const [stream, events] of grouped) if (!this.#take(stream, events)) return 0;
      }
    } finally {
      clearTimeout(watchdog);
    }
  }

  /**
   * Takes what follows the cursor and says whether nothing was missing.
   * @param {string} stream
   * @param {Event[]} events
   */
  #take(stream, events) {
    const line = this.lines.get(stream);
    if (line === undefined) return true;
    const next = [];
    for (const event of events) {
      if (event.sequence <= line.cursor) continue;
      if (event.sequence !== line.cursor + 1) break;
      line.cursor = event.sequence;
      line.ended = stream.startsWith("jobs/") && event.kind === "job.ended";
      next.push(event);
    }
    if (next.length > 0) this.#listener.events(stream, next);
    return (events.at(-1)?.sequence ?? 0) <= line.cursor;
  }

  /** @param {string[]} parked */
  async #look(parked) {
    for (const stream of parked) {
      const line = this.lines.get(stream);
      if (line === undefined || line.ended) continue;
      const response = await fetch(`/api/${stream}/events?after=${line.cursor}`, { cache: "no-store" }).catch(() => null);
      if (response?.ok) this.#take(stream, (await response.json()).events);
    }
  }

  /**
   * Finds out why the feed was refused, and closes the streams that were the reason.
   * @param {Response} response
   * @param {AbortController} open
   */
  async #refused(response, open) {
    if (response.status === 401) {
      this.#listener.signedOut();
      return -1;
    }
    if (response.status !== 404 && response.status !== 422) return Number(response.headers.get("Retry-After") ?? 0) * 1000;
    for (const [stream, line] of [...this.lines]) {
      const url = `/api/${stream}/events?after=${line.cursor}&limit=1`;
      const answer = await fetch(url, { cache: "no-store", signal: open.signal });
      if (answer.status === 404 || answer.status === 422) {
        this.lines.delete(stream);
        this.#listener.closed(stream, answer.status === 404 ? "gone" : "reset");
      }
    }
    return 0;
  }
}

/**
 * Gathers the events of one chunk by stream, in order.
 * @param {import("./sse.js").Frame[]} frames
 * @returns {Map<string, Event[]>}
 */
function group(frames) {
  /** @type {Map<string, Event[]>} */
  const grouped = new Map();
  for (const frame of frames) {
    const { stream, event } = JSON.parse(frame.data);
    const events = grouped.get(stream);
    if (events === undefined) grouped.set(stream, [event]);
    else events.push(event);
  }
  return grouped;
}
