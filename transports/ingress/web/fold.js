// What a job's log says, event by event: pure, no page, no connection.
// `fold` over the whole log is what GET /api/jobs/{id} shows of status, items, usage and end.

/** @typedef {{ sequence: number, kind: string, at: string, data: any }} Event */
/**
 * @typedef {object} Item
 * @property {string} id
 * @property {string} type message, reasoning, tool_call, ...
 * @property {string} role
 * @property {number} index
 * @property {string} status in_progress, completed or incomplete
 * @property {string} [text]
 * @property {string} [arguments]
 * @property {string} [bytes] base64
 * @property {object[]} annotations
 */
/**
 * @typedef {object} JobView
 * @property {string} status
 * @property {string | null} reason
 * @property {string | null} model
 * @property {number} head sequence of the last event folded; 0 for none
 * @property {Item[]} items
 * @property {object | null} usage
 * @property {{ class: string, code: string, message: string } | null} error
 * @property {string | null} superseded_by
 * @property {string | null} started_at
 * @property {string | null} ended_at
 * @property {import("./approval.js").Asked[]} approvals what a person is asked and has not answered
 */

const TEXTUAL = new Set(["message", "reasoning", "refusal"]);

/** A job that waits, before its first event. @type {JobView} */
export const WAITING = Object.freeze({
  status: "queued",
  reason: null,
  model: null,
  head: 0,
  items: [],
  usage: null,
  error: null,
  superseded_by: null,
  started_at: null,
  ended_at: null,
  approvals: [],
});

/**
 * The view after one more event; a kind that is not known here moves the head and nothing else.
 * @param {JobView} view
 * @param {Event} event
 * @returns {JobView}
 */
export function fold(view, event) {
  const { kind, data, at } = event;
  const next = { ...view, head: event.sequence };
  switch (kind) {
    case "job.started":
      return { ...next, status: "running", model: data.model, started_at: at };
    case "item.started": {
      const { item_id: id, type, role, index } = data;
      const text = TEXTUAL.has(type) ? { text: "" } : {};
      return { ...next, items: [...view.items, { id, type, role, index, status: "in_progress", ...text, annotations: [] }] };
    }
    case "item.delta":
      return { ...next, items: view.items.map((item) => (item.id === data.item_id ? grown(item, data) : item)) };
    case "item.done":
      return { ...next, items: view.items.map((item) => (item.id === data.item_id ? data.item : item)) };
    case "item.retracted":
      return { ...next, items: view.items.filter((item) => item.id !== data.item_id) };
    case "approval.requested":
      return { ...next, approvals: [...view.approvals, data] };
    case "approval.resolved":
      return { ...next, approvals: view.approvals.filter((asked) => asked.approval_id !== data.approval_id) };
    case "usage":
      return { ...next, usage: data };
    case "job.ended":
      return {
        ...next,
        status: data.status,
        reason: data.reason ?? null,
        error: data.error ?? null,
        superseded_by: data.superseded_by ?? null,
        ended_at: at,
        approvals: [],
      };
    default:
      return next;
  }
}

/** @param {Item} item @param {any} delta @returns {Item} */
function grown(item, delta) {
  const next = { ...item };
  if (delta.text !== undefined) next.text = (item.text ?? "") + delta.text;
  if (delta.arguments !== undefined) next.arguments = (item.arguments ?? "") + delta.arguments;
  if (delta.bytes !== undefined) next.bytes = btoa(atob(item.bytes ?? "") + atob(delta.bytes));
  if (delta.annotation !== undefined) next.annotations = [...item.annotations, delta.annotation];
  return next;
}

/** What the job says to its reader: its messages and refusals, joined. @param {JobView} view */
export function spokenText(view) {
  return view.items.filter(isSpoken).map((item) => item.text ?? "").join("");
}

/** @param {Item} item */
export function isSpoken(item) {
  return item.type === "message" || item.type === "refusal";
}
