// The service's answers to this page: one function a call, every refusal one kind of error.

import { LIST_LIMIT, LIST_PAGES_MAX } from "./limits.js";

/** The service said no: its problem, in the words of RFC 9457. */
export class Refusal extends Error {
  /** @param {number} status @param {any} problem @param {number} retry_s */
  constructor(status, problem, retry_s) {
    super(problem?.errors?.[0]?.detail ?? problem?.detail ?? problem?.title ?? `The service answered ${status}.`);
    this.status = status;
    this.problem = problem ?? {};
    this.retry_s = retry_s;
  }

  /** The last part of the problem's type, such as job-active. */
  get name() {
    return String(this.problem.type ?? "").split(":").at(-1) ?? "";
  }
}

/**
 * @param {string} method
 * @param {string} path
 * @param {{ body?: object, key?: string }} [options] key: makes a repeated call safe
 * @returns {Promise<any>}
 */
export async function call(method, path, { body, key } = {}) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key !== undefined) headers["Idempotency-Key"] = key;
  const sent = body === undefined ? null : JSON.stringify(body);
  const response = await fetch(path, { method, headers, body: sent, cache: "no-store" });
  const answer = response.status === 204 ? null : await response.json().catch(() => null);
  if (response.ok) return answer;
  throw new Refusal(response.status, answer, Number(response.headers.get("Retry-After") ?? 1));
}

/**
 * All messages of a conversation after a place in its list, oldest first, and the place to go on from.
 * @param {string} conversation
 * @param {string | null} place
 */
export async function readMessages(conversation, place) {
  /** @type {import("./dialogue.js").Message[]} */
  const items = [];
  for (let page = 0; page < LIST_PAGES_MAX; page += 1) {
    const query = new URLSearchParams({ limit: String(LIST_LIMIT), ...(place === null ? {} : { cursor: place }) });
    const answer = await call("GET", `/api/conversations/${encodeURIComponent(conversation)}/messages?${query}`);
    items.push(...answer.items);
    if (answer.next_cursor === null) break;
    place = answer.next_cursor;
  }
  return { items, place };
}

/** @param {string} conversation */
export function readConversation(conversation) {
  return call("GET", `/api/conversations/${encodeURIComponent(conversation)}`);
}

/** The sequence of the last event of a conversation's log. @param {string} conversation @returns {Promise<number>} */
export async function readHead(conversation) {
  return (await call("GET", `/api/conversations/${encodeURIComponent(conversation)}/events?after=now&limit=1`)).head;
}

/** @param {string | null} place */
export function readConversations(place) {
  const query = new URLSearchParams({ limit: "50", ...(place === null ? {} : { cursor: place }) });
  return call("GET", `/api/conversations?${query}`);
}

/** @param {string} job */
export function readJob(job) {
  return call("GET", `/api/jobs/${encodeURIComponent(job)}`);
}

/** @param {string} job */
export function abortJob(job) {
  return call("POST", `/api/jobs/${encodeURIComponent(job)}/abort`, { body: {} });
}

/** @param {string} job @param {string} approval @param {{ answer: "approve" | "deny", content?: object }} body */
export function answerApproval(job, approval, body) {
  return call("POST", `/api/jobs/${encodeURIComponent(job)}/approvals/${encodeURIComponent(approval)}`, { body });
}

/** Whether there are tools that may be called. @returns {Promise<boolean>} */
export async function hasTools() {
  return (await call("GET", "/api/tools")).items.length > 0;
}

/** @returns {Promise<{ models: string[], chosen: string | null }>} */
export async function readModels() {
  const answer = await call("GET", "/api/models");
  const models = (answer.items ?? answer.models ?? []).map((/** @type {any} */ model) => model.id);
  return { models, chosen: answer.default ?? null };
}

export function endSession() {
  return call("DELETE", "/api/session");
}
