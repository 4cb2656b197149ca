/** Clients of OpenAI and Anthropic against a fake provider on loopback. */
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { intakeOf } from "../../src/sdk/driftlock.ts";
import { observeAnthropic, observeOpenAI } from "../../src/sdk/llm/index.ts";
import { Telling } from "./telling.ts";

const usage = { prompt_tokens: 42, completion_tokens: 17, total_tokens: 59 };
const completion = {
  id: "chatcmpl-1",
  object: "chat.completion",
  created: 1,
  model: "gpt-fake-2026",
  choices: [
    {
      index: 0,
      finish_reason: "tool_calls",
      message: {
        role: "assistant",
        content: null,
        tool_calls: [
          {
            id: "call_1",
            type: "function",
            function: { name: "get_weather", arguments: '{"city":"Berlin"}' },
          },
        ],
      },
    },
  ],
  usage,
};
const chunk = (delta: object, finish_reason: string | null = null) => ({
  id: "chatcmpl-2",
  object: "chat.completion.chunk",
  created: 1,
  model: "gpt-fake-2026",
  choices: [{ index: 0, delta, finish_reason }],
});
const chunks = [
  chunk({ role: "assistant", content: "It is " }),
  chunk({ content: "sunny." }),
  chunk({
    tool_calls: [
      { index: 0, id: "call_2", type: "function", function: { name: "umbrella", arguments: '{"op' } },
    ],
  }),
  chunk({ tool_calls: [{ index: 0, function: { arguments: 'en":false}' } }] }, "tool_calls"),
  { ...chunk({}), choices: [], usage },
];
const response = {
  id: "resp_1",
  object: "response",
  created_at: 1,
  status: "completed",
  model: "gpt-fake-2026",
  output: [
    {
      id: "m",
      type: "message",
      role: "assistant",
      status: "completed",
      content: [{ type: "output_text", text: "Sunny.", annotations: [] }],
    },
  ],
  usage: {
    input_tokens: 5,
    output_tokens: 2,
    total_tokens: 7,
    input_tokens_details: { cached_tokens: 3 },
    output_tokens_details: { reasoning_tokens: 0 },
  },
};
const claude = {
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: "claude-fake",
  content: [
    { type: "text", text: "Let me look." },
    { type: "tool_use", id: "toolu_1", name: "get_weather", input: { city: "Berlin" } },
  ],
  stop_reason: "tool_use",
  stop_sequence: null,
  usage: { input_tokens: 10, output_tokens: 7, cache_read_input_tokens: 30, cache_creation_input_tokens: 2 },
};
const claudeEvents = [
  {
    type: "message_start",
    message: { ...claude, content: [], stop_reason: null, usage: { input_tokens: 10, output_tokens: 1 } },
  },
  { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
  { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Let me " } },
  { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "look." } },
  { type: "content_block_stop", index: 0 },
  {
    type: "content_block_start",
    index: 1,
    content_block: { type: "tool_use", id: "toolu_1", name: "get_weather", input: {} },
  },
  { type: "content_block_delta", index: 1, delta: { type: "input_json_delta", partial_json: '{"city":' } },
  { type: "content_block_delta", index: 1, delta: { type: "input_json_delta", partial_json: '"Berlin"}' } },
  { type: "content_block_stop", index: 1 },
  {
    type: "message_delta",
    delta: { stop_reason: "tool_use", stop_sequence: null },
    usage: { output_tokens: 7 },
  },
  { type: "message_stop" },
];

let server: Server;
let url: string;
let driftlock: Telling;

function answer(path: string, request: { stream?: boolean; model?: string }, to: ServerResponse): void {
  const json = (status: number, body: object) => {
    to.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  };
  if (request.model === "limited") {
    json(429, { error: { type: "rate_limit_error", message: "Rate limit" } });
    return;
  }
  if (!request.stream) {
    json(200, path.endsWith("/completions") ? completion : path.endsWith("/responses") ? response : claude);
    return;
  }
  to.writeHead(200, { "content-type": "text/event-stream" });
  if (path.endsWith("/messages")) {
    for (const event of claudeEvents) to.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
    to.end();
    return;
  }
  const events: object[] = path.endsWith("/completions")
    ? chunks
    : [
        {
          type: "response.created",
          sequence_number: 0,
          response: { ...response, status: "in_progress", output: [] },
        },
        { type: "response.completed", sequence_number: 1, response },
      ];
  for (const event of events) to.write(`data: ${JSON.stringify(event)}\n\n`);
  if (request.model === "cut") to.write('data: {"error":{"message":"overloaded"}}\n\n');
  to.end("data: [DONE]\n\n");
}

beforeAll(async () => {
  server = createServer(async (request, to) => {
    let body = "";
    for await (const part of request) body += part;
    answer(request.url!, JSON.parse(body), to);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
});
beforeEach(() => {
  driftlock = new Telling();
});

const plain = () => new OpenAI({ apiKey: "k", baseURL: `${url}/v1`, maxRetries: 0 });
const openai = () => observeOpenAI(plain(), { driftlock, conversation: "c-1" });
const plainAnthropic = () => new Anthropic({ apiKey: "k", baseURL: url, maxRetries: 0 });
const anthropic = () => observeAnthropic(plainAnthropic(), { driftlock, conversation: () => "c-2" });

const question = {
  model: "gpt-fake",
  temperature: 0.2,
  messages: [
    { role: "system" as const, content: "You are terse." },
    { role: "user" as const, content: [{ type: "text" as const, text: "Weather in Berlin?" }] },
  ],
};
const asked = [
  { role: "system", parts: [{ type: "text", content: "You are terse." }] },
  { role: "user", parts: [{ type: "text", content: "Weather in Berlin?" }] },
];
const weather = { type: "tool_call", id: "call_1", name: "get_weather", arguments: { city: "Berlin" } };

async function collect(from: AsyncIterable<unknown>): Promise<unknown[]> {
  const items: unknown[] = [];
  for await (const item of from) items.push(item);
  return items;
}

/** Returns the attributes of the only span, with its messages parsed, once the engine has judged it. */
async function attributes(name = "chat gpt-fake") {
  await driftlock.close();
  expect(driftlock.stats()).toMatchObject({ accepted: 1, judged: 1, errors: 0 });
  expect(driftlock.spans).toMatchObject([{ name, kind: "client", duration: expect.any(Number) }]);
  const found: { [name: string]: unknown } = { ...driftlock.spans[0]!.attributes };
  for (const key of ["gen_ai.input.messages", "gen_ai.output.messages"]) {
    if (found[key] !== undefined) found[key] = JSON.parse(String(found[key]));
  }
  return found;
}

test("OpenAI: a completion comes back as it is, and is a span", async () => {
  const pending = openai().chat.completions.create(question);
  const { data, response: raw } = await pending.withResponse();
  expect(raw.status).toBe(200);
  expect(data).toEqual(await plain().chat.completions.create(question));
  expect(await pending).toBe(data);
  expect(await attributes()).toEqual({
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-fake",
    "gen_ai.request.temperature": 0.2,
    "gen_ai.conversation.id": "c-1",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.response.model": "gpt-fake-2026",
    "gen_ai.response.finish_reasons": ["tool_calls"],
    "gen_ai.usage.input_tokens": 42,
    "gen_ai.usage.output_tokens": 17,
    "gen_ai.input.messages": asked,
    "gen_ai.output.messages": [{ role: "assistant", parts: [weather], finish_reason: "tool_calls" }],
  });
});

const streamed = [
  {
    role: "assistant",
    parts: [
      { type: "text", content: "It is sunny." },
      { type: "tool_call", id: "call_2", name: "umbrella", arguments: { open: false } },
    ],
    finish_reason: "tool_calls",
  },
];

test("OpenAI: the chunks of a stream come as they are, and are one span", async () => {
  const got = [];
  for await (const each of await openai().chat.completions.create({ ...question, stream: true }))
    got.push(each);
  expect(got).toEqual(chunks);
  expect(await attributes()).toMatchObject({
    "gen_ai.output.messages": streamed,
    "gen_ai.usage.output_tokens": 17,
    "gen_ai.response.time_to_first_chunk": expect.any(Number),
  });
});

test("OpenAI: the helper for streams and two readers of one work as before", async () => {
  const stream = openai().chat.completions.stream(question);
  expect((await stream.finalMessage()).content).toBe("It is sunny.");
  expect(await attributes()).toMatchObject({ "gen_ai.output.messages": streamed });

  driftlock = new Telling();
  const [one, two] = (await openai().chat.completions.create({ ...question, stream: true })).tee();
  const both = await Promise.all([one, two].map(collect));
  expect(both).toEqual([chunks, chunks]);
  expect(await attributes()).toMatchObject({ "gen_ai.output.messages": streamed });
});

test("OpenAI: whoever stops reading a stream has a span of what came so far", async () => {
  for await (const _ of await openai().chat.completions.create({ ...question, stream: true })) break;
  expect(await attributes()).toMatchObject({
    "gen_ai.output.messages": [{ role: "assistant", parts: [{ type: "text", content: "It is " }] }],
  });
});

test("OpenAI: errors are the client's own, before and within a stream", async () => {
  const limited = { ...question, model: "limited" };
  await expect(openai().chat.completions.create(limited)).rejects.toBeInstanceOf(OpenAI.RateLimitError);
  expect(await attributes("chat limited")).toMatchObject({ "error.type": "RateLimitError" });
  expect(driftlock.spans[0]!.error).toContain("429");

  driftlock = new Telling();
  const stream = await openai().chat.completions.create({ ...question, model: "cut", stream: true });
  await expect(collect(stream)).rejects.toBeInstanceOf(OpenAI.APIError);
  expect(await attributes("chat cut")).toMatchObject({
    "error.type": expect.any(String),
    "gen_ai.output.messages": streamed,
  });
});

test("OpenAI: the raw response stays unread for whoever asks for it", async () => {
  const raw = await openai().chat.completions.create(question).asResponse();
  expect(await raw.json()).toEqual(completion);
  await driftlock.close();
  expect(driftlock.spans).toEqual([]);
});

test.each([false, true])("OpenAI: responses are spans, streamed: %s", async (stream) => {
  const request = { model: "gpt-fake", instructions: "You are terse.", input: "Weather in Berlin?" };
  if (stream) await collect(await openai().responses.create({ ...request, stream }));
  else expect((await openai().responses.create(request)).output_text).toBe("Sunny.");
  expect(await attributes()).toMatchObject({
    "gen_ai.input.messages": asked,
    "gen_ai.output.messages": [
      { role: "assistant", parts: [{ type: "text", content: "Sunny." }], finish_reason: "stop" },
    ],
    "gen_ai.usage.input_tokens": 5,
    "gen_ai.usage.cache_read.input_tokens": 3,
  });
});

const prompt = {
  model: "claude-fake",
  max_tokens: 100,
  system: "You are terse.",
  messages: [{ role: "user" as const, content: "Weather in Berlin?" }],
};
const said = [
  {
    role: "assistant",
    parts: [
      { type: "text", content: "Let me look." },
      { type: "tool_call", id: "toolu_1", name: "get_weather", arguments: { city: "Berlin" } },
    ],
    finish_reason: "tool_calls",
  },
];

test("OpenAI: refusals are marked", async () => {
  const refusal = "I can't share that.";
  const choices = [
    { index: 0, finish_reason: "stop", message: { role: "assistant", content: null, refusal } },
  ];
  const chat = { completions: { create: async (_: object) => ({ ...completion, choices }) } };
  await observeOpenAI({ chat }, { driftlock }).chat.completions.create(question);
  expect(await attributes()).toMatchObject({
    "gen_ai.output.messages": [{ role: "assistant", parts: [{ type: "refusal", content: refusal }] }],
  });
});

test("what is said is judged in streams of its own", async () => {
  await openai().chat.completions.create(question);
  await driftlock.flush();
  const { engine } = await intakeOf(driftlock).load();
  const { streams } = await engine.statistics(100);
  const agent = "logs service.name=shop gen_ai.request.model=gpt-fake";
  expect(streams.map(({ key }) => key)).toContain(`${agent} llm.turn=tool_call`);
  await driftlock.close();
});

test("Anthropic: a message comes back as it is, and is a span", async () => {
  expect(await anthropic().messages.create(prompt)).toEqual(await plainAnthropic().messages.create(prompt));
  expect(await attributes("chat claude-fake")).toEqual({
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-fake",
    "gen_ai.request.max_tokens": 100,
    "gen_ai.conversation.id": "c-2",
    "gen_ai.response.id": "msg_1",
    "gen_ai.response.model": "claude-fake",
    "gen_ai.response.finish_reasons": ["tool_calls"],
    "gen_ai.usage.input_tokens": 42,
    "gen_ai.usage.output_tokens": 7,
    "gen_ai.usage.cache_read.input_tokens": 30,
    "gen_ai.usage.cache_write.input_tokens": 2,
    "gen_ai.input.messages": asked,
    "gen_ai.output.messages": said,
  });
});

test("Anthropic: streams and the helper for them are spans", async () => {
  const events = await collect(await anthropic().messages.create({ ...prompt, stream: true }));
  expect(events).toEqual(claudeEvents);
  expect(await attributes("chat claude-fake")).toMatchObject({ "gen_ai.output.messages": said });

  driftlock = new Telling();
  const final = await anthropic().messages.stream(prompt).finalMessage();
  expect(final.content).toMatchObject(claude.content);
  expect(await attributes("chat claude-fake")).toMatchObject({ "gen_ai.output.messages": said });

  driftlock = new Telling();
  const failing = anthropic().messages.stream({ ...prompt, model: "limited" });
  await expect(failing.finalMessage()).rejects.toBeInstanceOf(Anthropic.RateLimitError);
  expect(await attributes("chat limited")).toMatchObject({ "error.type": expect.stringContaining("Error") });
});

test("a client of another make, without texts, and one that lacks the methods", async () => {
  const chat = { completions: { create: async (_: object) => completion } };
  const client = observeOpenAI(
    { chat },
    {
      driftlock,
      content: false,
      conversation: () => {
        throw new Error("no");
      },
    },
  );
  expect(await client.chat.completions.create({ model: "gpt-fake", messages: "odd" })).toBe(completion);
  const found = await attributes();
  expect(found).not.toHaveProperty(["gen_ai.input.messages"]);
  expect(found).not.toHaveProperty(["gen_ai.conversation.id"]);
  expect(observeAnthropic({ other: 1 }, { driftlock })).toEqual({ other: 1 });
});
