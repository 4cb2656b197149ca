/** What becomes of the memory of a body that its consumer releases. */
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { Code, ExportError } from "../../src/otlp/protocol.ts";
import { grpcClient, grpcExport, httpExport, requests, start } from "./support.ts";

const protobuf = { "content-type": "application/x-protobuf" };

describe("a body that the consumer has released", () => {
  test.each(["grpc", "http", "http with gzip"] as const)(
    "is given back after the answer: %s",
    async (over) => {
      const seen: number[] = [];
      const running = await start({}, async ({ body, release }) => {
        release();
        // It is there until the consumer has answered.
        await new Promise(setImmediate);
        seen.push(body.length);
        return undefined;
      });
      if (over === "grpc") {
        expect((await grpcExport(grpcClient(running.grpc), "logs", requests.logs)).code).toBe(0);
      } else {
        const gzip = over === "http with gzip";
        const { status } = await httpExport(
          running.http,
          "logs",
          gzip ? gzipSync(requests.logs) : requests.logs,
          {
            headers: { ...protobuf, ...(gzip && { "content-encoding": "gzip" }) },
          },
        );
        expect(status).toBe(200);
      }
      expect(seen).toEqual([requests.logs.length]);
      expect(running.events[0]).toMatchObject({ code: 0, bytes: requests.logs.length });
      // A small body that shares its memory with others is left to the garbage collector.
      const { body } = running.taken[0]!;
      expect(body.length === 0 || body.buffer.byteLength > body.length).toBe(true);
      if (over !== "http with gzip") expect(body.buffer.byteLength).toBe(0);
    },
  );
});

test.each([
  ["accepts", async (): Promise<undefined> => undefined],
  [
    "refuses",
    async (): Promise<undefined> => {
      throw new ExportError(Code.INVALID_ARGUMENT, "no");
    },
  ],
] as const)("a body stays whole if the consumer that %s it does not release it", async (_, consumer) => {
  const running = await start({}, consumer);
  await grpcExport(grpcClient(running.grpc), "logs", requests.logs);
  expect(running.taken[0]!.body.equals(requests.logs)).toBe(true);
});
