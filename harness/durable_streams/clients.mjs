// The protocol's JavaScript client reads a live job to its end, and again from its middle.
import { stream } from "@durable-streams/client";

const base = process.env.BASE;
const json = { "content-type": "application/json" };

async function post(path, body) {
  const answer = await fetch(base + path, {
    method: "POST",
    headers: json,
    body: JSON.stringify(body),
  });
  return answer.json();
}

async function begin() {
  const talk = await post("/api/conversations", {});
  const job = await post(`/api/conversations/${talk.id}/jobs`, {
    input: "go",
    model: "synthetic/tokens",
    options: { count: 100, interval_ms: 10 },
  });
  return job.id;
}

async function open(job, live, offset) {
  return stream({ url: `${base}/v1/stream/jobs/${job}`, live, offset, json: true });
}

async function readAll(job, live, offset) {
  const found = [];
  for await (const item of (await open(job, live, offset)).jsonStream()) {
    found.push(item);
  }
  return found;
}

async function readSome(job, live, count) {
  const found = [];
  const answer = await open(job, live, "-1");
  return new Promise((resolve) => {
    const leave = answer.subscribeJson((batch) => {
      found.push(...batch.items);
      if (found.length >= count) {
        leave();
        answer.cancel();
        resolve({ found, offset: batch.offset });
      }
    });
  });
}

function tell(found, truth, what) {
  const same = JSON.stringify(found) === JSON.stringify(truth);
  console.log(same ? "passed" : "FAILED", what, `(${found.length} events)`);
}

async function events(job) {
  return (await (await fetch(`${base}/api/jobs/${job}/events?limit=1000`)).json()).events;
}

for (const live of ["sse", "long-poll"]) {
  const job = await begin();
  tell(await readAll(job, live, "-1"), await events(job), `javascript ${live}: a live job to its end`);
  const other = await begin();
  const { found, offset } = await readSome(other, live, 30);
  found.push(...(await readAll(other, live, offset)));
  tell(found, await events(other), `javascript ${live}: left in the middle of a live job, and back`);
}
