// Runs the protocol's own black-box suite against the server at BASE.
import { runConformanceTests } from "@durable-streams/server-conformance-tests";

runConformanceTests({
  baseUrl: process.env.BASE,
  longPollTimeoutMs: Number(process.env.LONG_POLL_MS),
  subscriptions: true,
});
