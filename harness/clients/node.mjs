// The clients of Node: openai, the AI SDK's two providers, and its chat transport, over loopback.
// Run by `harness.clients.main` beside the packages, with BASE in the environment.

import assert from "node:assert/strict";
import OpenAI from "openai";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenResponses } from "@ai-sdk/open-responses";
import { AbstractChat, DefaultChatTransport, jsonSchema, stepCountIs, streamText, tool } from "ai";

const BASE = process.env.BASE;
const TEXT = "Hello from upstream.";
const THOUGHT = "Let me think.";
const QUESTION = "What is the weather in Berlin?";
const PLACE = { location: "Berlin" };
const PARAMETERS = {
  type: "object",
  properties: { location: { type: "string" } },
  required: ["location"],
};
const FUNCTION = { name: "get_weather", parameters: PARAMETERS };
const messages = [{ role: "user", content: QUESTION }];
let failed = 0;

async function check(name, run) {
  try {
    await run();
    console.log(`passed ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${name}: ${String(error?.stack ?? error).slice(0, 800)}`);
  }
}

// --- openai (npm)

const openai = new OpenAI({ baseURL: `${BASE}/v1`, apiKey: "any", maxRetries: 0 });
const tools = [{ type: "function", function: FUNCTION }];

await check("openai (npm): chat whole", async () => {
  const made = await openai.chat.completions.create({ model: "up/thinker", messages });
  assert.equal(made.choices[0].message.content, TEXT);
  assert.equal(made.choices[0].message.reasoning_content, THOUGHT);
  assert.equal(made.choices[0].finish_reason, "stop");
  assert.equal(made.usage.total_tokens, 18);
});

await check("openai (npm): chat streamed", async () => {
  const asked = { model: "up/thinker", messages, stream: true };
  let [text, thought, usage] = ["", "", null];
  const options = { stream_options: { include_usage: true } };
  for await (const chunk of await openai.chat.completions.create({ ...asked, ...options })) {
    usage = chunk.usage ?? usage;
    text += chunk.choices[0]?.delta.content ?? "";
    thought += chunk.choices[0]?.delta.reasoning_content ?? "";
  }
  assert.deepEqual([text, thought, usage.prompt_tokens], [TEXT, THOUGHT, 11]);
  assert.equal(usage.completion_tokens_details.reasoning_tokens, 4);
});

await check("openai (npm): chat calls a tool and tells its answer", async () => {
  const made = await openai.chat.completions.create({ model: "up/caller", messages, tools });
  const [message, call] = [made.choices[0].message, made.choices[0].message.tool_calls[0]];
  assert.deepEqual(JSON.parse(call.function.arguments), PLACE);
  const told = { role: "tool", tool_call_id: call.id, content: "Sunny." };
  const after = { model: "echo", messages: [...messages, message, told], tools };
  const answer = await openai.chat.completions.create(after);
  assert.equal(answer.choices[0].message.content, "Sunny.");
  const asked = { model: "up/caller", messages, tools };
  const streamed = await openai.chat.completions.stream(asked).finalChatCompletion();
  assert.deepEqual(JSON.parse(streamed.choices[0].message.tool_calls[0].function.arguments), PLACE);
});

await check("openai (npm): responses whole", async () => {
  const made = await openai.responses.create({ model: "up/thinker", input: QUESTION });
  assert.equal(made.output_text, TEXT);
  assert.equal(made.output.find((item) => item.type === "reasoning").summary[0].text, THOUGHT);
  assert.deepEqual([made.usage.input_tokens, made.usage.output_tokens], [11, 7]);
  assert.equal((await openai.responses.retrieve(made.id)).output_text, TEXT);
});

await check("openai (npm): responses streamed", async () => {
  const stream = openai.responses.stream({ model: "up/thinker", input: QUESTION });
  const whole = await stream.finalResponse();
  assert.equal(whole.output.find((item) => item.type === "message").content[0].text, TEXT);
  assert.equal(whole.usage.output_tokens_details.reasoning_tokens, 4);
});

await check("openai (npm): responses call a tool and go on from it", async () => {
  const flat = [{ type: "function", strict: false, ...FUNCTION }];
  const asked = { model: "up/caller", input: QUESTION, tools: flat };
  const made = await openai.responses.create(asked);
  const call = made.output.find((item) => item.type === "function_call");
  assert.deepEqual(JSON.parse(call.arguments), PLACE);
  const told = { type: "function_call_output", call_id: call.call_id, output: "Sunny." };
  const after = { model: "echo", input: [told], previous_response_id: made.id };
  assert.equal((await openai.responses.create(after)).output_text, "Sunny.");
});

// --- the AI SDK's providers

const provider = createOpenAI({ baseURL: `${BASE}/v1`, apiKey: "any" });
const open = createOpenResponses({ name: "ours", url: `${BASE}/v1/responses`, apiKey: "any" });
const weather = (asked) =>
  tool({
    description: "Tell the weather.",
    inputSchema: jsonSchema(PARAMETERS),
    execute: async ({ location }) => {
      asked.push(location);
      return "Sunny.";
    },
  });

async function speaks(name, model, { thinks }) {
  await check(`${name}: text, thoughts and usage`, async () => {
    const result = streamText({ model: model("up/thinker"), prompt: QUESTION, maxRetries: 0 });
    assert.equal(await result.text, TEXT);
    assert.equal((await result.reasoningText) ?? "", thinks ? THOUGHT : "");
    const usage = await result.usage;
    assert.deepEqual([usage.inputTokens, usage.outputTokens], [11, 7]);
    assert.equal(await result.finishReason, "stop");
    assert.equal(usage.outputTokenDetails?.reasoningTokens ?? usage.reasoningTokens, 4);
  });
  await check(`${name}: tools`, async () => {
    const asked = [];
    const once = { prompt: QUESTION, tools: { get_weather: weather(asked) }, maxRetries: 0 };
    const called = streamText({ model: model("up/caller"), ...once });
    assert.deepEqual((await called.toolCalls)[0].input, PLACE);
    const looped = streamText({ model: model("echo"), ...once, stopWhen: stepCountIs(3) });
    assert.equal(await looped.text, "Sunny.");
    assert.deepEqual(asked, ["Berlin", QUESTION]);
  });
}

await speaks("@ai-sdk/openai chat", (id) => provider.chat(id), { thinks: false });
await speaks("@ai-sdk/openai responses", (id) => provider.responses(id), { thinks: true });
await speaks("@ai-sdk/open-responses", (id) => open(id), { thinks: true });

// --- useChat without a page: the class behind it, and its transport

class State {
  constructor() {
    this.messages = [];
    this.status = "ready";
    this.error = undefined;
  }
  pushMessage = (message) => (this.messages = [...this.messages, message]);
  popMessage = () => (this.messages = this.messages.slice(0, -1));
  replaceMessage = (index, message) => (this.messages = this.messages.with(index, message));
  snapshot = (value) => structuredClone(value);
}

class Chat extends AbstractChat {}

function chat(model, more = {}, body = {}) {
  const transport = new DefaultChatTransport({
    api: `${BASE}/api/chat`,
    body: { model, ...body },
  });
  return new Chat({ state: new State(), transport, ...more });
}

const parts = (talk, type) => talk.lastMessage.parts.filter((part) => part.type === type);

await check("ai transport: text, thoughts and usage", async () => {
  const talk = chat("up/thinker");
  await talk.sendMessage({ text: QUESTION });
  assert.deepEqual([talk.error, talk.status], [undefined, "ready"]);
  assert.equal(parts(talk, "text")[0].text, TEXT);
  assert.equal(parts(talk, "reasoning")[0].text, THOUGHT);
  assert.deepEqual(talk.lastMessage.metadata.usage, {
    inputTokens: 11,
    cachedInputTokens: 3,
    outputTokens: 7,
    reasoningTokens: 4,
    totalTokens: 18,
  });
  await talk.regenerate();
  assert.equal(parts(talk, "text")[0].text, TEXT);
  assert.equal(talk.messages.length, 2);
});

await check("ai transport: tools", async () => {
  const flat = [{ type: "function", ...FUNCTION }];
  const talk = chat("echo", {}, { tools: flat });
  await talk.sendMessage({ text: QUESTION });
  const [call] = parts(talk, "tool-get_weather");
  assert.deepEqual([call.state, call.input], ["input-available", { location: QUESTION }]);
  await talk.addToolOutput({
    tool: "get_weather",
    toolCallId: call.toolCallId,
    output: "Sunny.",
  });
  await talk.sendMessage();
  assert.equal(parts(talk, "text")[0].text, "Sunny.");
  assert.equal(talk.messages.length, 2);
  const called = chat("up/caller", {}, { tools: flat });
  await called.sendMessage({ text: QUESTION });
  assert.deepEqual(parts(called, "tool-get_weather")[0].input, PLACE);
});

await check("ai transport: resume while it runs, and nothing after", async () => {
  const first = chat("up/slow", { id: "resumed" });
  const second = chat("up/slow", { id: "resumed" });
  const sent = first.sendMessage({ text: QUESTION });
  while (first.lastMessage?.role !== "assistant" || !parts(first, "text").length) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await second.resumeStream();
  assert.equal(second.error, undefined);
  await sent;
  assert.equal(parts(second, "text")[0].text, TEXT);
  assert.equal(second.lastMessage.id, first.lastMessage.id);
  const third = chat("up/slow", { id: "resumed" });
  await third.resumeStream();
  assert.deepEqual(third.messages, []);
});

await check("ai transport: what broke off is an error", async () => {
  const talk = chat("up/broken");
  await talk.sendMessage({ text: QUESTION });
  assert.equal(talk.status, "error");
  assert.match(talk.error.message, /broke off/);
  assert.equal(parts(talk, "text")[0].text, "Hello ");
});

process.exit(failed ? 1 : 0);
