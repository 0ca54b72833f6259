// Text that grows on the page: only ever as text nodes, so nothing a model says can be markup or script.
// Theory: appending to one giant text node costs the square of its length. So text goes into nodes of bounded
// size, and a block that is full is never laid out again. A block ends after a line break, where its edge shows
// the same break; only a line that is longer than any person writes is broken at a space, or anywhere.
// The textContent of the element is the text, exactly.

import { BLOCK_CHARACTERS, LINE_CHARACTERS, NODE_CHARACTERS } from "./limits.js";

export class GrowingText {
  #element;
  #length = 0;
  /** @type {HTMLElement | null} */
  #block = null;
  #blockLength = 0;
  /** @type {Text | null} */
  #node = null;

  /** @param {HTMLElement} element empty, with white-space: pre-wrap */
  constructor(element) {
    this.#element = element;
  }

  /** Shows a text that begins with what is shown; any other text is shown afresh. @param {string} text */
  show(text) {
    if (text.length < this.#length || this.#differs(text)) this.clear();
    const more = text.slice(this.#length);
    this.#length = text.length;
    let start = 0;
    while (start < more.length) start = this.#append(more, start);
  }

  clear() {
    this.#element.replaceChildren();
    this.#length = 0;
    this.#block = this.#node = null;
  }

  /** Looks at the last node only: what is before it was compared when it was the last. @param {string} text */
  #differs(text) {
    if (this.#node === null) return false;
    return !text.startsWith(this.#node.data, this.#length - this.#node.length);
  }

  /** Appends one piece of one block and says where the next begins. @param {string} text @param {number} start */
  #append(text, start) {
    if (this.#block === null) {
      this.#block = document.createElement("div");
      this.#blockLength = 0;
      this.#node = null;
      this.#element.append(this.#block);
    }
    const blockEnd = this.#blockEnd(text, start);
    const room = NODE_CHARACTERS - (this.#node?.length ?? NODE_CHARACTERS);
    const end = notInside(text, Math.min(blockEnd, start + (room > 0 ? room : NODE_CHARACTERS)));
    const piece = text.slice(start, end);
    if (this.#node !== null && room > 0) this.#node.appendData(piece);
    else this.#block.append((this.#node = document.createTextNode(piece)));
    this.#blockLength += piece.length;
    if (end >= blockEnd) this.#block = null;
    return end;
  }

  /**
   * Where the block that is being filled ends in this text; past the text's end where it goes on.
   * @param {string} text
   * @param {number} start
   */
  #blockEnd(text, start) {
    const full = start + Math.max(0, BLOCK_CHARACTERS - this.#blockLength - 1);
    const line = text.indexOf("\n", full);
    const long = start + LINE_CHARACTERS - this.#blockLength;
    if (line !== -1 && line < long + LINE_CHARACTERS) return line + 1;
    if (text.length <= long) return Infinity;
    const space = text.indexOf(" ", Math.max(start, long));
    if (space !== -1 && space < long + LINE_CHARACTERS) return space + 1;
    return text.length < long + LINE_CHARACTERS ? Infinity : Math.max(start + 1, long + LINE_CHARACTERS);
  }
}

/** A place to cut that is not between the halves of a surrogate pair. @param {string} text @param {number} at */
function notInside(text, at) {
  const code = text.charCodeAt(at);
  return code >= 0xdc00 && code <= 0xdfff ? at + 1 : at;
}
