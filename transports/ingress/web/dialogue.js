// One conversation as turns, a question with its answer: pure, no page, no connection.
// It is fed by three sources that may overlap and come in any order: the list of messages, the conversation's
// log and the logs of its jobs. Each is applied by id, so that what is told twice is there once.
// An answer is over when its end and all its words are here, and then nothing takes them back: words come from the
// list of messages or from the answer's own log, and where that log is followed it alone tells them and the end.

import { fold, spokenText, WAITING } from "./fold.js";

/** @typedef {import("./fold.js").Event} Event */
/** @typedef {import("./fold.js").JobView} JobView */
/** @typedef {{ id: string, role: string, job_id: string | null, parts: { type: string, text: string }[], status?: string }} Message */
/**
 * @typedef {object} Turn
 * @property {string} job_id the job that answers; a message without one stands alone under its own id
 * @property {string | null} question
 * @property {string | null} answer the stored text, where the log is not followed
 * @property {string} status
 * @property {JobView | null} view the log, where it is followed
 * @property {boolean} live its log is to be followed to its end
 * @property {any} job what GET /api/jobs/{id} said, where the end wants explaining
 */
/**
 * @typedef {object} Dialogue
 * @property {Turn[]} turns in the order of their questions
 * @property {Set<string>} known ids of the messages whose text is here
 * @property {string | null} current the job that runs, or null
 */

/** @type {Dialogue} */
export const EMPTY = Object.freeze({ turns: [], known: new Set(), current: null });

const OVER = new Set(["completed", "incomplete", "failed", "aborted", "superseded", "interrupted"]);

/** @param {string} status */
export function isOver(status) {
  return OVER.has(status);
}

/** @param {Dialogue} dialogue @param {Message[]} messages @returns {Dialogue} */
export function withMessages(dialogue, messages) {
  const known = new Set(dialogue.known);
  let turns = dialogue.turns;
  for (const message of messages) {
    const id = message.job_id ?? message.id;
    const text = message.parts.map((part) => part.text ?? "").join("");
    known.add(message.id);
    if (message.role === "user") turns = changed(turns, id, { question: text });
    else if (!isFollowed(turnOf(turns, id))) turns = changed(turns, id, { answer: text, ...statusOf(message) });
  }
  return { ...dialogue, known, turns };
}

/** @param {Message} message */
function statusOf(message) {
  return message.status !== undefined && isOver(message.status) ? { status: message.status } : {};
}

/**
 * What a caller learns from a job's row: POST's answer, or GET.
 * @param {Dialogue} dialogue
 * @param {any} job
 * @returns {Dialogue}
 */
export function withJob(dialogue, job) {
  const turn = turnOf(dialogue.turns, job.id);
  const ended = isOver(job.status);
  const over = turn !== undefined && isOver(turn.status);
  if (over && !ended) return dialogue; // The row is older than what is here.
  const running = job.status === "running";
  const current = running ? job.id : dialogue.current === job.id ? null : dialogue.current;
  if (over) return { ...dialogue, current, turns: changed(dialogue.turns, job.id, { job }) };
  // A row that has ended brings no words; where there are any, the log tells them, and the end after them.
  const live = running || isFollowed(turn) || (ended && job.items.length > 0);
  const status = live && ended ? "running" : job.status;
  return { ...dialogue, current, turns: changed(dialogue.turns, job.id, { status, job, live }) };
}

/** @param {Dialogue} dialogue @param {Event} event of the conversation's log @returns {Dialogue} */
export function withConversationEvent(dialogue, event) {
  const { job_id } = event.data;
  const current = dialogue.current === job_id ? null : dialogue.current;
  const known = turnOf(dialogue.turns, job_id);
  if (known !== undefined && isOver(known.status)) return dialogue;
  switch (event.kind) {
    case "message.added":
      return event.data.role === "user" ? { ...dialogue, turns: changed(dialogue.turns, job_id, {}) } : dialogue;
    case "job.queued":
      return { ...dialogue, turns: changed(dialogue.turns, job_id, { status: "queued" }) };
    case "job.current":
      return { ...dialogue, current: job_id, turns: changed(dialogue.turns, job_id, { status: "running", live: true }) };
    case "job.superseded":
      return { ...dialogue, current };
    case "job.ended":
      // The words are not here yet: the answer's own log tells them, and the end.
      return { ...dialogue, current, turns: changed(dialogue.turns, job_id, { live: true }) };
    default:
      return dialogue;
  }
}

/** @param {Dialogue} dialogue @param {string} job_id @param {Event[]} events @returns {Dialogue} */
export function withJobEvents(dialogue, job_id, events) {
  const turn = turnOf(dialogue.turns, job_id);
  const view = events.reduce(fold, turn?.view ?? WAITING);
  const over = isOver(view.status);
  const current = over && dialogue.current === job_id ? null : dialogue.current;
  return { ...dialogue, current, turns: changed(dialogue.turns, job_id, { view, status: view.status, live: !over }) };
}

/** What the answer says so far: by its log where that is followed. @param {Turn} turn */
export function saidIn(turn) {
  return turn.view === null ? (turn.answer ?? "") : spokenText(turn.view);
}

/** The turns whose logs are to be followed. @param {Dialogue} dialogue @returns {Turn[]} */
export function liveTurns(dialogue) {
  return dialogue.turns.filter((turn) => turn.live);
}

/** @param {Turn[]} turns @param {string} job_id */
function turnOf(turns, job_id) {
  return turns.find((turn) => turn.job_id === job_id);
}

/** @param {Turn | undefined} turn */
function isFollowed(turn) {
  return turn !== undefined && (turn.live || turn.view !== null);
}

/** @param {Turn[]} turns @param {string} job_id @param {Partial<Turn>} change @returns {Turn[]} */
function changed(turns, job_id, change) {
  const at = turns.findLastIndex((turn) => turn.job_id === job_id);
  if (at !== -1) return turns.with(at, { ...turns[at], ...change });
  const turn = { job_id, question: null, answer: null, status: "unknown", view: null, live: false, job: null };
  return [...turns, { ...turn, ...change }];
}
