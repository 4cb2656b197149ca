/** Requests larger than the downstream takes. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it, vi } from "vitest";
import { DurableForwarder } from "../../src/forward/durable.ts";
import { Forwarder } from "../../src/forward/index.ts";
import { ExportLogsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { Code } from "../../src/otlp/protocol.ts";
import { cleanups, downstream, newFolder } from "./cleanups.ts";
import { forwardConfig, type Protocol, patient, type Received, watch } from "./downstream.ts";

const KiB = 1024;

/** A request of `count` numbered records of `size` bytes each. */
function numbered(count: number, size: number): Buffer {
  return sized(Array.from({ length: count }, () => size));
}

/** A request of numbered records of these sizes. */
function sized(sizes: number[]): Buffer {
  const logRecords = sizes.map((size, i) => ({
    severityText: String(i),
    body: { value: { case: "stringValue" as const, value: "x".repeat(size) } },
  }));
  const init = { resourceLogs: [{ scopeLogs: [{ scope: { name: "scope" }, logRecords }] }] };
  return Buffer.from(toBinary(ExportLogsServiceRequestSchema, create(ExportLogsServiceRequestSchema, init)));
}

function numbersOf(received: Received[]): number[] {
  return received.flatMap(({ body }) =>
    fromBinary(ExportLogsServiceRequestSchema, body).resourceLogs.flatMap(({ scopeLogs }) =>
      scopeLogs.flatMap(({ scope, logRecords }) => {
        expect(scope?.name).toBe("scope");
        return logRecords.map(({ severityText }) => Number(severityText));
      }),
    ),
  );
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

describe.each<Protocol>(["grpc", "http"])("a large request over %s", (protocol) => {
  type Overrides = NonNullable<Parameters<typeof forwardConfig>[2]>;
  function forwarder(endpoint: string, overrides: Overrides = {}) {
    const seen = watch();
    const config = forwardConfig(protocol, endpoint, { max_request_size: 64 * KiB, ...overrides });
    const forward = new Forwarder(config, seen);
    cleanups.push(() => forward.close(0));
    return { forward, seen };
  }
  const invalid = protocol === "http" ? 400 : Code.INVALID_ARGUMENT;
  const tooLarge = (limit: number) => (request: Received) => {
    if (request.body.length <= limit) return {};
    return protocol === "http"
      ? { status: 413 }
      : {
          status: Code.RESOURCE_EXHAUSTED,
          message: `grpc: received message larger than max (9 vs. ${limit})`,
        };
  };

  it("goes in parts that the downstream takes, each record once", async () => {
    const server = await downstream(protocol, tooLarge(64 * KiB));
    const { forward, seen } = forwarder(server.endpoint);
    await forward.export("logs", numbered(1_000, 500), patient());
    expect(server.received.length).toBeGreaterThan(7);
    expect(server.received.length).toBeLessThan(12);
    expect(numbersOf(server.received)).toEqual(upTo(1_000));
    expect(seen.rejected).toEqual([0]);
    expect(seen.oversize).toEqual([]);
    expect(forward.state().queuedBytes).toBe(0);
  });

  it("is one request to its sender: partial successes are summed", async () => {
    const server = await downstream(protocol, (_, index) =>
      index === 1 ? {} : { partialSuccess: { rejected: index + 1, message: index < 3 ? "old" : "odd" } },
    );
    const { forward, seen } = forwarder(server.endpoint);
    const partial = await forward.export("logs", numbered(500, 500), patient());
    expect(server.received).toHaveLength(4);
    expect(partial).toEqual({ rejected: 1 + 3 + 4, message: "old; odd" });
    expect(seen.rejected).toEqual([8]);
  });

  it("is delivered but for a part that is invalid, whose records are rejected", async () => {
    const server = await downstream(protocol, (_, index) =>
      index === 1 ? { status: invalid, message: "bad severity" } : {},
    );
    const { forward, seen } = forwarder(server.endpoint);
    const partial = await forward.export("logs", numbered(500, 500), patient());
    expect(numbersOf(server.received)).toEqual(upTo(500));
    const rejected = numbersOf([server.received[1]!]).length;
    expect(partial).toEqual({ rejected, message: expect.stringContaining("bad severity") });
    expect(seen).toMatchObject({ refusedParts: [rejected], rejected: [0], drops: [] });
  });

  it("is delivered but for a record that is too large by itself, which is rejected with the reason", async () => {
    const server = await downstream(protocol, tooLarge(64 * KiB));
    const { forward, seen } = forwarder(server.endpoint);
    const partial = await forward.export("logs", sized([500, 500, 100 * KiB, 500, 90 * KiB, 500]), patient());
    const taken = server.received.filter(({ body }) => body.length <= 64 * KiB);
    expect(numbersOf(taken)).toEqual([0, 1, 3, 5]);
    expect(partial).toEqual({ rejected: 2, message: expect.stringContaining("RESOURCE_EXHAUSTED") });
    expect(seen).toMatchObject({ refusedParts: [1, 1], drops: [] });
  });

  it("is delivered but for a record that is found to be too large when it is divided further", async () => {
    const server = await downstream(protocol, tooLarge(20 * KiB));
    const { forward, seen } = forwarder(server.endpoint);
    const partial = await forward.export("logs", sized([500, 500, 30 * KiB, 500, 500]), patient());
    const taken = server.received.filter(({ body }) => body.length <= 20 * KiB);
    expect(numbersOf(taken)).toEqual([0, 1, 3, 4]);
    expect(partial).toMatchObject({ rejected: 1 });
    expect(seen).toMatchObject({ refusedParts: [1], drops: [] });
  });

  it("is refused as a whole if all of its parts are", async () => {
    const server = await downstream(protocol, () => ({ status: invalid }));
    const { forward, seen } = forwarder(server.endpoint);
    await expect(forward.export("logs", numbered(500, 500), patient())).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
    });
    expect(seen).toMatchObject({ refusedParts: [], rejected: [], drops: ["refused"] });
  });

  it("is refused as a whole, and no later part is sent, if the refusal is not for what is in a part", async () => {
    const server = await downstream(protocol, (_, index) =>
      index === 1 ? { status: protocol === "http" ? 401 : Code.UNAUTHENTICATED } : {},
    );
    const { forward, seen } = forwarder(server.endpoint);
    await expect(forward.export("logs", numbered(500, 500), patient())).rejects.toMatchObject({
      code: Code.UNAUTHENTICATED,
    });
    expect(server.received).toHaveLength(2);
    expect(seen.drops).toEqual(["refused"]);
  });

  it("is divided further for a downstream that takes less", async () => {
    const server = await downstream(protocol, tooLarge(20 * KiB));
    const { forward, seen } = forwarder(server.endpoint);
    await forward.export("logs", numbered(200, 500), patient());
    const taken = server.received.filter(({ body }) => body.length <= 20 * KiB);
    expect(numbersOf(taken)).toEqual(upTo(200));
    expect(seen.drops).toEqual([]);
  });

  it.runIf(protocol === "grpc")(
    "is divided further for a server in Rust, which says it in its own way",
    async () => {
      const message = "Error, decoded message length too large: found 9 bytes, the limit is: 1 bytes";
      const server = await downstream(protocol, ({ body }) =>
        body.length > 20 * KiB ? { status: Code.OUT_OF_RANGE, message } : {},
      );
      const { forward } = forwarder(server.endpoint);
      await forward.export("logs", numbered(100, 500), patient());
      expect(numbersOf(server.received.filter(({ body }) => body.length <= 20 * KiB))).toEqual(upTo(100));
    },
  );

  it("is not divided further for a quota that is spent", async () => {
    const server = await downstream(protocol, () =>
      protocol === "http" ? { status: 403 } : { status: Code.RESOURCE_EXHAUSTED, message: "quota exceeded" },
    );
    const { forward } = forwarder(server.endpoint);
    await expect(forward.export("logs", numbered(10, 500), patient())).rejects.toThrow();
    expect(server.received).toHaveLength(1);
  });

  it("tells of a record that is too large by itself, and sends it nonetheless", async () => {
    const server = await downstream(protocol);
    const { forward, seen } = forwarder(server.endpoint);
    await forward.export("logs", numbered(3, 100 * KiB), patient());
    expect(numbersOf(server.received)).toEqual(upTo(3));
    expect(server.received).toHaveLength(3);
    expect(seen.oversize).toEqual(server.received.map(({ body }) => body.length));
  });

  it("goes as it is where it is no OTLP", async () => {
    const server = await downstream(protocol);
    const { forward } = forwarder(server.endpoint);
    const body = Buffer.alloc(200 * KiB, "no message ");
    await forward.export("logs", body, patient());
    expect(server.received.map((one) => one.body.equals(body))).toEqual([true]);
  });

  it("is held whole while its parts go, and is no more sent once the forwarder closes", async () => {
    const held = Promise.withResolvers<object>();
    const server = await downstream(protocol, () => held.promise);
    const { forward, seen } = forwarder(server.endpoint);
    const body = numbered(500, 500);
    const sent = forward.export("logs", body, patient()).catch((error) => error);
    await vi.waitFor(() => expect(server.received).toHaveLength(1));
    expect(forward.state().queuedBytes).toBeGreaterThanOrEqual(body.length);
    const closed = forward.close(50);
    expect(await sent).toMatchObject({ code: Code.UNAVAILABLE });
    expect(await closed).toEqual({ requests: 1, bytes: body.length });
    expect(server.received).toHaveLength(1);
    expect(seen.drops).toEqual(["shutdown"]);
  });

  it("is delivered whole before the forwarder closes", async () => {
    const server = await downstream(protocol);
    const { forward } = forwarder(server.endpoint);
    const sent = forward.export("logs", numbered(500, 500), patient());
    expect(await forward.close(10_000)).toEqual({ requests: 0, bytes: 0 });
    await sent;
    expect(numbersOf(server.received)).toEqual(upTo(500));
  });

  it("has an entry for each part in the queue on disk", async () => {
    const server = await downstream(protocol, (_, index) =>
      index === 2 ? { status: protocol === "http" ? 400 : Code.INVALID_ARGUMENT } : {},
    );
    const seen = watch();
    const overrides = { max_request_size: 64 * KiB, queue: { storage: "disk", concurrency: 1 } } as Overrides;
    const config = forwardConfig(protocol, server.endpoint, overrides);
    const forward = await DurableForwarder.open(config, seen, await newFolder());
    cleanups.push(() => forward.close(0));
    await forward.export("logs", numbered(500, 500), patient());
    await vi.waitFor(() => expect(forward.state().storedBytes).toBe(0), 10_000);
    expect(server.received).toHaveLength(4);
    expect(numbersOf(server.received)).toEqual(upTo(500));
    // Only the one that is refused becomes a dead letter.
    expect(seen.letters).toEqual([true]);
    expect(seen.rejected).toEqual([0, 0, 0]);
  });

  it("leaves only the record that is too large as a dead letter of the queue on disk", async () => {
    const server = await downstream(protocol, tooLarge(20 * KiB));
    const seen = watch();
    const overrides = { max_request_size: 64 * KiB, queue: { storage: "disk", concurrency: 1 } } as Overrides;
    const config = forwardConfig(protocol, server.endpoint, overrides);
    const folder = await newFolder();
    const forward = await DurableForwarder.open(config, seen, folder);
    cleanups.push(() => forward.close(0));
    await forward.export("logs", sized([500, 500, 30 * KiB, 500]), patient());
    await vi.waitFor(() => expect(forward.state().storedBytes).toBe(0), 10_000);
    const taken = server.received.filter(({ body }) => body.length <= 20 * KiB);
    expect(numbersOf(taken)).toEqual([0, 1, 3]);
    expect(seen).toMatchObject({ letters: [true], refusedParts: [], drops: [] });
    const letters = await stat(join(folder, "dead-letters", "logs.otlp"));
    expect(letters.size).toBeGreaterThan(30 * KiB);
    expect(letters.size).toBeLessThan(31 * KiB);
  });
});
