// Reads server-sent events from chunks of bytes: pure, no connection of its own.
// Theory: WHATWG HTML, "Interpreting an event stream". A block without its blank line is not an event.

/** @typedef {{ event: string, data: string }} Frame */

export class FrameReader {
  #decoder = new TextDecoder();
  #rest = "";
  #event = "";
  /** @type {string[]} */
  #data = [];
  /** The pause the server asks for before a reconnect, or null. @type {number | null} */
  retry_ms = null;

  /**
   * The events completed by one more chunk, in order.
   * @param {Uint8Array} chunk
   * @returns {Frame[]}
   */
  read(chunk) {
    const text = this.#rest + this.#decoder.decode(chunk, { stream: true });
    /** @type {Frame[]} */
    const frames = [];
    let start = 0;
    for (;;) {
      const end = lineEnd(text, start);
      // A CR that ends the chunk may be half of a CRLF: it waits for the next one.
      if (end === -1 || (text[end] === "\r" && end + 1 === text.length)) break;
      this.#line(text.slice(start, end), frames);
      start = end + (text.startsWith("\r\n", end) ? 2 : 1);
    }
    this.#rest = text.slice(start);
    return frames;
  }

  /** @param {string} line @param {Frame[]} frames */
  #line(line, frames) {
    if (line === "") {
      if (this.#data.length > 0) frames.push({ event: this.#event || "message", data: this.#data.join("\n") });
      this.#event = "";
      this.#data = [];
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#event = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.retry_ms = Number(value);
  }
}

/** @param {string} text @param {number} from */
function lineEnd(text, from) {
  const feed = text.indexOf("\n", from);
  const limit = feed === -1 ? text.length : feed;
  const carriage = text.slice(from, limit).indexOf("\r");
  return carriage === -1 ? feed : from + carriage;
}
