import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type ExportLogsServiceRequest,
  ExportLogsServiceRequestSchema,
} from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { parseConfig } from "../../src/index.ts";
import { Malformed, Partitioning, partitionOfTenant } from "../../src/kafka/partitioning.ts";

const { detect } = parseConfig({});
const partitioning = new Partitioning(detect, { partitions: 8 });

type Attributes = Record<string, string>;

const text = (value: string) => ({ value: { case: "stringValue" as const, value } });

function requestOf(resources: readonly Attributes[]): Buffer {
  const resourceLogs = resources.map((attributes, i) => ({
    resource: {
      attributes: Object.entries(attributes).map(([key, value]) => ({ key, value: text(value) })),
    },
    scopeLogs: [{ logRecords: [{ body: text(`line ${i}`) }] }],
  }));
  const message = create(ExportLogsServiceRequestSchema, { resourceLogs });
  return Buffer.from(toBinary(ExportLogsServiceRequestSchema, message));
}

const decode = (bytes: Buffer): ExportLogsServiceRequest => fromBinary(ExportLogsServiceRequestSchema, bytes);
const partitionOf = (attributes: Attributes, tenant = "acme") => {
  const [[partition] = []] = partitioning.divide(tenant, requestOf([attributes]));
  return partition;
};

const attributes = fc.dictionary(
  fc.constantFrom("service.name", "host.name", "k8s.deployment.name", "other", "service.instance.id"),
  fc.constantFrom("", "a", "b", "c", "checkout", "payments"),
);

describe("a request", () => {
  test("is divided into parts that have its resources, each once and in order", () => {
    fc.assert(
      fc.property(fc.array(attributes, { maxLength: 12 }), (resources) => {
        const request = requestOf(resources);
        const parts = [...partitioning.divide("acme", request)];
        const whole = decode(request).resourceLogs;
        const divided = parts.map(([partition, part]) => ({
          partition,
          resources: decode(part).resourceLogs,
        }));
        expect(divided.flatMap(({ resources }) => resources)).toHaveLength(whole.length);
        for (const { partition, resources: own } of divided) {
          const expected = whole.filter((_, i) => partitionOf(resources[i]!) === partition);
          expect(own).toEqual(expected);
        }
      }),
    );
  });

  test("that is cut off is refused, whatever is left of it", () => {
    const request = requestOf([{ "service.name": "a" }]);
    for (let size = 1; size < request.length; size += 1) {
      expect(() => partitioning.divide("acme", request.subarray(0, size))).toThrow(Malformed);
    }
    expect(() => partitioning.divide("acme", Buffer.alloc(20, 0xff))).toThrow(Malformed);
  });

  test("of a single partition is the same buffer", () => {
    const request = requestOf([{ "service.name": "a" }, { "service.name": "a", other: "b" }]);
    expect([...partitioning.divide("acme", request).values()]).toEqual([request]);
  });
});

describe("a resource", () => {
  test("goes where its group goes, whatever else it has", () => {
    const home = partitionOf({ "service.name": "checkout" });
    expect(partitionOf({ "service.name": "checkout", "host.name": "h1", other: "x" })).toBe(home);
    // A name that is empty is none.
    expect(partitionOf({ "service.name": "", "k8s.deployment.name": "d" })).toBe(
      partitionOf({ "k8s.deployment.name": "d" }),
    );
  });

  test("spreads over all partitions", () => {
    const found = Array.from({ length: 200 }, (_, i) => partitionOf({ "service.name": `service-${i}` }));
    for (let partition = 0; partition < 8; partition += 1) {
      expect(found.filter((each) => each === partition).length).toBeGreaterThan(10);
    }
    const tenants = Array.from({ length: 200 }, (_, i) => partitionOfTenant(`tenant-${i}`, 8));
    expect(new Set(tenants).size).toBe(8);
    const hosts = Array.from({ length: 50 }, (_, i) => partitionOf({ "service.name": "a" }, `tenant-${i}`));
    expect(new Set(hosts).size).toBeGreaterThan(4);
  });
});
