/** Pages of evidence for the tests. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Channel, Severity, Signal } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import {
  type ChangeSchema,
  type EdgeFigures,
  type EdgeFiguresSchema,
  type EvidencePage,
  EvidencePageSchema,
  EvidenceSchema,
  GraphTickSchema,
  type OperationFigures,
  type OperationFiguresSchema,
} from "../../src/gen/driftlock/v1/incidents_pb.js";
import { IncidentFormer } from "../../src/incidents/former.ts";

export const tenant = "default";
const start = Date.UTC(2026, 0, 5);
/** Returns the time of a tick. Ticks last 10 s. */
export const at = (tick: number) => BigInt(start + tick * 10_000) * 1_000_000n;

export const newFormer = (perTenantPerDay = 3) => new IncidentFormer({ perTenantPerDay, seed: 7n });

export function evidence(tick: number, service: string, some: MessageInitShape<typeof EvidenceSchema> = {}) {
  return create(EvidenceSchema, {
    tenant,
    signal: Signal.TRACES,
    stream: `traces service.name=${service}`,
    serviceName: service,
    channel: Channel.SHIFT,
    tickUnixNano: at(tick),
    flagged: 1,
    margin: 2 ** 14,
    pValue: 1e-8,
    severity: Severity.HIGH,
    ...some,
  });
}

type Operation = Exclude<MessageInitShape<typeof OperationFiguresSchema>, OperationFigures>;
type Edge = Exclude<MessageInitShape<typeof EdgeFiguresSchema>, EdgeFigures>;

/** An operation that takes `now` seconds, and usually `usual`, for a hundred spans. */
export function operation(
  service: string,
  now: number,
  usual: number,
  some: Partial<Operation> = {},
): Operation {
  return {
    service,
    operation: `${service}/run`,
    host: "node-1",
    now: { count: 100, seconds: now },
    usual: { count: 100, seconds: usual },
    variance: 1e-6,
    ...some,
  };
}

export function call(caller: string, callee: string, some: Partial<Edge> = {}): Edge {
  const figures = { count: 100, seconds: 10 };
  return {
    caller,
    operation: `${caller}/run`,
    callee,
    calleeOperation: `${callee}/run`,
    now: figures,
    usual: figures,
    ...some,
  };
}

export function tick(number: number, operations: Operation[] = [], edges: Edge[] = []) {
  return create(GraphTickSchema, { tenant, tickUnixNano: at(number), operations, edges });
}

export function page(parts: {
  evidence?: EvidencePage["evidence"];
  ticks?: EvidencePage["ticks"];
  changes?: MessageInitShape<typeof ChangeSchema>[];
}): EvidencePage {
  return create(EvidencePageSchema, parts);
}

/** web calls orders and search, and both call the database db; mail is by itself. */
export const calls = [
  call("web", "orders"),
  call("web", "search"),
  call("orders", "db"),
  call("search", "db"),
];

/** A former that has seen two quiet days. */
export function experienced(perTenantPerDay = 3): IncidentFormer {
  const former = newFormer(perTenantPerDay);
  for (let number = -17_280; number < 0; number++) {
    former.add(page({ ticks: [tick(number, [operation("mail", 1, 1)], calls)] }));
  }
  return former;
}
