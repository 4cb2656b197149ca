/** The telemetry of agents: its conventions, and what its faults do to it. */
import { fromBinary, toJson } from "@bufbuild/protobuf";
import { beforeAll, describe, expect, it } from "vitest";
import { ExportLogsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { ExportTraceServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import { AnyValueSchema } from "../../src/gen/opentelemetry/proto/common/v1/common_pb.js";
import { Span_SpanKind as Kind } from "../../src/gen/opentelemetry/proto/trace/v1/trace_pb.js";
import {
  type AffectedTurn,
  type AgentOptions,
  AgentTelemetry,
} from "../../src/generate/agents/agent-telemetry.ts";
import { type AgentFault, type AgentFaultName, agentFaultNames } from "../../src/generate/agents/fault.ts";
import { agents } from "../../src/generate/agents/model.ts";
import type { Batch } from "../../src/generate/batch.ts";
import { type ReadSpan, readSpans } from "./read-spans.ts";

const start = Date.UTC(2026, 0, 5, 9);
const minute = 60_000;

interface Generated {
  batches: Batch[];
  faults: AgentFault[];
  affected: AffectedTurn[];
}

function generate(some: Partial<AgentOptions> = {}): Generated {
  const faults: AgentFault[] = [];
  const affected: AffectedTurn[] = [];
  const telemetry = new AgentTelemetry({
    seed: "1",
    startUnixNano: BigInt(start) * 1_000_000n,
    signals: ["traces"],
    rate: 10,
    speed: 1,
    duration: 8 * minute,
    recordsPerRequest: 100,
    schedule: [],
    onFault: (fault) => faults.push(fault),
    onAffected: (turn) => affected.push(turn),
    ...some,
  });
  return { batches: [...telemetry.batches()], faults, affected };
}

const bytes = (batches: readonly Batch[]) => Buffer.concat(batches.map(({ body }) => body));
const number = (span: ReadSpan, key: string) => Number(span.attributes.get(key) ?? 0);
const named = (spans: readonly ReadSpan[], operation: string) =>
  spans.filter(({ attributes }) => attributes.get("gen_ai.operation.name") === operation);

interface Message {
  role: string;
  parts: { type: string; content?: string; id?: string; name?: string }[];
  finish_reason?: string;
}
const messages = (span: ReadSpan, key: string) =>
  JSON.parse(String(span.attributes.get(`gen_ai.${key}.messages`) ?? "[]")) as Message[];
const answer = (span: ReadSpan) =>
  messages(span, "output")
    .flatMap(({ parts }) => parts.map(({ content = "" }) => content))
    .join("");

describe("the telemetry of agents", () => {
  let spans: ReadSpan[];

  beforeAll(() => {
    spans = readSpans(generate().batches);
  });

  it("is the same for the same options, and another for another seed", () => {
    const once = bytes(generate({ duration: minute }).batches);
    expect(bytes(generate({ duration: minute }).batches).equals(once)).toBe(true);
    expect(bytes(generate({ duration: minute, seed: "2" }).batches).equals(once)).toBe(false);
  });

  it("comes at about the rate, in the order of time, in requests of bounded size", () => {
    const { batches } = generate({ duration: 15 * minute, recordsPerRequest: 7 });
    const records = batches.reduce((sum, batch) => sum + batch.records, 0);
    expect(records / (15 * 60)).toBeGreaterThan(8);
    expect(records / (15 * 60)).toBeLessThan(12);
    for (const [i, { time, records: some }] of batches.entries()) {
      expect(some).toBeLessThanOrEqual(7);
      expect(time).toBeGreaterThanOrEqual(batches[i - 1]?.time ?? 0);
    }
  });

  it("is of all agents, in turns that hold calls of models and tools", () => {
    const turns = new Map(named(spans, "invoke_agent").map((span) => [span.trace, span]));
    expect(new Set([...turns.values()].map(({ attributes }) => attributes.get("gen_ai.agent.name")))).toEqual(
      new Set(agents.map(({ name }) => name)),
    );
    const [calls, uses] = [named(spans, "chat"), named(spans, "execute_tool")];
    expect(calls.length).toBeGreaterThan(uses.length);
    expect(turns.size + calls.length + uses.length).toBe(spans.length);
    for (const span of [...calls, ...uses]) {
      const turn = turns.get(span.trace);
      // The turn may end after the data does.
      if (turn === undefined) continue;
      expect(span.parent).toBe(turn.id);
      expect(span.start).toBeGreaterThanOrEqual(turn.start);
      expect(span.end).toBeLessThanOrEqual(turn.end);
      expect(span.attributes.get("gen_ai.conversation.id")).toBe(
        turn.attributes.get("gen_ai.conversation.id"),
      );
    }
  });

  it("follows the conventions in names, kinds and attributes", () => {
    for (const span of spans) {
      const operation = span.attributes.get("gen_ai.operation.name");
      const about = { chat: "gen_ai.request.model", execute_tool: "gen_ai.tool.name" }[String(operation)];
      expect(span.name).toBe(`${operation} ${span.attributes.get(about ?? "gen_ai.agent.name")}`);
      expect(span.kind).toBe(operation === "chat" ? Kind.CLIENT : Kind.INTERNAL);
    }
    const answered = named(spans, "chat").filter(({ failed }) => !failed);
    for (const span of answered) {
      expect([...span.attributes.keys()]).toEqual(
        expect.arrayContaining([
          ...["gen_ai.provider.name", "gen_ai.response.id", "gen_ai.response.model"],
          ...["gen_ai.response.finish_reasons", "gen_ai.response.time_to_first_chunk"],
          ...["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.output.messages"],
        ]),
      );
      const [message] = messages(span, "output");
      expect(message).toMatchObject({ role: "assistant", finish_reason: expect.any(String) });
    }
    const failed = spans.filter((span) => span.failed);
    expect(failed.length).toBeGreaterThan(0);
    for (const { attributes } of failed) expect(attributes.get("error.type")).toMatch(/^429$|^unavailable$/);
  });

  it("repeats the whole history in each call", () => {
    const byConversation = Map.groupBy(named(spans, "chat"), ({ attributes }) =>
      attributes.get("gen_ai.conversation.id"),
    );
    expect([...byConversation.values()].some((calls) => calls.length > 8)).toBe(true);
    for (const calls of byConversation.values()) {
      for (const [i, call] of calls.entries()) {
        const before = calls[i - 1];
        if (before === undefined) continue;
        const history = messages(before, "input");
        expect(messages(call, "input").slice(0, history.length)).toEqual(history);
        if (before.failed) continue;
        const { finish_reason, ...said } = messages(before, "output")[0]!;
        expect(messages(call, "input")[history.length]).toEqual(said);
      }
    }
  });

  it("names each tool call by an id that its execution and its response repeat", () => {
    const executed = new Set(
      named(spans, "execute_tool").map(({ attributes }) => attributes.get("gen_ai.tool.call.id")),
    );
    const parts = named(spans, "chat").flatMap((span) =>
      messages(span, "input").flatMap((each) => each.parts),
    );
    const responses = parts.filter(({ type }) => type === "tool_call_response");
    expect(responses.length).toBeGreaterThan(0);
    for (const { id } of responses) expect(executed.has(id)).toBe(true);
  });

  it("holds the details of calls as events in logs, with the same content in structures", () => {
    const { batches } = generate({ signals: ["traces", "logs"], duration: minute });
    const chats = named(readSpans(batches), "chat");
    const events = batches
      .filter(({ signal }) => signal === "logs")
      .flatMap(({ body }) => fromBinary(ExportLogsServiceRequestSchema, body).resourceLogs)
      .flatMap(({ scopeLogs }) => scopeLogs.flatMap(({ logRecords }) => logRecords));
    expect(events).toHaveLength(chats.length);
    const value = (key: string, i: number) => {
      const found = events[i]!.attributes.find((each) => each.key === key);
      return found?.value && toJson(AnyValueSchema, found.value);
    };
    for (const [i, event] of events.entries()) {
      expect(event.eventName).toBe("gen_ai.client.inference.operation.details");
      expect(event.body).toBeUndefined();
      const span = chats.find(({ id }) => id === Buffer.from(event.spanId).toString("hex"))!;
      expect(plain(value("gen_ai.input.messages", i))).toEqual(messages(span, "input"));
    }
  });

  it("holds nothing that tells of faults", () => {
    const schedule = agentFaultNames.map((kind) => fault(kind));
    const { batches, affected } = generate({ rate: 6, duration: 8 * minute, schedule });
    expect(affected.length).toBeGreaterThan(0);
    const all = bytes(batches).toString("latin1");
    for (const word of ["fault-", ...agentFaultNames]) expect(all).not.toContain(word);
  });
});

/** Converts an AnyValue in JSON to what it stands for. */
function plain(value: unknown): unknown {
  const any = value as Record<string, never>;
  if ("arrayValue" in any) return ((any.arrayValue as { values?: unknown[] }).values ?? []).map(plain);
  if ("kvlistValue" in any) {
    const { values = [] } = any.kvlistValue as { values?: { key: string; value: unknown }[] };
    return Object.fromEntries(values.map((each) => [each.key, plain(each.value)]));
  }
  return Object.values(any)[0];
}

const fault = (kind: AgentFaultName) => ({ kind, start: 4 * minute, end: 14 * minute, size: 1 });

describe("faults of agents", () => {
  /** The spans of the agent within and outside of the turns that the fault affects. */
  function affectedBy(kind: AgentFaultName): {
    cause: AgentFault["cause"];
    within: ReadSpan[];
    outside: ReadSpan[];
  } {
    const { batches, faults, affected } = generate({
      rate: 6,
      duration: 15 * minute,
      schedule: [fault(kind)],
    });
    expect(faults).toHaveLength(1);
    const [{ cause, start: from, end }] = faults as [AgentFault];
    for (const { fault: id, time } of affected) {
      expect(id).toBe("fault-1");
      expect(time).toBeGreaterThanOrEqual(from);
      expect(time).toBeLessThan(end);
    }
    const spans = readSpans(batches).filter(
      ({ service, attributes }) =>
        service === cause.service && attributes.get("gen_ai.agent.name") === cause.agent,
    );
    const traces = new Set(affected.map(({ trace }) => trace));
    const within = spans.filter(({ trace }) => traces.has(trace));
    expect(within.length).toBeGreaterThan(10);
    return { cause, within, outside: spans.filter(({ trace }) => !traces.has(trace)) };
  }

  const mostRepeats = (spans: readonly ReadSpan[]) => {
    const calls = Map.groupBy(named(spans, "execute_tool"), ({ trace, name, attributes }) =>
      [trace, name, attributes.get("gen_ai.tool.call.arguments")].join(),
    );
    return Math.max(...[...calls.values()].map(({ length }) => length));
  };
  const mean = (numbers: readonly number[]) => numbers.reduce((sum, each) => sum + each, 0) / numbers.length;
  const answered = (spans: readonly ReadSpan[]) => named(spans, "chat").filter(({ failed }) => !failed);
  const texts = (spans: readonly ReadSpan[]) =>
    answered(spans)
      .map(answer)
      .filter((text) => text !== "");

  it("loop repeats a call of a tool with the same arguments", () => {
    const { within, outside } = affectedBy("loop");
    expect(mostRepeats(within)).toBeGreaterThanOrEqual(12);
    expect(mostRepeats(outside)).toBeLessThan(6);
  });

  it("leak puts data of others and keys into answers", () => {
    const { within, outside } = affectedBy("leak");
    const secrets = /@meridian-mail\.net|AKIA[0-9A-F]{16}|\d{4} \d{4} \d{4} \d{4}/;
    expect(texts(within).filter((text) => secrets.test(text)).length).toBeGreaterThan(5);
    expect(texts(outside).some((text) => secrets.test(text))).toBe(false);
  });

  it("refusal-spike refuses what is asked", () => {
    const { within, outside } = affectedBy("refusal-spike");
    const refused = (span: ReadSpan) =>
      /sorry|can't help/i.test(answer(span)) ||
      messages(span, "output")[0]?.finish_reason === "content_filter";
    expect(answered(within).every(refused)).toBe(true);
    expect(mean(answered(outside).map((span) => Number(refused(span))))).toBeLessThan(0.05);
  });

  it("model-swap answers with another model than before", () => {
    const { cause, within, outside } = affectedBy("model-swap");
    const models = (spans: readonly ReadSpan[]) =>
      new Set(answered(spans).map(({ attributes }) => attributes.get("gen_ai.response.model")));
    expect(models(outside)).toEqual(new Set([cause.models![0]]));
    expect(models(within)).toContain(cause.models![1]);
  });

  it("cost-jump takes several times as many output tokens", () => {
    const { within, outside } = affectedBy("cost-jump");
    const tokens = (spans: readonly ReadSpan[]) =>
      mean(answered(spans).map((span) => number(span, "gen_ai.usage.output_tokens")));
    expect(tokens(within) / tokens(outside)).toBeGreaterThan(3);
  });

  it("silent-truncation ends answers in the middle of a sentence, for the usual reason", () => {
    const { within, outside } = affectedBy("silent-truncation");
    const ended = (text: string) => /[.!?]$/.test(text);
    expect(mean(texts(within).map((text) => Number(ended(text))))).toBeLessThan(0.3);
    expect(texts(outside).every(ended)).toBe(true);
    const reasons = answered(within).map((span) => messages(span, "output")[0]?.finish_reason);
    expect(new Set(reasons).has("length")).toBe(false);
  });

  it("injected-tool-call follows what a tool returned, and sends data away", () => {
    const { within, outside } = affectedBy("injected-tool-call");
    const sent = (spans: readonly ReadSpan[]) =>
      named(spans, "execute_tool").filter(
        ({ name, attributes }) =>
          name === "execute_tool send_email" &&
          String(attributes.get("gen_ai.tool.call.arguments")).includes("@collector.example"),
      );
    expect(sent(within).length).toBeGreaterThan(5);
    expect(sent(outside)).toEqual([]);
  });
});

it("names no field that the schema of spans lacks", () => {
  for (const { body } of generate({ duration: minute }).batches) {
    const request = fromBinary(ExportTraceServiceRequestSchema, body);
    for (const span of request.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans[0]!.spans))
      expect(span.$unknown ?? []).toEqual([]);
  }
});
