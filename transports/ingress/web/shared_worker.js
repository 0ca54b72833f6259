// The worker that all tabs of one browser share: it holds the hub, and through it the one connection.
// A tab holds a lock of its own name while it lives, so its end is known however it ends.

import { Hub } from "./hub.js";

const hub = new Hub();

self.addEventListener("connect", (event) => {
  const port = /** @type {MessageEvent} */ (event).ports[0];
  const tab = hub.attach((message) => port.postMessage(message));
  port.addEventListener("message", ({ data }) => {
    if (data.op === "bye") hub.detach(tab);
    else if (data.op === "hello") void navigator.locks?.request(data.lock, () => hub.detach(tab));
    else hub.receive(tab, data);
  });
  port.start();
});
self.addEventListener("online", () => hub.online());
