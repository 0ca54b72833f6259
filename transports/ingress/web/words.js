// How an end is said to a person: pure words, no page.

/** @typedef {import("./dialogue.js").Turn} Turn */

const INCOMPLETE = /** @type {Record<string, string>} */ ({
  length: "Unfinished: the model reached its length limit.",
  filter: "Unfinished: the provider's filter stopped the answer.",
  content_filter: "Unfinished: the provider's filter stopped the answer.",
  truncated: "Unfinished: the model's answer broke off.",
  transport_error: "Unfinished: the connection to the model was lost.",
  "tool-limit": "Unfinished: the model went on calling tools.",
});

/**
 * The state of an answer in plain words.
 * @param {Turn} turn
 * @returns {string}
 */
export function stateWords(turn) {
  const reason = turn.view?.reason ?? turn.job?.reason ?? "";
  const error = turn.view?.error ?? turn.job?.error ?? null;
  switch (turn.status) {
    case "sending":
      return "Sending…";
    case "queued":
      return "Waiting for the answer before it.";
    case "running":
      return turn.view?.approvals.length ? "Waiting for you." : "Writing…";
    case "completed":
      return "Complete.";
    case "incomplete":
      return INCOMPLETE[reason] ?? "Unfinished: the answer broke off.";
    case "failed":
      return reason === "crashed" ? "Failed: the service gave up on this answer." : failure(error);
    case "aborted":
      return "Stopped.";
    case "superseded":
      return "Replaced by a newer question.";
    case "interrupted":
      return "Interrupted: the service stopped before the answer was finished.";
    default:
      return "";
  }
}

/** @param {{ message?: string } | null} error */
function failure(error) {
  return error?.message ? `Failed: ${error.message}` : "Failed: the model answered with an error.";
}

/** What an item is called above its content. @param {string} type */
export function itemWords(type) {
  return { reasoning: "Reasoning", tool_call: "Tool call", tool_result: "Tool result", refusal: "Refusal" }[type] ?? type.replaceAll("_", " ");
}
