/**
 * A service graph with what each operation takes of its own, learned from spans: the reference for the ranking of causes. Time and
 * failures are conserved along the calls, so what an operation takes of its own is what its spans take, less what its callees
 * take. A caller that waits for a slow callee, or that fails because of it, takes nothing more of its own.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { ExportTraceServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import type { KeyValue } from "../../src/gen/opentelemetry/proto/common/v1/common_pb.js";
import {
  Span_SpanKind as Kind,
  Status_StatusCode,
} from "../../src/gen/opentelemetry/proto/trace/v1/trace_pb.js";

/** What the spans of an operation took of their own in one tick. */
export interface OwnFigures {
  count: number;
  seconds: number;
  /** Failures that no callee explains. */
  failures: number;
}

/** An operation of a service on one host, or of a peer that sends no spans itself. */
export interface OperationFigures {
  service: string;
  operation: string;
  /** Empty for a peer. */
  host: string;
  ticks: Map<number, OwnFigures>;
}

/** The calls that an operation makes to another one. `seconds` are those of the whole calls. */
export interface EdgeFigures {
  caller: string;
  operation: string;
  callee: string;
  ticks: Map<number, OwnFigures>;
}

interface GraphSpan {
  service: string;
  host: string;
  name: string;
  kind: Kind;
  parent: string;
  peer: string | undefined;
  /** Milliseconds since 1970. */
  start: number;
  end: number;
  failed: boolean;
}

/** Spans of a trace are expected until nothing of it has come for so long. */
const idleMs = 30_000;
const tickMs = 10_000;

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");

function textOf(attributes: readonly KeyValue[], ...keys: string[]): string | undefined {
  for (const key of keys) {
    const value = attributes.find((attribute) => attribute.key === key)?.value?.value;
    if (value?.case === "stringValue") return value.value;
  }
  return undefined;
}

export class ServiceGraph {
  /** The traces that may go on, the least recently active first. */
  readonly #open = new Map<string, { spans: Map<string, GraphSpan>; last: number }>();
  readonly operations = new Map<string, OperationFigures>();
  readonly edges = new Map<string, EdgeFigures>();

  /** @param time the event time at which the request was complete, in milliseconds since 1970 */
  add(body: Buffer, time: number): void {
    for (const { resource, scopeSpans } of fromBinary(ExportTraceServiceRequestSchema, body).resourceSpans) {
      const service = textOf(resource?.attributes ?? [], "service.name") ?? "";
      const host = textOf(resource?.attributes ?? [], "host.name") ?? "";
      for (const span of scopeSpans.flatMap((scope) => scope.spans)) {
        const trace = hex(span.traceId);
        const spans = this.#open.get(trace)?.spans ?? new Map<string, GraphSpan>();
        this.#open.delete(trace);
        this.#open.set(trace, { spans, last: time });
        spans.set(hex(span.spanId), {
          service,
          host,
          name: span.name,
          kind: span.kind,
          parent: hex(span.parentSpanId),
          peer: textOf(span.attributes, "service.peer.name", "peer.service", "server.address"),
          start: Number(span.startTimeUnixNano) / 1e6,
          end: Number(span.endTimeUnixNano) / 1e6,
          failed: span.status?.code === Status_StatusCode.ERROR,
        });
      }
    }
    for (const [trace, { spans, last }] of this.#open) {
      if (time - last < idleMs) break;
      this.#close(spans);
      this.#open.delete(trace);
    }
  }

  /** Closes all traces. */
  finish(): void {
    for (const { spans } of this.#open.values()) this.#close(spans);
    this.#open.clear();
  }

  #close(spans: ReadonlyMap<string, GraphSpan>): void {
    const children = Map.groupBy(spans.values(), ({ parent }) => parent);
    for (const [id, span] of spans) this.#span(span, children.get(id) ?? [], spans.get(span.parent));
  }

  #span(span: GraphSpan, children: readonly GraphSpan[], parent: GraphSpan | undefined): void {
    const { service, host, name, start, end, kind, failed } = span;
    if (kind !== Kind.CLIENT && kind !== Kind.PRODUCER) {
      // A message waits between its producer and its consumer, which is the consumer's.
      const waited = parent && kind === Kind.CONSUMER ? Math.max(0, start - parent.end) : 0;
      const passedOn = children.some((child) => child.failed && child.kind !== Kind.CONSUMER);
      const own = waited + end - start - covered(span, children);
      const key = `${service}\n${name}\n${host}`;
      const figures = entry(this.operations, key, () => ({
        service,
        operation: name,
        host,
        ticks: new Map(),
      }));
      note(figures.ticks, end, own, failed && !passedOn);
      return;
    }
    const answer = children.find((child) => child.kind === Kind.SERVER);
    const peer = answer?.service ?? span.peer;
    if (peer === undefined) return;
    if (answer === undefined) {
      const key = `${peer}\n${name}\n`;
      const figures = entry(this.operations, key, () => ({
        service: peer,
        operation: name,
        host: "",
        ticks: new Map(),
      }));
      note(figures.ticks, end, end - start, failed);
    }
    if (parent === undefined) return;
    const edge = entry(this.edges, `${parent.service}\n${parent.name}\n${peer}\n${name}`, () => ({
      caller: parent.service,
      operation: parent.name,
      callee: peer,
      ticks: new Map(),
    }));
    note(edge.ticks, end, end - start, failed);
  }
}

function entry<K, T>(map: Map<K, T>, key: K, create: () => T): T {
  const known = map.get(key);
  if (known !== undefined) return known;
  const value = create();
  map.set(key, value);
  return value;
}

function note(ticks: Map<number, OwnFigures>, end: number, ms: number, failed: boolean): void {
  const tick = Math.floor(end / tickMs) * tickMs;
  const own = entry(ticks, tick, () => ({ count: 0, seconds: 0, failures: 0 }));
  own.count++;
  own.seconds += ms / 1_000;
  own.failures += failed ? 1 : 0;
}

/** Returns the milliseconds of a span in which a call was running; messages are not waited for. */
function covered({ start, end }: GraphSpan, children: readonly GraphSpan[]): number {
  let sum = 0;
  let reached = start;
  for (const child of children.toSorted((a, b) => a.start - b.start)) {
    if (child.kind === Kind.CONSUMER) continue;
    const from = Math.max(child.start, reached);
    const to = Math.min(child.end, end);
    if (to <= from) continue;
    sum += to - from;
    reached = to;
  }
  return sum;
}

/** Sums of the figures of many ticks, with the squares that tell how much they usually differ. */
interface Sums extends OwnFigures {
  ticks: number;
  squares: number;
}

function sums(ticks: ReadonlyMap<number, OwnFigures>, within: (tick: number) => boolean): Sums {
  const total = { count: 0, seconds: 0, failures: 0, ticks: 0, squares: 0 };
  for (const [tick, { count, seconds, failures }] of ticks) {
    if (!within(tick)) continue;
    total.count += count;
    total.seconds += seconds;
    total.failures += failures;
    total.squares += seconds ** 2 / count;
    total.ticks++;
  }
  return total;
}

/** What a number exceeds the usual one by, less what chance would: two standard deviations. */
const beyond = (excess: number, variance: number) => Math.max(0, excess - 2 * Math.sqrt(variance));

/** A candidate for the cause, with what it took of its own beyond what was usual before. */
export interface Candidate {
  service?: string;
  host?: string;
  seconds: number;
  failures: number;
}

/**
 * The seconds that a failure counts as. Whoever fails fast takes less time than usual, so that failures must count on their own.
 */
const secondsPerFailure = 1;

const weight = ({ seconds, failures }: Candidate) => seconds + secondsPerFailure * failures;

/**
 * A host stands before the services on it if it explains so many times what the first of them does: then what they have in common
 * is the host.
 */
const hostFactor = 1.5;

/** Ranks services and hosts by their own excess from one time to another, in milliseconds since 1970. */
export function rankCauses({ operations, edges }: ServiceGraph, from: number, to: number): Candidate[] {
  const before = (tick: number) => tick + tickMs <= from;
  const during = (tick: number) => tick + tickMs > from && tick < to;
  const services = new Map<string, Candidate>();
  const hosts = new Map<string, Candidate>();
  const spans = new Map<string, { before: number; during: number }>();
  const add = (candidate: Candidate, seconds: number, failures: number) => {
    candidate.seconds += seconds;
    candidate.failures += failures;
  };
  for (const { service, operation, host, ticks } of operations.values()) {
    const [usual, now] = [sums(ticks, before), sums(ticks, during)];
    const counts = entry(spans, `${service}\n${operation}`, () => ({ before: 0, during: 0 }));
    counts.before += usual.count;
    counts.during += now.count;
    if (usual.count === 0 || now.count === 0) continue;
    const per = now.count / usual.count;
    const mean = usual.seconds / usual.count;
    // The ticks' means differ by the variance of a span divided by their counts.
    const variance = Math.max(0, (usual.squares - usual.count * mean ** 2) / Math.max(1, usual.ticks - 1));
    const seconds = beyond(now.seconds - per * usual.seconds, variance * now.count * (1 + per));
    const expected = per * usual.failures;
    const failures = beyond(now.failures - expected, expected + 1);
    add(
      entry(services, service, () => ({ service, seconds: 0, failures: 0 })),
      seconds,
      failures,
    );
    if (host !== "")
      add(
        entry(hosts, host, () => ({ host, seconds: 0, failures: 0 })),
        seconds,
        failures,
      );
  }
  for (const { caller, operation, ticks } of edges.values()) {
    const [usual, now] = [sums(ticks, before), sums(ticks, during)];
    const counts = spans.get(`${caller}\n${operation}`);
    if (usual.count === 0 || counts === undefined || counts.before === 0) continue;
    // Calls that are usual neither in number nor for the number of requests are the caller's.
    const expected = (usual.count / counts.before) * counts.during;
    const extra = beyond(now.count - expected, expected + 1);
    add(
      entry(services, caller, () => ({ service: caller, seconds: 0, failures: 0 })),
      (extra * usual.seconds) / usual.count,
      0,
    );
  }
  const ranked = [...services.values()]
    .filter((candidate) => weight(candidate) > 0)
    .sort((a, b) => weight(b) - weight(a));
  const [first] = ranked;
  const common = [...hosts.values()].sort((a, b) => weight(b) - weight(a))[0];
  return first && common && weight(common) > hostFactor * weight(first) ? [common, ...ranked] : ranked;
}
