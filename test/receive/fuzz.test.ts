import { type DescMessage, fromBinary, fromJsonString } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { Engine } from "../../src/engine/index.ts";
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.js";
import { ExportLogsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { ExportMetricsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import { ExportTraceServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import { Code, type Signal, signals } from "../../src/otlp/protocol.ts";
import { toExportError } from "../../src/sidecar/pipeline.ts";
import { heldAfter } from "./memory.ts";
import { compressed, effort, fuzzTimeout, near, type Sent } from "./mutations.ts";
import { texts } from "./otlp-texts.ts";
import { afterwards, type HttpAnswer, httpExport, requests, start } from "./support.ts";

const schemas: Readonly<Record<Signal, DescMessage>> = {
  logs: ExportLogsServiceRequestSchema,
  traces: ExportTraceServiceRequestSchema,
  metrics: ExportMetricsServiceRequestSchema,
};

const limits = { max_request_size: 2 ** 19, max_inflight_size: 8 * 2 ** 20 };

/** Returns requests of one signal: a small one, and one that is large enough for the thread. */
function documents(signal: Signal): Buffer[] {
  const [[key, [group]]] = Object.entries(texts[signal]) as [[string, [object]]];
  const large = { [key]: Array.from({ length: 150 }, () => group) };
  return [texts[signal], large].map((text) => Buffer.from(JSON.stringify(text)));
}

const json = fc.constantFrom(...signals).chain((signal) =>
  compressed(near(documents(signal)), 2 ** 20).map((sent) => ({
    signal,
    type: "application/json",
    ...sent,
  })),
);
const protobuf = fc.constantFrom(...signals).chain((signal) =>
  compressed(near([Buffer.from(requests[signal])]), 2 ** 20).map((sent) => ({
    signal,
    type: "application/x-protobuf",
    ...sent,
  })),
);

interface Post extends Sent {
  signal: Signal;
  type: string;
}

/**
 * Expects a refusal by the OTLP/HTTP specification: a status that fits the code in the answer, which has the request's
 * own content type.
 */
function checkRefusal({ status, headers, body }: HttpAnswer, type: string): void {
  expect(headers["content-type"]).toBe(type);
  const said =
    type === "application/json"
      ? fromJsonString(StatusSchema, body.toString())
      : fromBinary(StatusSchema, body);
  expect(status).toBe({ [Code.INVALID_ARGUMENT]: 400, [Code.RESOURCE_EXHAUSTED]: 413 }[said.code]);
  expect(said.message).not.toBe("");
  expect(said.message.isWellFormed()).toBe(true);
}

describe("requests near sound ones", () => {
  test.each([
    ["JSON", json],
    ["protobuf", protobuf],
  ])(
    "in %s are taken or refused, and leave nothing behind",
    async (_name, posts) => {
      const engine = new Engine(configSchema.parse({}).detect, { mode: "all" });
      afterwards(() => engine.close());
      const running = await start({ limits }, async ({ signal, tenant, body }) => {
        await engine.process(signal, tenant, body).catch((error) => {
          throw toExportError(error);
        });
        return undefined;
      });
      const send = async ({ signal, type, bytes, encoding }: Post) => {
        running.taken.length = 0;
        running.events.length = 0;
        const headers = { "content-type": type, ...(encoding && { "content-encoding": encoding }) };
        const answer = await httpExport(running.http, signal, bytes, { headers });
        if (answer.status !== 200) checkRefusal(answer, type);
        // Input in JSON is forwarded as sound protobuf; protobuf is forwarded as it is, and none of its text is
        // checked.
        else if (type === "application/json") fromBinary(schemas[signal], running.taken[0]!.body);
        expect(running.receivers.inWork()).toEqual({ requests: 0, bytes: 0 });
        expect(running.logged.filter(({ level }) => Number(level) > 30)).toEqual([]);
        running.logged.length = 0;
      };
      const held = await heldAfter(() => fc.assert(fc.asyncProperty(posts, send), effort));
      expect(held).toBeLessThan(32 * 2 ** 20);
    },
    fuzzTimeout,
  );
});
