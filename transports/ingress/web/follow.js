// A tab's side of the feed: follow a stream from a cursor, and be handed its events, each exactly once, in order.
// The hub lives in a SharedWorker; where there is none, in the tab that holds a Web Lock, spoken to by a
// BroadcastChannel; where there are no locks either (plain http from elsewhere), in the tab itself.

import { Hub } from "./hub.js";
import { BACKOFF_FIRST_MS, BACKOFF_LONGEST_MS, SEEN_RANGES_MAX, WORKER_MS } from "./limits.js";
import { randomKey } from "./random_key.js";

/** @typedef {import("./fold.js").Event} Event */
/** @typedef {(message: object) => void} Post */
/**
 * @typedef {object} FollowListener
 * @property {(stream: string, events: Event[]) => void} events
 * @property {(link: import("./feed.js").Link) => void} link
 * @property {(stream: string, why: "gone" | "reset") => void} closed
 * @property {() => void} signedOut
 */

export class Follower {
  /** Cursor a followed stream. @type {Map<string, number>} */
  #cursors = new Map();
  /** What this tab has been handed, as ranges of sequences a stream: one range is a story told once. */
  seen = /** @type {Record<string, [number, number][]>} */ ({});
  #listener;
  /** @type {Post} */
  #post;

  /** @param {FollowListener} listener */
  constructor(listener) {
    this.#listener = listener;
    this.#post = openHub((message) => this.#receive(message), () => this.#begin());
    addEventListener("online", () => this.#post({ op: "online" }));
    // A page that comes back from the browser's memory has missed what its hub said meanwhile.
    addEventListener("pageshow", (event) => event.persisted && location.reload());
  }

  /** @param {string} stream @param {number} after */
  follow(stream, after) {
    if (this.#cursors.has(stream)) return;
    this.#cursors.set(stream, after);
    this.#post({ op: "follow", stream, after });
  }

  /** @param {string} stream */
  unfollow(stream) {
    if (this.#cursors.delete(stream)) this.#post({ op: "unfollow", stream });
  }

  /** Streams followed now. @returns {string[]} */
  get followed() {
    return [...this.#cursors.keys()];
  }

  /** Says to a hub that is new what is followed, from where this tab stands. */
  #begin() {
    for (const [stream, after] of this.#cursors) this.#post({ op: "follow", stream, after });
  }

  /** @param {any} message */
  #receive(message) {
    if (message.op === "events") this.#take(message.stream, message.events);
    else if (message.op === "link") this.#listener.link(message.link);
    else if (message.op === "signed-out") this.#listener.signedOut();
    else if (this.#cursors.delete(message.stream)) this.#listener.closed(message.stream, message.op);
  }

  /** @param {string} stream @param {Event[]} events */
  #take(stream, events) {
    this.#post({ op: "taken", count: events.length });
    const cursor = this.#cursors.get(stream);
    if (cursor === undefined) return;
    // A hub that changed hands may tell a thing again; what this tab has, it does not take twice.
    const next = events.filter((event) => event.sequence > cursor);
    if (next.length === 0) return;
    this.#cursors.set(stream, next[next.length - 1].sequence);
    for (const event of next) this.#note(stream, event.sequence);
    this.#listener.events(stream, next);
    if (stream.startsWith("jobs/") && next[next.length - 1].kind === "job.ended") this.#cursors.delete(stream);
  }

  /** @param {string} stream @param {number} sequence */
  #note(stream, sequence) {
    const ranges = (this.seen[stream] ??= []);
    const last = ranges[ranges.length - 1];
    if (last !== undefined && sequence === last[1] + 1) last[1] = sequence;
    else if (ranges.length < SEEN_RANGES_MAX) ranges.push([sequence, sequence]);
  }
}

/**
 * @param {(message: any) => void} receive
 * @param {() => void} begin called when another hub has taken over
 * @returns {Post}
 */
function openHub(receive, begin) {
  if ("SharedWorker" in globalThis) return sharedHub(receive, begin);
  if ("locks" in navigator) return electedHub(receive, begin);
  const hub = new Hub();
  const tab = hub.attach(receive);
  return (message) => hub.receive(tab, /** @type {any} */ (message));
}

/** @param {(message: any) => void} receive @param {() => void} begin @returns {Post} */
function sharedHub(receive, begin) {
  const lock = `runchat-tab-${randomKey()}`;
  const held = holdLock(lock);
  /** @type {MessagePort | null} */
  let port = null;

  /** @param {number} attempt */
  const open = (attempt) => {
    const url = new URL("./shared_worker.js", import.meta.url);
    // The name changes with the messages spoken, so that a tab never meets a worker of another version.
    const worker = new SharedWorker(url, { type: "module", name: "runchat-1" });
    const mine = (port = worker.port);
    // A worker whose files could not be fetched says so, or says nothing: it is started again.
    const again = () => {
      if (port !== mine) return;
      mine.postMessage({ op: "bye" });
      port = null;
      setTimeout(() => {
        open(attempt + 1);
        begin();
      }, Math.min(BACKOFF_LONGEST_MS, BACKOFF_FIRST_MS * 2 ** attempt));
    };
    const watchdog = setTimeout(again, WORKER_MS);
    worker.addEventListener("error", again);
    mine.addEventListener("message", ({ data }) => {
      clearTimeout(watchdog);
      if (port === mine) receive(data);
    });
    mine.start();
    void held.then(() => mine.postMessage({ op: "hello", lock }));
  };

  open(0);
  addEventListener("pagehide", () => port?.postMessage({ op: "bye" }));
  return (message) => port?.postMessage(message);
}

/** Holds a lock while this page lives, and says when it is held. @param {string} name @returns {Promise<void>} */
function holdLock(name) {
  return new Promise((held) => {
    void navigator.locks?.request(name, () => {
      held();
      return new Promise(() => {});
    });
  });
}

/** @param {(message: any) => void} receive @param {() => void} begin @returns {Post} */
function electedHub(receive, begin) {
  const me = randomKey();
  const channel = new BroadcastChannel("runchat-1");
  channel.addEventListener("message", ({ data }) => {
    if (data.to === me) receive(data);
    else if (data.op === "leader") greet();
  });
  const lock = `runchat-tab-${me}`;
  const greet = () => {
    channel.postMessage({ from: me, op: "hello", lock });
    begin();
  };
  void holdLock(lock).then(greet);
  void holdLock("runchat-leader").then(lead);
  return (message) => channel.postMessage({ ...message, from: me });
}

/** Holds the hub for all tabs of this browser until this tab ends. */
function lead() {
  const hub = new Hub();
  const channel = new BroadcastChannel("runchat-1");
  /** @type {Map<string, import("./hub.js").Tab>} */
  const tabs = new Map();
  channel.addEventListener("message", ({ data }) => {
    if (data.from === undefined) return;
    const tab = tabs.get(data.from);
    if (data.op === "hello" && tab === undefined) {
      tabs.set(data.from, hub.attach((message) => channel.postMessage({ ...message, to: data.from })));
      void navigator.locks.request(data.lock, () => leave(data.from));
    } else if (tab !== undefined && data.op !== "hello") hub.receive(tab, data);
  });
  channel.postMessage({ op: "leader" });

  /** @param {string} id */
  function leave(id) {
    const tab = tabs.get(id);
    tabs.delete(id);
    if (tab !== undefined) hub.detach(tab);
  }
}
