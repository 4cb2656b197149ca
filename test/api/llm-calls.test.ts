import { fromBinary } from "@bufbuild/protobuf";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { ExportTraceServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import { Span_SpanKind, Status_StatusCode } from "../../src/gen/opentelemetry/proto/trace/v1/trace_pb.js";
import type { ExportRequest, PartialSuccess } from "../../src/otlp/protocol.ts";
import { startReceivers } from "../../src/receive/index.ts";
import { attributesOf } from "../generate/read-spans.ts";
import { silent } from "../store/fixtures.ts";
import { afterwards, forFile, problemOf, type Running, start } from "./support.ts";

let running: Running;
let taken: ExportRequest[];
let consume: () => Promise<PartialSuccess | undefined>;

beforeAll(async () => {
  const { receive } = configSchema.parse({
    receive: { grpc: { enabled: false }, http: { endpoint: "127.0.0.1:0" } },
  });
  const hooks = {
    log: silent,
    onRequest() {},
    onRequestCut() {},
    onConnectionRefused() {},
    onConnectionClosed() {},
  };
  running = await forFile(async () => {
    const receivers = await startReceivers(
      receive,
      (request) => {
        taken.push(request);
        return consume();
      },
      hooks,
    );
    afterwards(() => receivers.close(0));
    return start({}, { take: receivers.take });
  });
});

beforeEach(() => {
  taken = [];
  consume = async () => undefined;
});

function post(body: unknown, type = "application/json"): Promise<Response> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return running.get("/v1/llm", { method: "POST", body: text, headers: { "content-type": type } });
}

/** Sends what is valid, and returns the spans that it becomes. */
async function spansOf(body: unknown) {
  const response = await post(body);
  expect(response.status, await response.clone().text()).toBe(200);
  expect(taken[0]).toMatchObject({ signal: "traces", tenant: "default" });
  const { resourceSpans } = fromBinary(ExportTraceServiceRequestSchema, taken.at(-1)!.body);
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans[0]!.spans.map((span) => ({
      ...span,
      resource: attributesOf(resource!.attributes),
      attributes: attributesOf(span.attributes),
    })),
  );
}

const messages = (span: { attributes: Map<string, unknown> }, key: string): unknown =>
  JSON.parse(String(span.attributes.get(`gen_ai.${key}.messages`)));
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

describe("calls of language models", () => {
  const call = {
    timestamp: "2026-01-31T12:00:00.5Z",
    duration: 2.25,
    time_to_first_chunk: 0.4,
    service: "helpdesk",
    resource: { "host.name": "a1" },
    attributes: { "user.id": 9_007_199_254_740_991 },
    conversation: "c-1",
    agent: "support",
    provider: "openai",
    model: "gpt-5-mini",
    response_model: "gpt-5-mini-2025-08-07",
    response_id: "resp_1",
    prompt_version: "14",
    prompts: [
      { role: "system", content: "Be brief." },
      "Where is A1?",
      { role: "assistant", content: null, tool_calls: [{ id: "t0", name: "find", arguments: '{"q":"A1"}' }] },
      { role: "tool", tool_call_id: "t0", content: "nothing" },
    ],
    responses: [{ content: "Let me see.", finish_reason: "tool_calls" }],
    tool_calls: [
      { id: "t1", name: "find_order", arguments: { order: "A1" }, result: { sent: true }, duration: 0.5 },
      { id: "t2", name: "search", arguments: "not JSON", error: "timeout" },
      { name: "later" },
    ],
    usage: { input_tokens: 50, output_tokens: 7, cached_tokens: 30, reasoning_tokens: 3 },
    trace_id: "0102030405060708090a0b0c0d0e0f10",
    span_id: "0102030405060708",
    parent_span_id: "1112131415161718",
  };

  it("become spans, whole", async () => {
    const [chat, find, search, ...rest] = await spansOf(call);
    expect(rest).toEqual([]);
    expect(chat).toMatchObject({
      name: "chat gpt-5-mini",
      kind: Span_SpanKind.CLIENT,
      startTimeUnixNano: 1_769_860_800_500_000_000n,
      endTimeUnixNano: 1_769_860_802_750_000_000n,
    });
    expect([chat!.traceId, chat!.spanId, chat!.parentSpanId].map(hex)).toEqual([
      call.trace_id,
      call.span_id,
      call.parent_span_id,
    ]);
    expect(Object.fromEntries(chat!.resource)).toEqual({ "host.name": "a1", "service.name": "helpdesk" });
    expect(Object.fromEntries(chat!.attributes)).toMatchObject({
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": "openai",
      "gen_ai.request.model": "gpt-5-mini",
      "gen_ai.response.model": "gpt-5-mini-2025-08-07",
      "gen_ai.response.id": "resp_1",
      "gen_ai.prompt.version": "14",
      "gen_ai.conversation.id": "c-1",
      "gen_ai.agent.name": "support",
      "gen_ai.usage.input_tokens": 50n,
      "gen_ai.usage.output_tokens": 7n,
      "gen_ai.usage.cache_read.input_tokens": 30n,
      "gen_ai.usage.reasoning.output_tokens": 3n,
      "gen_ai.response.time_to_first_chunk": 0.4,
      "gen_ai.response.finish_reasons": { values: [{ value: { value: "tool_calls" } }] },
      "user.id": 9_007_199_254_740_991n,
    });
    expect(messages(chat!, "input")).toEqual([
      { role: "system", parts: [{ type: "text", content: "Be brief." }] },
      { role: "user", parts: [{ type: "text", content: "Where is A1?" }] },
      { role: "assistant", parts: [{ type: "tool_call", id: "t0", name: "find", arguments: { q: "A1" } }] },
      { role: "tool", parts: [{ type: "tool_call_response", id: "t0", response: "nothing" }] },
    ]);
    expect(messages(chat!, "output")).toEqual([
      {
        role: "assistant",
        parts: [
          { type: "text", content: "Let me see." },
          { type: "tool_call", id: "t1", name: "find_order", arguments: { order: "A1" } },
          { type: "tool_call", id: "t2", name: "search", arguments: "not JSON" },
          { type: "tool_call", id: expect.stringMatching(/^call_[0-9a-f]{24}$/), name: "later" },
        ],
        finish_reason: "tool_calls",
      },
    ]);
    expect(find).toMatchObject({
      name: "execute_tool find_order",
      kind: Span_SpanKind.INTERNAL,
      startTimeUnixNano: 1_769_860_802_750_000_000n,
      endTimeUnixNano: 1_769_860_803_250_000_000n,
    });
    expect(hex(find!.parentSpanId)).toBe(call.span_id);
    expect(Object.fromEntries(find!.attributes)).toEqual({
      "gen_ai.operation.name": "execute_tool",
      "gen_ai.tool.name": "find_order",
      "gen_ai.tool.call.id": "t1",
      "gen_ai.tool.call.arguments": '{"order":"A1"}',
      "gen_ai.tool.call.result": '{"sent":true}',
      "gen_ai.conversation.id": "c-1",
      "gen_ai.agent.name": "support",
    });
    expect(search!.status).toMatchObject({ code: Status_StatusCode.ERROR, message: "timeout" });
    expect(search!.attributes.get("error.type")).toBe("timeout");
  });

  it("may be prompts, responses or tool calls alone", async () => {
    const [prompt] = await spansOf({ prompts: ["Hello"] });
    expect(prompt!.name).toBe("chat");
    expect(prompt!.attributes.has("gen_ai.output.messages")).toBe(false);
    const [response] = await spansOf({ responses: ["Hi"], error: "429" });
    expect(response!.status!.code).toBe(Status_StatusCode.ERROR);
    expect(messages(response!, "output")).toEqual([
      { role: "assistant", parts: [{ type: "text", content: "Hi" }] },
    ]);
    const tools = await spansOf({ tool_calls: [{ name: "a" }, { name: "b" }], span_id: "0102030405060708" });
    expect(tools.map(({ name }) => name)).toEqual(["execute_tool a", "execute_tool b"]);
    expect(hex(tools[0]!.spanId)).toBe("0102030405060708");
    expect(new Set(tools.map(({ traceId }) => hex(traceId))).size).toBe(1);
  });

  it("keep the digits of numbers, every key, and well-formed text", async () => {
    const text =
      '{"prompts":["a\\ud800"],"responses":[],"tool_calls":[{"name":"t","arguments":{"n":12345678901234567890123,"__proto__":1},"result":"{\\"n\\":12345678901234567890123}"},{"name":"u","arguments":"[12345678901234567890123]"}],"usage":{"input_tokens":1e3}}';
    const [chat, tool] = await spansOf(text);
    expect(chat!.attributes.get("gen_ai.input.messages")).toContain('"a\ufffd"');
    expect(chat!.attributes.get("gen_ai.usage.input_tokens")).toBe(1_000n);
    const output = String(chat!.attributes.get("gen_ai.output.messages"));
    expect(output).toContain('"arguments":{"n":12345678901234567890123,"__proto__":1}');
    expect(output).toContain('"arguments":[12345678901234567890123]');
    expect(tool!.attributes.get("gen_ai.tool.call.arguments")).toBe(
      '{"n":12345678901234567890123,"__proto__":1}',
    );
    expect(tool!.attributes.get("gen_ai.tool.call.result")).toBe('{"n":12345678901234567890123}');
  });

  it("come a line each as well, and stand together by resource", async () => {
    const lines = ["a", "b", "a"].map((service) => JSON.stringify({ service, prompts: ["x"] })).join("\n");
    expect((await post(lines, "application/x-ndjson")).status).toBe(200);
    const { resourceSpans } = fromBinary(ExportTraceServiceRequestSchema, taken[0]!.body);
    expect(resourceSpans.map(({ scopeSpans }) => scopeSpans[0]!.spans.length)).toEqual([2, 1]);
  });

  it("are taken or not each by itself, with the place of what is wrong", async () => {
    const items = [
      { prompts: ["good"] },
      {},
      { prompts: [{ role: "bot", content: "x" }] },
      { prompts: [{ contents: "x" }] },
      { prompts: [{ role: "user", tool_calls: [{ name: "t" }] }] },
      { prompts: [{ role: "user", tool_call_id: "t" }] },
      { tool_calls: [{ arguments: {} }] },
      { prompts: ["x"], usage: { input_tokens: -1 } },
      { prompts: ["x"], usage: { output_tokens: 1.5 } },
      { prompts: ["x"], duration: "1s" },
      { prompts: ["x"], timestamp: "1969-12-31T23:59:59Z" },
      { prompt: "x" },
      { prompts: ["x"], trace_id: "7" },
      { prompts: ["x"], attributes: { a: JSON.parse(`${"[".repeat(18)}${"]".repeat(18)}`) } },
    ];
    const response = await post(items);
    expect(response.status).toBe(200);
    const answer = (await response.json()) as { errors: { index: number; field: string; detail: string }[] };
    expect(answer).toMatchObject({ accepted: 1, rejected: items.length - 1 });
    expect(answer.errors.map(({ index, field, detail }) => [index, field.slice(0, 30), detail])).toEqual([
      [1, "", "has none of prompts, responses and tool_calls"],
      [2, "/prompts/0/role", expect.stringContaining("use system, user, assistant, tool")],
      [3, "/prompts/0/contents", "is unknown; did you mean content?"],
      [4, "/prompts/0/tool_calls", 'is only for messages with the role "assistant"'],
      [5, "/prompts/0/tool_call_id", 'is only for messages with the role "tool"'],
      [6, "/tool_calls/0/name", "is missing"],
      [7, "/usage/input_tokens", "must be at least 0"],
      [8, "/usage/output_tokens", "must be a whole number"],
      [9, "/duration", "must be a number"],
      [10, "/timestamp", "is before 1970"],
      [11, "/prompt", expect.stringMatching(/^is unknown; did you mean prompts\?$/)],
      [12, "/trace_id", "must be 32 hexadecimal digits"],
      [13, expect.stringMatching(/^\/attributes\/a\/0\//), "is nested deeper than 16 levels"],
    ]);
  });

  it("have limits, and name them", async () => {
    expect(await problemOf(await post({ prompts: Array(2_001).fill("x") }))).toMatchObject({
      status: 400,
      errors: [{ field: "/0/prompts", detail: "must have at most 2000 values" }],
    });
    expect(await problemOf(await post({ tool_calls: Array(257).fill({ name: "t" }) }))).toMatchObject({
      errors: [{ field: "/0/tool_calls", detail: "must have at most 256 values" }],
    });
    expect(await problemOf(await post(Array(10_001).fill({ prompts: [] })))).toMatchObject({
      status: 413,
      detail: "there are more than 10000 calls; send fewer",
    });
    expect(taken).toEqual([]);
  });

  it("that the downstream rejects are counted", async () => {
    consume = async () => ({ rejected: 1, message: "too old" });
    const response = await post([{ prompts: ["x"] }, { prompts: ["y"] }]);
    expect(await response.json()).toEqual({ accepted: 1, rejected: 1, errors: [], message: "too old" });
  });
});
