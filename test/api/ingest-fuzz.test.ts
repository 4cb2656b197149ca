import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { problemSchema } from "../../src/api/problem.ts";
import { configSchema } from "../../src/config/schema.ts";
import { Engine } from "../../src/engine/index.ts";
import { ExportLogsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { ExportTraceServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import { Span_SpanKind } from "../../src/gen/opentelemetry/proto/trace/v1/trace_pb.js";
import type { ExportRequest } from "../../src/otlp/protocol.ts";
import { startReceivers } from "../../src/receive/index.ts";
import { heldAfter } from "../receive/memory.ts";
import { compressed, effort, fuzzTimeout, near, type Sent } from "../receive/mutations.ts";
import { silent } from "../store/fixtures.ts";
import { afterwards, problemOf, start } from "./support.ts";

const event = {
  timestamp: "2026-01-31T12:00:00.123456789+01:00",
  severity: "WARN",
  body: { text: "order 17 taken — é", list: [1, -2.5, null, true, [[]]] },
  service: "checkout",
  resource: { "host.name": "shop-1", "k8s.pod.uid": "8f14e45f" },
  attributes: { "order.id": 2 ** 53, nested: { a: { b: "c" } } },
  trace_id: "5b8efff798038103d269b633813fc60c",
  span_id: "eee19b7ec3c1b174",
  event_name: "order.taken",
};
const call = {
  timestamp: "2026-01-31T12:00:00Z",
  duration: 1.25,
  service: "helpdesk",
  attributes: { "user.id": 2 ** 53, nested: { a: { b: "c" } } },
  conversation: "c-1",
  model: "gpt-5-mini",
  prompts: [
    "Where is A1 — é?",
    { role: "assistant", tool_calls: [{ id: "t0", name: "find", arguments: "{}" }] },
  ],
  responses: [{ content: "Let me see.", finish_reason: "stop" }],
  tool_calls: [{ id: "t1", name: "find", arguments: { order: [1, -2.5, null] }, result: "sent" }],
  usage: { input_tokens: 50, output_tokens: 7 },
  trace_id: "5b8efff798038103d269b633813fc60c",
};

const documentsOf = (item: object, small: string) => {
  const line = JSON.stringify(item);
  return {
    "application/json": [line, `[${line},${small},${line}]`, `[${Array(300).fill(line)}]`],
    "application/x-ndjson": [line, `${line}\n${small}\r\n\n${line}\n`, Array(300).fill(line).join("\n")],
  };
};
type Documents = ReturnType<typeof documentsOf>;
type Type = keyof Documents;

const postsOf = (documents: Documents) =>
  fc.constantFrom(...(Object.keys(documents) as Type[])).chain((type) =>
    compressed(near(documents[type].map((text) => Buffer.from(text))), 9 * 2 ** 20).map((sent) => ({
      type,
      ...sent,
    })),
  );

function logRecords(body: Buffer): number {
  const { resourceLogs } = fromBinary(ExportLogsServiceRequestSchema, body);
  return resourceLogs.flatMap(({ scopeLogs }) => scopeLogs.flatMap((scope) => scope.logRecords)).length;
}

/** Counts the spans of calls: those of tools lie below them. */
function callSpans(body: Buffer): number {
  const { resourceSpans } = fromBinary(ExportTraceServiceRequestSchema, body);
  return new Set(
    resourceSpans
      .flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
      .map(({ kind, spanId, parentSpanId }) =>
        Buffer.from(
          kind === Span_SpanKind.INTERNAL && parentSpanId.length > 0 ? parentSpanId : spanId,
        ).toString("hex"),
      ),
  ).size;
}

interface Answer {
  accepted: number;
  rejected: number;
  errors: { index: number; field: string; detail: string }[];
}

describe("items near sound ones", () => {
  it.each([
    ["/v1/events", documentsOf(event, '{"body":"x"}'), logRecords],
    ["/v1/llm", documentsOf(call, '{"prompts":["x"]}'), callSpans],
  ] as const)(
    "%s takes or refuses, and leaves nothing behind",
    async (path, documents, count) => {
      const engine = new Engine(configSchema.parse({}).detect, { mode: "all" });
      afterwards(() => engine.close());
      const { receive } = configSchema.parse({
        receive: { grpc: { enabled: false }, http: { endpoint: "127.0.0.1:0" } },
      });
      const taken: Buffer[] = [];
      const consume = async ({ signal, tenant, body }: ExportRequest) => {
        taken.push(body);
        await engine.process(signal, tenant, body);
        return undefined;
      };
      const hooks = {
        log: silent,
        onRequest() {},
        onRequestCut() {},
        onConnectionRefused() {},
        onConnectionClosed() {},
      };
      const receivers = await startReceivers(receive, consume, hooks);
      afterwards(() => receivers.close(0));
      const running = await start({}, { take: receivers.take });

      const send = async ({ type, bytes, encoding }: Sent & { type: Type }) => {
        taken.length = 0;
        const response = await running.get(path, {
          method: "POST",
          body: new Uint8Array(bytes),
          headers: { "content-type": type, ...(encoding && { "content-encoding": encoding }) },
        });
        if (response.status === 200) {
          const { accepted, rejected, errors } = (await response.json()) as Answer;
          expect(count(taken[0]!)).toBe(accepted);
          expect(accepted).toBeGreaterThan(0);
          expect(new Set(errors.map(({ index }) => index)).size).toBeLessThanOrEqual(rejected);
          expect(errors.length > 0).toBe(rejected > 0);
          for (const { field, detail } of errors) expect((field + detail).isWellFormed()).toBe(true);
        } else {
          const problem = problemSchema.parse(await problemOf(response));
          expect([400, 413]).toContain(problem.status);
          const said = [problem.detail, ...(problem.errors ?? []).map(({ field, detail }) => field + detail)];
          for (const text of said) expect(text?.isWellFormed()).toBe(true);
          expect(taken).toEqual([]);
        }
        expect(receivers.inWork()).toEqual({ requests: 0, bytes: 0 });
        expect(running.logged).toEqual([]);
      };
      const held = await heldAfter(() => fc.assert(fc.asyncProperty(postsOf(documents), send), effort));
      expect(held).toBeLessThan(32 * 2 ** 20);
    },
    fuzzTimeout,
  );
});
