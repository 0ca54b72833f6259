// Shares one feed among the tabs of a browser: each tab has its own cursor a stream.
// Theory: the hub keeps no event. A tab whose cursor is behind the feed's (it joined late, or slept and took
// nothing) reads the missing pages of the log, and is handed live events again when its cursor has caught up.

import { Feed } from "./feed.js";
import { PAGE_EVENTS, PAGE_RETRY_MS, UNTAKEN_MAX } from "./limits.js";

/** @typedef {import("./fold.js").Event} Event */
/** @typedef {{ cursor: number, catching: boolean }} Reader */
/** @typedef {{ post: (message: object) => void, readers: Map<string, Reader>, untaken: number }} Tab */

export class Hub {
  /** @type {Set<Tab>} */
  #tabs = new Set();
  #feed = new Feed({
    events: (stream, events) => {
      for (const tab of this.#tabs) this.#offer(tab, stream, events);
      this.#tidy(stream);
    },
    link: (link) => {
      for (const tab of this.#tabs) tab.post({ op: "link", link });
    },
    closed: (stream, why) => {
      for (const tab of this.#tabs) if (tab.readers.delete(stream)) tab.post({ op: why, stream });
    },
    signedOut: () => {
      for (const tab of this.#tabs) tab.post({ op: "signed-out" });
    },
  });

  /** @param {(message: object) => void} post @returns {Tab} */
  attach(post) {
    const tab = { post, readers: new Map(), untaken: 0 };
    this.#tabs.add(tab);
    post({ op: "link", link: this.#feed.link });
    return tab;
  }

  /** @param {Tab} tab */
  detach(tab) {
    this.#tabs.delete(tab);
    const streams = [...tab.readers.keys()];
    tab.readers.clear();
    for (const stream of streams) this.#tidy(stream);
  }

  /** The network is said to be back. */
  online() {
    this.#feed.hurry();
  }

  /**
   * One message of a tab: follow, unfollow, taken, online.
   * @param {Tab} tab
   * @param {{ op: string, stream: string, after: number, count: number }} message
   */
  receive(tab, message) {
    if (message.op === "follow") this.#follow(tab, message.stream, message.after);
    else if (message.op === "unfollow" && tab.readers.delete(message.stream)) this.#tidy(message.stream);
    else if (message.op === "online") this.online();
    else if (message.op === "taken") {
      tab.untaken -= message.count;
      for (const stream of tab.readers.keys()) void this.#catchUp(tab, stream);
    }
  }

  /** @param {Tab} tab @param {string} stream @param {number} after */
  #follow(tab, stream, after) {
    tab.readers.set(stream, { cursor: after, catching: false });
    if (this.#feed.lines.has(stream)) void this.#catchUp(tab, stream);
    else this.#feed.add(stream, after);
  }

  /**
   * Hands a tab what follows its cursor; what it cannot take now it reads later.
   * @param {Tab} tab
   * @param {string} stream
   * @param {Event[]} events
   */
  #offer(tab, stream, events) {
    const reader = tab.readers.get(stream);
    if (reader === undefined) return;
    const next = events.filter((event) => event.sequence > reader.cursor);
    if (next.length === 0) return;
    if (next[0].sequence !== reader.cursor + 1 || tab.untaken >= UNTAKEN_MAX) return void this.#catchUp(tab, stream);
    reader.cursor = next[next.length - 1].sequence;
    tab.untaken += next.length;
    tab.post({ op: "events", stream, events: next });
  }

  /** @param {Tab} tab @param {string} stream */
  async #catchUp(tab, stream) {
    const reader = tab.readers.get(stream);
    if (reader === undefined || reader.catching) return;
    reader.catching = true;
    while (tab.readers.get(stream) === reader && tab.untaken < UNTAKEN_MAX) {
      const line = this.#feed.lines.get(stream);
      if (line === undefined || reader.cursor >= line.cursor) break;
      const url = `/api/${stream}/events?after=${reader.cursor}&limit=${PAGE_EVENTS}`;
      const page = await fetch(url, { cache: "no-store" }).then((answer) => (answer.ok ? answer.json() : null)).catch(() => null);
      if (page !== null && tab.readers.get(stream) === reader) this.#offer(tab, stream, page.events);
      if (page === null || page.events.length === 0) await new Promise((resume) => setTimeout(resume, PAGE_RETRY_MS));
    }
    reader.catching = false;
    this.#tidy(stream);
  }

  /** Lets go of a stream that no tab reads, or that every reader has read to its end. @param {string} stream */
  #tidy(stream) {
    const line = this.#feed.lines.get(stream);
    if (line === undefined) return;
    for (const tab of this.#tabs) {
      const reader = tab.readers.get(stream);
      if (reader === undefined) continue;
      if (!line.ended || reader.cursor < line.cursor) return;
    }
    for (const tab of this.#tabs) tab.readers.delete(stream);
    this.#feed.drop(stream);
  }
}
