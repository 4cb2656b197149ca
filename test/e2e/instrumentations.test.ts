/**
 * Calls of a language model as real instrumentations send them, from a real client whose provider is on loopback: the same
 * conversations through the sidecar and through the SDK give the same streams and the same verdicts.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fromBinary } from "@bufbuild/protobuf";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ExportLogsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { ExportTraceServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import type { KeyValue } from "../../src/gen/opentelemetry/proto/common/v1/common_pb.js";
import type { AnomalyJson } from "../../src/json/anomaly-schema.ts";
import type { ConversationDetailJson, ConversationJson } from "../../src/json/llm.ts";
import { type Downstream, startDownstream } from "../forward/downstream.ts";
import { type Driftlock, startDriftlock } from "./driftlock.ts";
import { conversations } from "./instrumentations/conversations.ts";
import { type CallRead, callRead, expectedCalls, type Gaps, system } from "./instrumentations/expected.ts";
import { install, type Language, runAgent, skipInstrumentations } from "./instrumentations/install.ts";
import { type Provider, startProvider } from "./instrumentations/provider.ts";
import { stopAll } from "./programs.ts";

const all = conversations("instrumentations", 120);
const sdk = fileURLToPath(new URL("../../dist/sdk", import.meta.url));
const service = "agent";
const detect = { baseline: { records: 64 } };
const folder = mkdtempSync(join(tmpdir(), "driftlock-instrumentations-"));
const plan = join(folder, "plan.json");
const parameters = { type: "object", properties: { order: { type: "integer" }, town: { type: "string" } } };
const tools = ["find_order", "find_carrier"].map((name) => ({
  type: "function",
  function: { name, description: name, parameters },
}));
writeFileSync(plan, JSON.stringify({ conversations: all, system, tools }));

let provider: Provider;
/** Python's packages take longer to install, and the tests of JavaScript need not wait for them. */
let installing: Record<Language, Promise<void>>;
beforeAll(async () => {
  if (skipInstrumentations) return;
  provider = await startProvider(all);
  installing = { js: install.js(), python: install.python() };
  // The tests that need them report what went wrong.
  for (const each of Object.values(installing)) each.catch(() => {});
});
afterEach(stopAll);
afterAll(() => {
  provider?.close();
  rmSync(folder, { recursive: true, force: true });
});

interface StreamSeen {
  key: string;
  records: number;
  flagged: number;
}
/** What both ways show of a report. Each engine has ids of its own. */
interface ReportSeen {
  stream: string;
  channel: string;
  explanation: string;
  score: number;
  limit: number;
  trace: string;
  span: string;
}
/** What a way through Driftlock comes to. */
interface Seen {
  streams: StreamSeen[];
  /** Number of anomalies. */
  anomalies: number;
  reports: ReportSeen[];
}
/** What the agent prints of the SDK in its process. */
interface Printed {
  stats: { judged: number; errors: number; dropped: Record<string, number> };
  streams: StreamSeen[];
  reports: (Omit<ReportSeen, "trace" | "span"> & { id: string; traceId: string; spanId: string })[];
}

const sortedBy = <T>(items: readonly T[], key: (item: T) => string): T[] =>
  [...items].sort((a, b) => (key(a) < key(b) ? -1 : 1));

function seenBySdk(printed: string): Seen {
  const { stats, streams, reports } = JSON.parse(printed) as Printed;
  expect(stats).toMatchObject({ errors: 0, dropped: { full: 0, invalid: 0, closed: 0, failed: 0 } });
  return {
    streams: sortedBy(streams, ({ key }) => key),
    anomalies: new Set(reports.map(({ id }) => id)).size,
    reports: reports.map(({ stream, channel, explanation, score, limit, traceId, spanId }) => ({
      ...{ stream, channel, explanation, score, limit },
      ...{ trace: traceId, span: spanId },
    })),
  };
}

/** Returns the items of a list of the API. */
async function list<T>(sidecar: Driftlock, path: string): Promise<T[]> {
  const items: T[] = [];
  for (let more = ""; ; ) {
    const page = await get<{ items: T[]; next?: string }>(sidecar, `${path}?limit=100${more}`);
    items.push(...page.items);
    if (page.next === undefined) return items;
    more = `&after=${page.next}`;
  }
}

async function get<T>({ api }: Driftlock, path: string): Promise<T> {
  const response = await fetch(`http://${api}${path}`);
  expect(response.status, path).toBe(200);
  return (await response.json()) as T;
}

async function seenBySidecar(sidecar: Driftlock): Promise<Seen> {
  const anomalies = await list<AnomalyJson>(sidecar, "/v1/anomalies");
  const streams = await list<StreamSeen>(sidecar, "/v1/streams");
  return {
    streams: sortedBy(
      streams.map(({ key, records, flagged }) => ({ key, records, flagged })),
      ({ key }) => key,
    ),
    anomalies: anomalies.length,
    reports: anomalies.map(({ stream, report }) => {
      const { channel, explanation, score, limit, trace_id: trace, span_id: span } = report!;
      return { ...{ stream, channel, explanation, trace, span }, score: score!, limit: limit! };
    }),
  };
}

/** Returns what was read of all conversations, by their prompts. */
async function readBySidecar(sidecar: Driftlock): Promise<Map<string, CallRead[]>> {
  const found = new Map<string, CallRead[]>();
  for (const { id } of await list<ConversationJson>(sidecar, "/v1/llm/conversations")) {
    const { items } = await get<ConversationDetailJson>(sidecar, `/v1/llm/conversations/${id}`);
    const calls = items.map(callRead);
    const prompt = calls[0]!.turns.find((turn) => turn.startsWith("user "))?.slice("user ".length);
    found.set(prompt ?? id, calls);
  }
  return found;
}

interface RecordSeen {
  attributes: Record<string, unknown>;
}

/** Returns the records that arrived behind Driftlock, with their annotations, in an order that does not depend on the way. */
function recordsAt({ received }: Downstream): RecordSeen[] {
  const records = received.flatMap(({ signal, body }): { attributes: KeyValue[] }[] =>
    signal === "traces"
      ? fromBinary(ExportTraceServiceRequestSchema, body).resourceSpans.flatMap(({ scopeSpans }) =>
          scopeSpans.flatMap(({ spans }) => spans),
        )
      : fromBinary(ExportLogsServiceRequestSchema, body).resourceLogs.flatMap(({ scopeLogs }) =>
          scopeLogs.flatMap(({ logRecords }) => logRecords),
        ),
  );
  const texts = records.map(({ attributes, ...record }) => {
    // JavaScript has no integers of its own, so that a number may come as either type.
    const plain = Object.fromEntries(attributes.map(({ key, value }) => [key, value?.value?.value]));
    if ("cbad.anomaly.id" in plain) plain["cbad.anomaly.id"] = "of its engine";
    return JSON.stringify({ ...record, attributes: plain }, (_, value) =>
      typeof value === "bigint" ? Number(value) : value,
    );
  });
  return texts.sort().map((text) => JSON.parse(text));
}

interface Run {
  sidecar: Seen;
  sdk: Seen | undefined;
  read: Map<string, CallRead[]>;
  /** Records behind the sidecar and behind the SDK. */
  behind: [RecordSeen[], RecordSeen[]];
}

const capturing = { OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: "true" };

/** Lets an agent hold all conversations. What it sends goes to a sidecar, and in JavaScript through the SDK as well. */
async function hold(language: Language, instrumentation: string, env: Record<string, string>): Promise<Run> {
  await installing[language];
  const [behindSidecar, behindSdk] = [await startDownstream("http"), await startDownstream("http")];
  const config = {
    detect,
    llm: { capture: "full" },
    forward: { endpoint: behindSidecar.endpoint, protocol: "http" },
    data_dir: mkdtempSync(join(folder, "data-")),
  };
  try {
    let sidecar = await startDriftlock(config);
    const settings = {
      ...{ instrumentation, service, detect, plan, sdk },
      ...{ provider: provider.url, sidecar: `http://${sidecar.http}`, behindSdk: behindSdk.endpoint },
    };
    const printed = await runAgent(language, settings, env);
    const read = await readBySidecar(sidecar);
    // When it stops, it stores the statistics of streams, and has forwarded everything.
    await sidecar.program.stop();
    sidecar = await startDriftlock(config);
    return {
      sidecar: await seenBySidecar(sidecar),
      sdk: language === "js" ? seenBySdk(printed) : undefined,
      read,
      behind: [recordsAt(behindSidecar), recordsAt(behindSdk)],
    };
  } finally {
    await Promise.all([behindSidecar.close(), behindSdk.close()]);
  }
}

/** Returns the streams in which the planted leaks were found. */
const leakStreams = (reports: readonly ReportSeen[]) =>
  [/^E-mail addresses appear in "body"/, /^API keys or tokens appear in "body"/].map(
    (leak) => reports.find(({ explanation }) => leak.test(explanation))?.stream,
  );
const agent = `logs service.name=${service} gen_ai.request.model=gpt-fake`;
const planted = [`${agent} llm.turn=response`, `${agent} llm.turn=tool_call`];

function expectVerdicts({ sidecar, sdk, behind: [behindSidecar, behindSdk] }: Run): void {
  expect(leakStreams(sidecar.reports)).toEqual(planted);
  if (sdk === undefined) return;
  expect(sdk.streams).toEqual(sidecar.streams);
  expect(sdk.anomalies).toBe(sidecar.anomalies);
  // The API shows one report of each anomaly.
  for (const report of sidecar.reports) expect(sdk.reports).toContainEqual(report);
  expect(behindSdk).toEqual(behindSidecar);
  const flaggedBy = behindSidecar.map(({ attributes }) => attributes["cbad.stream"]);
  expect(flaggedBy).toEqual(expect.arrayContaining(planted));
}

function expectCalls(read: Run["read"], gaps: Gaps): void {
  const expected = all.map((each) => [each.prompt, expectedCalls(each, gaps)] as const);
  const sent = expected.filter(([, calls]) => calls.length > 0);
  for (const [prompt, calls] of sent) expect(read.get(prompt), prompt).toEqual(calls);
  expect(read.size).toBe(sent.length);
}

/** Returns how many records each stream of the agent's calls has if all of them are read. */
function expectedStreams(gaps: Gaps): Record<string, number> {
  const counts: Record<string, number> = {};
  const count = (turn: string) => {
    counts[`${agent} llm.turn=${turn}`] = (counts[`${agent} llm.turn=${turn}`] ?? 0) + 1;
  };
  for (const { turns } of all.flatMap((each) => expectedCalls(each, gaps))) {
    count("call");
    for (const turn of turns) {
      const kind = turn.slice(0, turn.indexOf(" "));
      count(kind === "user" ? "prompt" : kind);
      if (kind !== "system" && kind !== "tool_result") count("step");
    }
  }
  return counts;
}

const countsOf = ({ streams }: Seen) =>
  Object.fromEntries(
    streams.flatMap(({ key, records }) => (key.includes("llm.turn=") ? [[key, records]] : [])),
  );

const timeout = 240_000;
describe.skipIf(skipInstrumentations)("conversations are read and judged alike", { timeout }, () => {
  const js: [name: string, gaps: Gaps][] = [
    ["opentelemetry", { noRefusals: "any" }],
    [
      "openinference",
      {
        noFailures: true,
        noRefusals: "streamed",
        noStreamedTokens: true,
        noStreamedModel: true,
        joinedStreamedCalls: true,
      },
    ],
    ["traceloop", { noFailures: true, noRefusals: "streamed", noStreamedTokens: true }],
  ];
  it.each(js)("with %s for JavaScript, through the sidecar and through the SDK", async (name, gaps) => {
    const run = await hold("js", name, capturing);
    expectCalls(run.read, gaps);
    expect(countsOf(run.sidecar)).toEqual(expectedStreams(gaps));
    expectVerdicts(run);
  });

  const python: [name: string, gaps: Gaps][] = [
    ["opentelemetry", { plainRefusals: true }],
    ["openinference", {}],
    ["traceloop", { noRefusals: "streamed" }],
  ];
  it.each(python)("with %s for Python, through the sidecar", async (name, gaps) => {
    const run = await hold("python", name, {
      OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: "span_and_event",
    });
    expectCalls(run.read, gaps);
    expect(countsOf(run.sidecar)).toEqual(expectedStreams(gaps));
    expectVerdicts(run);
  });

  it("with the SDK around the client", async () => {
    await installing.js;
    const settings = { instrumentation: "none", service, detect, plan, sdk, provider: provider.url };
    const seen = seenBySdk(await runAgent("js", settings, {}));
    expect(countsOf(seen)).toEqual(expectedStreams({}));
    expect(leakStreams(seen.reports)).toEqual(planted);
  });

  it("without content, as instrumentations of OpenTelemetry are by default, leaks are in no stream", async () => {
    const run = await hold("js", "opentelemetry", {});
    // The names of tools are sent all the same, without arguments.
    const turns = ["call", "step", "tool_call"];
    expect(Object.keys(countsOf(run.sidecar))).toEqual(turns.map((turn) => `${agent} llm.turn=${turn}`));
    expect(leakStreams(run.sidecar.reports)).toEqual([undefined, undefined]);
    expect(run.sdk?.streams).toEqual(run.sidecar.streams);
  });
});
