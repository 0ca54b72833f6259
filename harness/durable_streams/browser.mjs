// What a standard EventSource sees of a stream of four events that is closed, or closes while it
// watches: each event once, at most one reconnect after the close, 204, and then it stays closed.
import { EventSource } from "eventsource";

const base = process.env.BASE;
const json = { "content-type": "application/json" };
const SETTLED_MS = 8000; // more than two reconnects would take

async function watch(path) {
  const seen = [];
  const statuses = [];
  const source = new EventSource(`${base}${path}?offset=-1&live=sse`, {
    fetch: async (url, init) => {
      const answer = await fetch(url, init);
      statuses.push(answer.status);
      return answer;
    },
  });
  source.addEventListener("data", (event) => seen.push(...JSON.parse(event.data)));
  await new Promise((resolve) => setTimeout(resolve, SETTLED_MS));
  const state = source.readyState;
  source.close();
  return { seen, statuses, state };
}

async function send(method, path, body, headers) {
  await fetch(base + path, { method, headers: { ...json, ...headers }, body });
}

function tell(found, what) {
  const holds =
    JSON.stringify(found.seen) === "[1,2,3,4]" &&
    found.statuses.length === 2 &&
    found.statuses[1] === 204 &&
    found.state === EventSource.CLOSED;
  console.log(holds ? "passed" : "FAILED", what, JSON.stringify(found));
}

const closed = "/v1/stream/browser/closed";
await send("PUT", closed, "[1,2,3,4]", { "stream-closed": "true" });
const live = "/v1/stream/browser/live";
await send("PUT", live, "[1,2,3]");
const watching = Promise.all([watch(closed), watch(live)]);
setTimeout(() => send("POST", live, "4", { "stream-closed": "true" }), 500);
const [first, second] = await watching;
tell(first, "EventSource: a closed stream of 4 events");
tell(second, "EventSource: a stream that closes as it is watched");
