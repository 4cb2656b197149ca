/** What forming incidents costs the event loop in a storm: 2,000 items of evidence per second, with 1,000 open incidents. */
import { performance } from "node:perf_hooks";
import process from "node:process";
import { create } from "@bufbuild/protobuf";
import { Channel, Severity, Signal } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import {
  EvidencePageSchema,
  EvidenceSchema,
  type GraphTick,
  GraphTickSchema,
} from "../../src/gen/driftlock/v1/incidents_pb.js";
import { IncidentFormer } from "../../src/incidents/former.ts";

const perSecond = 2_000;
const open = 1_000;
const perPage = 50;
const seconds = 60;
const start = Date.UTC(2026, 0, 5);
const nanos = (second: number) => BigInt(start + Math.floor(second / 10) * 10_000) * 1_000_000n;

/** Evidence of a service; `item` chooses the trace. */
function evidence(second: number, service: string, item: number, margin: number) {
  const trace = Buffer.alloc(16);
  trace.writeUInt32BE(item);
  return create(EvidenceSchema, {
    tenant: "default",
    signal: Signal.TRACES,
    stream: `traces service.name=${service}`,
    serviceName: service,
    instance: `service.instance.id=${service}-${item % 3}`,
    host: `node-of-${service}`,
    channel: item % 2 === 0 ? Channel.VALUE : Channel.CONTENT,
    tickUnixNano: nanos(second),
    flagged: 1,
    margin,
    pValue: 1e-6,
    severity: Severity.MEDIUM,
    traceIds: margin > 1e6 ? [] : [trace],
  });
}

/** A tick of as many services, each of which calls the next one. */
function graphTick(second: number, services: readonly string[]): GraphTick {
  const figures = { count: 100, seconds: 1, failures: 0 };
  return create(GraphTickSchema, {
    tenant: "default",
    tickUnixNano: nanos(second),
    operations: services.map((service) => ({
      service,
      operation: `${service}/run`,
      host: `node-of-${service}`,
      now: figures,
      usual: figures,
      variance: 1e-4,
    })),
    edges: services.map((caller, i) => ({
      caller,
      operation: `${caller}/run`,
      callee: services[(i + 1) % services.length]!,
      calleeOperation: "run",
      now: figures,
      usual: figures,
    })),
  });
}

/** Returns the share of the event loop that the storm takes, by how its services are connected. */
export function stormShare(connected: boolean): { share: number; worstMs: number; open: number } {
  const former = new IncidentFormer({ perTenantPerDay: 3, seed: 1n });
  const services = Array.from({ length: open }, (_, i) => `service-${i}`);
  const page = (parts: object) => create(EvidencePageSchema, parts);
  if (!connected) {
    // What begins incidents by itself becomes usual after a few times, so each has a kind of its own.
    const begin = services.map((service, i) => ({ ...evidence(0, service, i, 2 ** 60), channel: 20 + i }));
    former.add(page({ evidence: begin }));
  } else former.add(page({ ticks: [graphTick(0, services)] }));
  let total = 0;
  let worstMs = 0;
  let item = 0;
  for (let second = 10; second < 10 + seconds; second++) {
    const pages = Array.from({ length: perSecond / perPage }, () =>
      page({
        evidence: Array.from({ length: perPage }, () => {
          item++;
          return evidence(second, services[(item * 7) % open]!, item, 100);
        }),
      }),
    );
    if (second % 10 === 0 && connected) pages.push(page({ ticks: [graphTick(second, services)] }));
    for (const each of pages) {
      const [before, cpu] = [performance.now(), process.cpuUsage()];
      former.add(each);
      const { user, system } = process.cpuUsage(cpu);
      const ms = performance.now() - before;
      // Other programs take no part in the time of the processor.
      total += (user + system) / 1_000;
      worstMs = Math.max(worstMs, ms);
    }
  }
  return { share: total / (seconds * 1_000), worstMs, open: former.stats().open };
}
