/** The telemetry of a topology: its structure, and what its faults do to it. */
import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { ExportMetricsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import { Span_SpanKind as Kind } from "../../src/gen/opentelemetry/proto/trace/v1/trace_pb.js";
import type { Batch } from "../../src/generate/batch.ts";
import { buildTopology } from "../../src/generate/topology/build.ts";
import { type Fault, type FaultName, faultNames } from "../../src/generate/topology/fault.ts";
import { faultKinds } from "../../src/generate/topology/fault-kinds.ts";
import { callsOf, type Operation } from "../../src/generate/topology/model.ts";
import { type TopologyOptions, TopologyTelemetry } from "../../src/generate/topology/topology-telemetry.ts";
import { signals } from "../../src/otlp/protocol.ts";
import { attributesOf, childrenOf, ownTime, type ReadSpan, readSpans } from "./read-spans.ts";

/** Nine in the morning. */
const start = Date.UTC(2026, 0, 5, 9);
const minute = 60_000;

function generate(some: Partial<TopologyOptions> = {}): { batches: Batch[]; faults: Fault[] } {
  const faults: Fault[] = [];
  const telemetry = new TopologyTelemetry({
    seed: "1",
    startUnixNano: BigInt(start) * 1_000_000n,
    signals,
    rate: 40,
    speed: 1,
    duration: 3 * minute,
    recordsPerRequest: 100,
    schedule: [],
    onFault: (fault) => faults.push(fault),
    ...some,
  });
  return { batches: [...telemetry.batches()], faults };
}

const bytes = (batches: readonly Batch[]) => Buffer.concat(batches.map(({ body }) => body));

describe("a topology", () => {
  it("has at least twelve services, an acyclic graph of calls, and no operation that nobody calls", () => {
    fc.assert(
      fc.property(fc.string(), (seed) => {
        const { components, hosts } = buildTopology(seed);
        const services = components.filter(({ traced }) => traced);
        expect(services.length).toBeGreaterThanOrEqual(12);
        expect(new Set(components.map(({ name }) => name)).size).toBe(components.length);
        for (const kind of ["gateway", "database", "cache", "broker", "external", "consumer", "worker"])
          expect(components.some((component) => component.kind === kind)).toBe(true);
        const depth = (operation: Operation, above: readonly Operation[]): void => {
          expect(above).not.toContain(operation);
          for (const { to } of callsOf(operation)) depth(to, [...above, operation]);
        };
        for (const { operations, instances } of components) {
          for (const operation of operations) {
            expect(operation.share).toBeGreaterThan(0);
            depth(operation, []);
          }
          for (const { host } of instances) expect(hosts).toContain(host);
        }
      }),
      { numRuns: 50 },
    );
  });

  it("differs by the seed", () => {
    const names = (seed: string) => buildTopology(seed).components.map(({ name }) => name);
    expect(names("1")).toEqual(names("1"));
    expect(names("1")).not.toEqual(names("2"));
  });
});

describe("the telemetry of a topology", () => {
  const schedule = [
    { kind: "slow-database", start: minute, end: 2 * minute, size: 1 },
    { kind: "bad-deploy", start: minute, end: 2 * minute, size: 1 },
  ] as const;

  it("is the same for the same options, and another for another seed", () => {
    const once = bytes(generate({ schedule }).batches);
    expect(bytes(generate({ schedule }).batches).equals(once)).toBe(true);
    expect(bytes(generate({ schedule, seed: "2" }).batches).equals(once)).toBe(false);
  });

  it("comes at about the rate, in the order of time, in requests of bounded size", () => {
    const day = generate({ rate: 2, duration: 24 * 60 * minute });
    const records = day.batches.reduce((sum, batch) => sum + batch.records, 0);
    expect(records / 86_400).toBeGreaterThan(1.8);
    expect(records / 86_400).toBeLessThan(2.2);
    const times = day.batches.map(({ time }) => time);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(Math.max(...day.batches.map((batch) => batch.records))).toBeLessThanOrEqual(100);
    const inHour = (hour: number) =>
      readSpans(day.batches.filter(({ time }) => Math.floor(time / 3.6e6) === (hour + 15) % 24)).length;
    expect(inHour(14)).toBeGreaterThan(2 * inHour(2));
  });

  it("leaves the records before a fault as they are", () => {
    const earlier = (batches: Batch[]) => bytes(batches.filter(({ time }) => time < minute));
    expect(earlier(generate({ schedule }).batches).equals(earlier(generate().batches))).toBe(true);
  });

  it("has other visits in another run of the same topology", () => {
    const traces = (run: string) => new Set(readSpans(generate({ run }).batches).map(({ trace }) => trace));
    const instances = (run: string) =>
      [...new Set(readSpans(generate({ run }).batches).map(({ instance }) => instance))].sort();
    const others = traces("b");
    expect([...traces("a")].filter((trace) => others.has(trace))).toEqual([]);
    expect(instances("a")).toEqual(instances("b"));
  });

  it("holds metrics of services, peers and hosts", () => {
    const names = new Map<string, Set<unknown>>();
    for (const { signal, body } of generate().batches) {
      if (signal !== "metrics") continue;
      for (const { resource, scopeMetrics } of fromBinary(ExportMetricsServiceRequestSchema, body)
        .resourceMetrics) {
        const of = attributesOf(resource!.attributes);
        const from =
          of.get("db.system.name") ?? of.get("messaging.system") ?? of.get("service.name") ?? "host";
        for (const { name } of scopeMetrics.flatMap(({ metrics }) => metrics))
          names.set(name, (names.get(name) ?? new Set()).add(from));
      }
    }
    const { components } = buildTopology("1");
    const of = (kind: string) => components.filter((component) => component.kind === kind);
    expect(names.get("shop.job.duration")).toEqual(new Set(of("worker").map(({ name }) => name)));
    expect(names.get("messaging.process.duration")).toEqual(new Set(of("consumer").map(({ name }) => name)));
    expect(names.get("messaging.consumer.lag")).toEqual(new Set(of("broker").map(({ system }) => system)));
    expect(names.get("shop.cache.lookups")).toEqual(new Set(of("cache").map(({ system }) => system)));
    expect(names.get("system.cpu.utilization")).toEqual(
      new Set(["host", ...of("database").map(({ system }) => system)]),
    );
    const http = components.filter(({ traced, system }) => traced && system === "http");
    expect(names.get("http.server.request.duration")).toEqual(new Set(http.map(({ name }) => name)));
  });

  it("does not contain the truth about its faults", () => {
    const all = faultNames.map((kind, i) => ({ kind, start: i * 10_000, end: 3 * minute, size: 1 }));
    const { batches, faults } = generate({ schedule: all });
    expect(faults).toHaveLength(faultNames.length);
    const text = bytes(batches).toString("latin1");
    for (const word of [...faultNames, ...faults.map(({ id }) => id), "fault", "inject", "truth", "anomal"])
      expect(text.toLowerCase()).not.toContain(word);
  });

  describe("without faults", () => {
    let spans: ReadSpan[];
    let byId: Map<string, ReadSpan>;
    let children: Map<string, ReadSpan[]>;
    beforeAll(() => {
      spans = readSpans(generate({ duration: 10 * minute, signals: ["traces"] }).batches);
      byId = new Map(spans.map((span) => [span.id, span]));
      children = childrenOf(spans);
    });

    it("conserves time: calls lie within their callers, which take the sum of their parts", () => {
      const last = start + 10 * minute - 10_000;
      let synchronous = 0;
      for (const span of spans) {
        // The end of the recording cuts the youngest traces.
        if (span.parent === "" || span.start > last) continue;
        const parent = byId.get(span.parent)!;
        expect(parent.trace).toBe(span.trace);
        expect(span.start).toBeGreaterThanOrEqual(parent.start);
        if (span.kind === Kind.CONSUMER) {
          expect(parent.kind).toBe(Kind.PRODUCER);
          expect(span.start).toBeGreaterThanOrEqual(parent.end);
          continue;
        }
        expect(span.end).toBeLessThanOrEqual(parent.end + 0.001);
        synchronous++;
      }
      expect(synchronous).toBeGreaterThan(1_000);
      for (const span of spans) expect(ownTime(span, children)).toBeGreaterThan(0);
    });

    it("names the peer of a call, which is the service that answers it", () => {
      const clients = spans.filter(({ kind }) => kind === Kind.CLIENT || kind === Kind.PRODUCER);
      expect(clients.length).toBeGreaterThan(spans.length / 2);
      for (const client of clients) {
        const peer = client.attributes.get("server.address");
        expect(peer).toBeTypeOf("string");
        for (const key of ["peer.service", "service.peer.name"])
          expect([undefined, peer]).toContain(client.attributes.get(key));
        const [server] = children.get(client.id) ?? [];
        if (server && client.kind === Kind.CLIENT) expect(server.service).toBe(peer);
      }
    });
  });
});

const from = start + 7 * minute;
const to = start + 14 * minute;

interface Shown {
  fault: Fault;
  spans: ReadSpan[];
  children: Map<string, ReadSpan[]>;
}

function withFault(kind: FaultName, seed = "1"): Shown {
  const { batches, faults } = generate({
    seed,
    signals: ["traces"],
    duration: 15 * minute,
    schedule: [{ kind, start: from - start, end: to - start, size: 1 }],
  });
  const spans = readSpans(batches);
  return { fault: faults[0]!, spans, children: childrenOf(spans) };
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const isServer = ({ kind }: ReadSpan) =>
  kind === Kind.SERVER || kind === Kind.CONSUMER || kind === Kind.INTERNAL;
const during = ({ start: at }: ReadSpan) => at >= from && at < to;
const before = ({ start: at }: ReadSpan) => at < from;

/** Returns by how much the mean of `value` is greater during the fault than before it. */
function growth(spans: readonly ReadSpan[], value: (span: ReadSpan) => number): number {
  return mean(spans.filter(during).map(value)) / mean(spans.filter(before).map(value));
}

const total = ({ start: at, end }: ReadSpan) => end - at;
const failedOf = (spans: readonly ReadSpan[]) => spans.filter(({ failed }) => failed).length;

/** The spans with which a service answers. */
function served({ spans }: Shown, service: string): ReadSpan[] {
  return spans.filter((span) => span.service === service && isServer(span));
}

/** The spans with which others wait for a service or peer. */
function calledAt({ spans }: Shown, peer: string): ReadSpan[] {
  return spans.filter(
    ({ attributes, kind }) => kind === Kind.CLIENT && attributes.get("server.address") === peer,
  );
}

describe("faults", () => {
  it("come with a truth that names the cause first, and services of the topology", () => {
    for (const kind of faultNames) {
      const { faults } = generate({
        duration: minute,
        schedule: [{ kind, start: 1_000, end: 30_000, size: 1 }],
      });
      const names = buildTopology("1").components.map(({ name }) => name);
      expect(faults).toHaveLength(1);
      const [{ cause, services }] = faults as [Fault];
      expect(services[0]).toBe(cause.service);
      for (const service of services) expect(names).toContain(service);
      expect(services.length > 1).toBe(faultKinds[kind].spread === "spans");
    }
  });

  it.each(["1", "2", "3"])(
    "slow-database lengthens its callers' waiting, not their own time (seed %s)",
    (seed) => {
      const shown = withFault("slow-database", seed);
      const { service, operation } = shown.fault.cause;
      const calls = calledAt(shown, service).filter(
        ({ name }) => operation === undefined || name === operation,
      );
      expect(growth(calls, total)).toBeGreaterThan(4);
      const nearest = new Set(calls.map(({ parent }) => parent));
      const callers = shown.spans.filter((span) => isServer(span) && nearest.has(span.id));
      expect(growth(callers, total)).toBeGreaterThan(1.5);
      expect(growth(callers, (span) => ownTime(span, shown.children))).toBeLessThan(1.5);
    },
  );

  it("failing-dependency fails callers that need it, and no failure comes from nowhere", () => {
    const shown = withFault("failing-dependency");
    const { service, operation } = shown.fault.cause;
    const broken = calledAt(shown, service).filter(({ name }) => name === operation);
    expect(failedOf(broken.filter(during)) / broken.filter(during).length).toBeGreaterThan(0.4);
    expect(failedOf(broken.filter(before)) / broken.filter(before).length).toBeLessThan(0.02);
    const weak = buildTopology("1").components.flatMap(({ operations }) =>
      operations.filter(({ weaknesses }) => weaknesses.size > 0).map(({ name }) => name),
    );
    for (const span of shown.spans.filter(({ failed }) => failed)) {
      const passedOn = (shown.children.get(span.id) ?? []).some(({ failed }) => failed);
      expect(passedOn || [operation, ...weak].includes(span.name)).toBe(true);
    }
    const fails = (name: string) => failedOf(served(shown, name).filter(during)) > 20;
    expect(shown.fault.services.filter((name) => name !== service).some(fails)).toBe(true);
  });

  it("bad-deploy is of a new version, which is gone afterwards", () => {
    const shown = withFault("bad-deploy", "2");
    const spans = served(shown, shown.fault.cause.service);
    const [old] = new Set(spans.filter(before).map(({ version }) => version));
    const late = spans.filter(({ start: at }) => at > from + minute && at < to);
    expect(late.some(({ version }) => version === old)).toBe(false);
    expect(spans.filter(({ start: at }) => at > to + 45_000).every(({ version }) => version === old)).toBe(
      true,
    );
    const newer = spans.filter(({ version }) => version !== old);
    const strange = failedOf(newer) / newer.length > 0.2;
    expect(strange || mean(newer.map(total)) > 2 * mean(spans.filter(before).map(total))).toBe(true);
  });

  it("bad-deploy is rolled back, however short it is", () => {
    const { batches, faults } = generate({
      signals: ["traces"],
      duration: 4 * minute,
      schedule: [{ kind: "bad-deploy", start: minute, end: minute + 5_000, size: 1 }],
    });
    const versions = (which: (span: ReadSpan) => boolean) =>
      new Set(
        readSpans(batches)
          .filter((span) => span.service === faults[0]!.cause.service && which(span))
          .map(({ version }) => version),
      );
    expect(versions(({ start: at }) => at > start + 2 * minute)).toEqual(
      versions(({ start: at }) => at < start + minute),
    );
  });

  it("pool-exhaustion makes a service wait, but not its database", () => {
    const shown = withFault("pool-exhaustion");
    const { service } = shown.fault.cause;
    expect(growth(served(shown, service), (span) => ownTime(span, shown.children))).toBeGreaterThan(5);
    const queries = shown.spans.filter(
      (span) => span.service === service && span.attributes.has("db.namespace"),
    );
    expect(growth(queries, total)).toBeLessThan(1.5);
  });

  it("cache-miss-storm gives its database more work", () => {
    const shown = withFault("cache-miss-storm", "2");
    const lookups = calledAt(shown, shown.fault.cause.service);
    const hits = (spans: ReadSpan[]) =>
      mean(spans.map(({ attributes }) => Number(attributes.get("db.response.returned_rows"))));
    expect(hits(lookups.filter(before))).toBeGreaterThan(0.8);
    expect(hits(lookups.filter(during))).toBeLessThan(0.2);
    const readers = new Set(lookups.map(({ parent }) => parent));
    const queries = shown.spans.filter(
      ({ parent, attributes }) => readers.has(parent) && attributes.has("db.namespace"),
    );
    const perLookup = (which: (span: ReadSpan) => boolean) =>
      queries.filter(which).length / lookups.filter(which).length;
    expect(perLookup(during)).toBeGreaterThan(3 * perLookup(before));
  });

  it("bad-replica is one instance", () => {
    const shown = withFault("bad-replica");
    const { service, instance } = shown.fault.cause;
    const spans = served(shown, service).filter(during);
    const strange = (those: ReadSpan[]) => failedOf(those) / those.length + mean(those.map(total)) / 1_000;
    const bad = spans.filter((span) => span.instance === instance);
    const others = spans.filter((span) => span.instance !== instance);
    expect(bad.length).toBeGreaterThan(20);
    expect(others.length).toBeGreaterThan(20);
    expect(strange(bad)).toBeGreaterThan(3 * strange(others));
  });

  it("retry-storm multiplies the calls of the service that is too slow", () => {
    const shown = withFault("retry-storm");
    const { service } = shown.fault.cause;
    const rate = (which: (span: ReadSpan) => boolean) =>
      served(shown, service).filter(which).length /
      shown.spans.filter((span) => span.parent === "" && which(span)).length;
    expect(rate(during)).toBeGreaterThan(2 * rate(before));
    const timeouts = shown.spans.filter(({ attributes }) =>
      ["timeout", "DEADLINE_EXCEEDED"].includes(String(attributes.get("error.type"))),
    );
    expect(timeouts.some(({ attributes }) => attributes.get("server.address") === service)).toBe(true);
  });

  it("message-backlog lets messages wait, while each takes as long as usual", () => {
    const shown = withFault("message-backlog");
    const byId = new Map(shown.spans.map((span) => [span.id, span]));
    const messages = served(shown, shown.fault.cause.service);
    const waited = messages.map((span) => ({ ...span, waited: span.start - byId.get(span.parent)!.end }));
    expect(mean(waited.filter(before).map(({ waited }) => waited))).toBeLessThan(100);
    expect(mean(waited.filter(during).map(({ waited }) => waited))).toBeGreaterThan(10_000);
    expect(growth(messages, total)).toBeLessThan(1.5);
  });

  it("noisy-neighbour slows what runs on the same host", () => {
    const shown = withFault("noisy-neighbour", "2");
    const { host } = shown.fault.cause;
    const guests = buildTopology("2").components.flatMap(({ instances }) => instances);
    const near = new Set(guests.filter((guest) => guest.host.name === host).map(({ id }) => id));
    const own = (span: ReadSpan) => ownTime(span, shown.children);
    const servers = shown.spans.filter((span) => span.kind === Kind.SERVER);
    expect(
      growth(
        servers.filter(({ instance }) => near.has(instance)),
        own,
      ),
    ).toBeGreaterThan(2);
    expect(
      growth(
        servers.filter(({ instance }) => !near.has(instance)),
        own,
      ),
    ).toBeLessThan(1.3);
  });
});
