// Every bound of the page in one place, each with its reason.

/** Streams named in one request for the feed; the server refuses more. */
export const STREAMS_MAX = 32;
/** Seconds between looks at a stream that found no place in the feed. */
export const PARKED_POLL_MS = 3_000;
/** Several tabs that open together cause one new connection, not one each. */
export const REOPEN_PAUSE_MS = 15;
/** First and longest pause before the feed is tried again; each is cut by a random part of up to half. */
export const BACKOFF_FIRST_MS = 250;
export const BACKOFF_LONGEST_MS = 5_000;
/** The server sends a heartbeat each 15 s; two missed and a little more mean that the connection is dead. */
export const SILENCE_MS = 40_000;
/** A worker speaks as soon as it has started; one that is silent for so long was not loaded. */
export const WORKER_MS = 10_000;
/** Events posted to a tab that it has not yet taken; past it the tab reads the log itself when it wakes. */
export const UNTAKEN_MAX = 2_000;
/** Events a page of the log, read by a tab that joins late. */
export const PAGE_EVENTS = 200;
/** Pause before a failed page of the log is asked for again. */
export const PAGE_RETRY_MS = 1_000;
/** Messages a request, the most the server gives, and pages of them before the page stops asking. */
export const LIST_LIMIT = 100;
export const LIST_PAGES_MAX = 100;
/** Characters in one text node: appending to a giant one costs the square of its length. */
export const NODE_CHARACTERS = 4_096;
/** Characters after which the next line begins a block of its own, so that old lines are not laid out again. */
export const BLOCK_CHARACTERS = 2_048;
/** Characters in a line that nobody breaks: past twice this a block begins at a space, or anywhere. */
export const LINE_CHARACTERS = 8_192;
/** Pixels from the end of the transcript that still count as being at the end. */
export const PINNED_PIXELS = 32;
/** Milliseconds in which whole sentences are gathered before they are spoken together. */
export const SPEECH_MS = 2_500;
/** Characters in which the end of a sentence is looked for at a time. */
export const SENTENCE_CHARACTERS = 16_384;
/** Characters spoken at once; a listener reads the rest in the transcript. */
export const SPEECH_CHARACTERS = 1_200;
/** Characters of a question that become the title of its conversation. */
export const TITLE_CHARACTERS = 60;
/** Ranges of seen sequences kept a stream: a story without gap or echo has one. */
export const SEEN_RANGES_MAX = 32;
/** Characters the service takes in one question (1 MiB as UTF-8 is checked there). */
export const INPUT_CHARACTERS = 1_048_576;
/** Answers whose end is asked for when a conversation is opened: those a reader sees first. */
export const EXPLAINED_MAX = 50;
/** A connection that is back before this is no news to a person. */
export const BANNER_MS = 500;
