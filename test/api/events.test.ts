import { once } from "node:events";
import { createConnection } from "node:net";
import { deflateSync, gzipSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import {
  type ExportLogsServiceRequest,
  ExportLogsServiceRequestSchema,
} from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import type { ArrayValue, KeyValueList } from "../../src/gen/opentelemetry/proto/common/v1/common_pb.js";
import { native } from "../../src/native.ts";
import { Code, ExportError, type ExportRequest, type PartialSuccess } from "../../src/otlp/protocol.ts";
import { type Receivers, startReceivers } from "../../src/receive/index.ts";
import { silent } from "../store/fixtures.ts";
import { afterwards, forFile, problemOf, type Running, start } from "./support.ts";

let running: Running;
let receivers: Receivers;
let taken: ExportRequest[];
let consume: () => Promise<PartialSuccess | undefined>;

beforeAll(async () => {
  const { receive } = configSchema.parse({
    receive: { grpc: { enabled: false }, http: { endpoint: "127.0.0.1:0" } },
  });
  const hooks = {
    log: silent,
    onRequest() {},
    onRequestCut() {},
    onConnectionRefused() {},
    onConnectionClosed() {},
  };
  const consumer = (request: ExportRequest) => {
    taken.push(request);
    return consume();
  };
  running = await forFile(async () => {
    receivers = await startReceivers(receive, consumer, hooks);
    afterwards(() => receivers.close(0));
    return start({}, { take: receivers.take });
  });
});

beforeEach(() => {
  taken = [];
  consume = async () => undefined;
});

type Body = string | Buffer;

function post(body: Body, headers: Record<string, string> = {}): Promise<Response> {
  const bytes = new Uint8Array(Buffer.from(body as Buffer));
  return running.get("/v1/events", {
    method: "POST",
    body: bytes,
    headers: { "content-type": "application/json", ...headers },
  });
}

const lines = { "content-type": "application/x-ndjson" };

interface Answer {
  accepted: number;
  rejected: number;
  errors: { index: number; field: string; detail: string }[];
  message?: string;
}

async function answerOf(response: Response): Promise<Answer> {
  const body = await response.json();
  expect(response.status, JSON.stringify(body)).toBe(200);
  return body as Answer;
}

function request(n = 0): ExportLogsServiceRequest {
  return fromBinary(ExportLogsServiceRequestSchema, taken[n]!.body);
}

const bodies = (n = 0) =>
  request(n).resourceLogs.flatMap(({ scopeLogs }) =>
    scopeLogs.flatMap(({ logRecords }) => logRecords.map(({ body }) => body?.value.value)),
  );

describe("events", () => {
  it("become log records, whole", async () => {
    const event = {
      timestamp: "2026-01-31T12:00:00.123456789+01:00",
      severity: "WARN",
      body: { text: "slow", ms: 1.5, n: 3, big: 1e300, ok: true, none: null, list: [1, "a"] },
      service: "checkout",
      resource: { "host.name": "a1" },
      attributes: { "user.id": "7", "a/b": { c: [] } },
      trace_id: "0102030405060708090a0b0c0d0e0f10",
      span_id: "0102030405060708",
      event_name: "slow.call",
    };
    expect(await answerOf(await post(JSON.stringify(event)))).toEqual({
      accepted: 1,
      rejected: 0,
      errors: [],
    });
    expect(taken[0]).toMatchObject({ signal: "logs", tenant: "default" });
    const [logs] = request().resourceLogs;
    expect(logs!.resource!.attributes.map(({ key, value }) => [key, value!.value.value])).toEqual([
      ["host.name", "a1"],
      ["service.name", "checkout"],
    ]);
    const [record] = logs!.scopeLogs[0]!.logRecords;
    expect(record).toMatchObject({
      timeUnixNano: 1_769_857_200_123_456_789n,
      severityNumber: 13,
      severityText: "WARN",
      eventName: "slow.call",
    });
    expect(Buffer.from(record!.traceId).toString("hex")).toBe(event.trace_id);
    expect(Buffer.from(record!.spanId).toString("hex")).toBe(event.span_id);
    const { values } = record!.body!.value.value as { values: { key: string; value: { value: object } }[] };
    expect(values.map(({ key, value }) => [key, value.value])).toMatchObject([
      ["text", { case: "stringValue", value: "slow" }],
      ["ms", { case: "doubleValue", value: 1.5 }],
      ["n", { case: "intValue", value: 3n }],
      ["big", { case: "doubleValue", value: 1e300 }],
      ["ok", { case: "boolValue", value: true }],
      ["none", { case: undefined }],
      ["list", { case: "arrayValue" }],
    ]);
    expect(record!.attributes.map(({ key }) => key)).toEqual(["user.id", "a/b"]);
  });

  it("come in large bodies without holding up others", async () => {
    const values = 500_000;
    const body = `[{"body":[${"1,".repeat(values - 1)}1]},{"body":"x","service":"other","severity":"err"},{"x":1}]`;
    let turns = 0;
    let answered = false;
    const large = post(body).finally(() => {
      answered = true;
    });
    const turn = () => {
      turns += 1;
      if (!answered) setTimeout(turn, 1);
    };
    turn();
    const answer = await answerOf(await large);
    expect(answer).toMatchObject({ accepted: 2, rejected: 1, errors: [{ index: 2, field: "/body" }, {}] });
    // The event loop went on while the body was read.
    expect(turns).toBeGreaterThan(20);
    expect(
      (request().resourceLogs[0]!.scopeLogs[0]!.logRecords[0]!.body!.value.value as ArrayValue).values,
    ).toHaveLength(values);
    expect(request().resourceLogs[1]!.scopeLogs[0]!.logRecords[0]!.severityNumber).toBe(17);
    const text = " ".repeat(10_000);
    expect(await problemOf(await post(`${text}{`))).toMatchObject({
      status: 400,
      detail: expect.stringMatching(/^the body is not JSON/),
    });
    expect(await problemOf(await post(`[${"1,".repeat(10_000)}1]`))).toMatchObject({ status: 413 });
    expect(receivers.inWork()).toEqual({ requests: 0, bytes: 0 });
  });

  it("come one, many, or a line each; those of a resource stand together", async () => {
    await answerOf(await post('{"body":"one"}'));
    await answerOf(
      await post('[{"body":1,"service":"a"},{"body":2,"service":"b"},{"body":3,"service":"a"}]'),
    );
    await answerOf(await post('{"body":"x"}\r\n\n  {"body":"y"}\n{"body":"z"}', lines));
    expect(bodies(0)).toEqual(["one"]);
    expect(request(1).resourceLogs).toHaveLength(2);
    expect(bodies(1)).toEqual([1n, 3n, 2n]);
    expect(bodies(2)).toEqual(["x", "y", "z"]);
  });

  it.each([
    ["gzip", (text: string) => gzipSync(text)],
    ["deflate", (text: string) => deflateSync(text)],
    ["zstd", (text: string) => native.compress("zstd", Buffer.from(text))],
  ])("come compressed by %s", async (encoding, compress) => {
    await answerOf(await post(compress('{"body":"small"}'), { "content-encoding": encoding }));
    expect(bodies()).toEqual(["small"]);
  });

  it("are taken or not each by itself, with the place of what is wrong", async () => {
    const text = [
      '{"body":"good"}',
      '{"body":"bad","timestamp":"yesterday"}',
      "{",
      '{"severity":"info"}',
      "7",
      '{"body":"x","attributes":{"a~/b":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}}',
      '{"body":"x","msg":1}',
      '{"body":"old","timestamp":"1969-12-31T23:59:59Z"}',
      '{"body":"new","timestamp":"2262-04-12T00:00:00Z"}',
      '{"body":"good too"}',
    ].join("\n");
    const answer = await answerOf(await post(text, lines));
    expect(answer).toMatchObject({ accepted: 2, rejected: 8 });
    expect(answer.errors.map(({ index, field }) => [index, field.slice(0, 18)])).toEqual([
      [1, "/timestamp"],
      [2, ""],
      [3, "/body"],
      [4, ""],
      [5, "/attributes/a~0~1b"],
      [6, "/msg"],
      [7, "/timestamp"],
      [8, "/timestamp"],
    ]);
    expect(bodies()).toEqual(["good", "good too"]);
  });

  it("keep integers of 64 bits exact, and others as doubles", async () => {
    const numbers = [
      ["9007199254740993", 9_007_199_254_740_993n],
      ["1700000000123456789", 1_700_000_000_123_456_789n],
      ["9223372036854775807", 2n ** 63n - 1n],
      ["-9223372036854775808", -(2n ** 63n)],
      ["9223372036854775808", 2 ** 63],
      ["-9223372036854775809", -(2 ** 63)],
      ["18446744073709551616", 2 ** 64],
      ["90071992547409930e-1", 9_007_199_254_740_993n],
      ["9007199254740993.0", 9_007_199_254_740_993n],
      ["1e3", 1_000n],
      ["17", 17n],
      ["0", 0n],
      ["-0", -0],
      ["-0.0e00000000000", -0],
      ["0.1000000000000000055511151231257827", 0.1],
      ["1e400", Infinity],
    ] as const;
    const list = numbers.map(([text]) => text).join(",");
    const event = `{"body":{"a":[${list}]},"attributes":{"n":9007199254740993},"resource":{"r":-9007199254740993}}`;
    for (const [i, [text, headers]] of (
      [
        [event, {}],
        [`[${event}]`, {}],
        [event, lines],
      ] as const
    ).entries()) {
      expect(await answerOf(await post(text, headers))).toMatchObject({ accepted: 1 });
      const [logs] = request(i).resourceLogs;
      expect(logs!.resource!.attributes[0]!.value!.value.value).toBe(-9_007_199_254_740_993n);
      const [record] = logs!.scopeLogs[0]!.logRecords;
      expect(record!.attributes[0]!.value!.value.value).toBe(9_007_199_254_740_993n);
      const { values } = (record!.body!.value.value as KeyValueList).values[0]!.value!.value
        .value as ArrayValue;
      expect(values.map(({ value }) => value.value)).toEqual(numbers.map(([, value]) => value));
    }
    await answerOf(await post('{"body":9007199254740993}'));
    expect(bodies(3)).toEqual([9_007_199_254_740_993n]);
  });

  it("take no number for a text, however long it is", async () => {
    const members = ["timestamp", "severity", "service", "trace_id", "event_name", "resource", "attributes"];
    const text = members.map((name) => `{"body":1,"${name}":12345678901234567890123456789012}`).join("\n");
    const { accepted, errors } = await answerOf(
      await post(`${text}\n12345678901234567890\n{"body":1}`, lines),
    );
    expect(accepted).toBe(1);
    expect(errors.map(({ field }) => field)).toEqual([...members.map((name) => `/${name}`), ""]);
    for (const { detail } of errors) expect(detail).toMatch(/^must be (text|an object)$/);
  });

  it("keep every key, whatever it means to JavaScript", async () => {
    const keys = ["__proto__", "constructor", "hasOwnProperty"];
    const map = `{${keys.map((key) => `"${key}":"${key}"`).join(",")}}`;
    const event = `{"body":${map},"attributes":${map},"resource":${map}}`;
    expect(await answerOf(await post(event))).toMatchObject({ accepted: 1 });
    const [logs] = request().resourceLogs;
    const [record] = logs!.scopeLogs[0]!.logRecords;
    const body = (record!.body!.value.value as KeyValueList).values;
    for (const list of [body, record!.attributes, logs!.resource!.attributes]) {
      expect(list.map(({ key, value }) => [key, value!.value.value])).toEqual(keys.map((key) => [key, key]));
    }
  });

  it("have half a surrogate replaced wherever it stands", async () => {
    const half = "a\\ud800b\\udc00";
    const event = `{"body":{"${half}":"${half}"},"attributes":{"k${half}":["${half}"]},"resource":{"r":"${half}"},"service":"${half}","severity":"${half}","event_name":"${half}"}`;
    expect(await answerOf(await post(`[${event},{"body":"next"}]`))).toMatchObject({ accepted: 2 });
    const whole = "a\ufffdb\ufffd";
    const [logs, rest] = request().resourceLogs;
    expect(logs!.resource!.attributes.map(({ value }) => value!.value.value)).toEqual([whole, whole]);
    const [record] = logs!.scopeLogs[0]!.logRecords;
    expect(record).toMatchObject({ severityText: whole, eventName: whole });
    expect((record!.body!.value.value as KeyValueList).values[0]).toMatchObject({
      key: whole,
      value: { value: { value: whole } },
    });
    expect(record!.attributes[0]!.key).toBe(`k${whole}`);
    expect(rest!.scopeLogs[0]!.logRecords).toHaveLength(1);
  });

  it("have a severity number for each name that loggers use", async () => {
    const names = {
      err: 17,
      EMERG: 21,
      Information: 9,
      severe: 17,
      VERBOSE: 5,
      " Warning ": 13,
      fatal3: 23,
      x: 0,
    };
    await answerOf(await post(JSON.stringify(Object.keys(names).map((severity) => ({ body: 1, severity })))));
    const { logRecords } = request().resourceLogs[0]!.scopeLogs[0]!;
    expect(logRecords.map(({ severityText, severityNumber }) => [severityText, severityNumber])).toEqual(
      Object.entries(names),
    );
  });

  it("of which none is sound are a problem", async () => {
    expect(await problemOf(await post('[{"body":1,"x":2},{}]'))).toMatchObject({
      status: 400,
      detail: "none of the 2 events was taken",
      errors: [
        { in: "body", field: "/0/x", detail: expect.stringContaining("is unknown; there are timestamp, ") },
        { in: "body", field: "/1/body", detail: "is missing" },
      ],
    });
    expect(taken).toEqual([]);
  });

  it("that the downstream rejects are counted", async () => {
    consume = async () => ({ rejected: 2, message: "too old" });
    expect(await answerOf(await post('[{"body":1},{"body":2},{"body":3}]'))).toEqual({
      accepted: 1,
      rejected: 2,
      errors: [],
      message: "too old",
    });
  });

  it("that are not taken now are answered so that they are sent again", async () => {
    consume = async () => {
      throw new ExportError(Code.UNAVAILABLE, "the queue is full", 2_500);
    };
    const response = await post('{"body":1}');
    expect(response.headers.get("retry-after")).toBe("3");
    expect(await problemOf(response)).toMatchObject({ status: 503, detail: "the queue is full" });
  });
});

describe("bodies", () => {
  it.each<[string, Body, Record<string, string>, number, string]>([
    ["no JSON", "{", {}, 400, "is not JSON"],
    ["nothing", "", {}, 400, "is not JSON"],
    ["no events", "[]", {}, 400, "no events"],
    ["no lines", "\n\n", lines, 400, "no events"],
    ["no UTF-8", Buffer.from([0x22, 0xff, 0x22]), {}, 400, "is not UTF-8"],
    ["deeply nested", `${"[".repeat(200)}${"]".repeat(200)}`, {}, 400, "deeper than 128"],
    ["another type", "<a/>", { "content-type": "text/xml" }, 415, "application/x-ndjson"],
    ["another encoding", "x", { "content-encoding": "br" }, 415, "gzip, deflate, zstd"],
    ["no gzip", "x", { "content-encoding": "gzip" }, 400, "not valid gzip"],
    ["too many", `[${"1,".repeat(10_000)}1]`, {}, 413, "more than 10000 events"],
    ["too large", Buffer.alloc(9 * 2 ** 20, 0x20), {}, 413, "larger than 8 MiB, before or after"],
    [
      "a bomb",
      gzipSync(Buffer.alloc(9 * 2 ** 20, 0x20)),
      { "content-encoding": "gzip" },
      413,
      "larger than 8 MiB",
    ],
    ["a bad key", '{"body":1}', { "idempotency-key": "a b" }, 400, "idempotency-key"],
  ])("that are %s are refused, and hold nothing", async (_name, body, headers, status, detail) => {
    const problem = await problemOf(await post(body, headers));
    expect(problem).toMatchObject({ status, detail: expect.stringContaining(detail) });
    expect(taken).toEqual([]);
    expect(receivers.inWork()).toEqual({ requests: 0, bytes: 0 });
  });

  it("in small pieces hold what they have of bytes, and are cut where they hardly come", {
    timeout: 60_000,
  }, async () => {
    const { hostname, port } = new URL(running.url("/"));
    const begin = async (headers: string) => {
      const socket = createConnection(Number(port), hostname);
      afterwards(() => socket.destroy());
      socket.write(
        `POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${headers}\r\n`,
      );
      await once(socket, "connect");
      return socket;
    };
    const chunked = await begin("transfer-encoding: chunked\r\n");
    chunked.write(`1\r\n"\r\n${"1\r\nx\r\n".repeat(100_000)}`);
    await expect.poll(() => receivers.inWork().bytes).toBeGreaterThan(100_000);
    expect(receivers.inWork().bytes).toBeLessThan(300_000);
    const slow = await begin("content-length: 8000000\r\n");
    slow.write('"');
    const [answer] = (await once(slow, "data")) as [Buffer];
    expect(String(answer)).toContain("408 Request Timeout");
    expect(String(answer)).toContain("application/problem+json");
    await once(slow, "close");
    chunked.destroy();
    await expect.poll(() => receivers.inWork()).toEqual({ requests: 0, bytes: 0 });
  });

  it("hide no values behind a quote that is never closed", async () => {
    const many = `{"body":[${"1,".repeat(3 * 2 ** 20)}1]}`;
    for (const body of [many, `"\n${many}`]) {
      const response = await post(body, lines);
      expect(await problemOf(response)).toMatchObject({
        status: 413,
        detail: expect.stringContaining("receive.limits.max_inflight_size"),
      });
    }
    expect(taken).toEqual([]);
  });

  it("are not quoted at length", async () => {
    const keys = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`key-${i}`, 1]));
    const text = await (await post(JSON.stringify({ body: 1, ...keys }))).text();
    expect(text.length).toBeLessThan(1_000);
  });

  it("of any kind are answered without a fault of ours", async () => {
    const json = fc.json({ maxDepth: 4 });
    const event = fc.record(
      {
        body: fc.jsonValue(),
        timestamp: fc.oneof(
          fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
          fc.string(),
        ),
        severity: fc.oneof(fc.string(), fc.integer()),
        attributes: fc.jsonValue(),
        resource: fc.dictionary(fc.string(), fc.jsonValue()),
        service: fc.string({ unit: "binary" }),
        trace_id: fc.oneof(fc.string(), fc.constant("0".repeat(32))),
      },
      { requiredKeys: [] },
    );
    const line = fc.oneof(
      json,
      event.map((each) => JSON.stringify(each)),
      fc.string(),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 6 }), fc.boolean(), async (parts, asLines) => {
        const response = asLines ? await post(parts.join("\n"), lines) : await post(`[${parts.join(",")}]`);
        expect([200, 400], await response.clone().text()).toContain(response.status);
        if (response.status === 400) await problemOf(response);
        else expect((await answerOf(response)).accepted).toBeGreaterThan(0);
      }),
      { numRuns: 80 },
    );
  });
});

describe("a request that is sent again", () => {
  let key: { "idempotency-key": string };
  let n = 0;
  beforeEach(() => {
    n += 1;
    key = { "idempotency-key": `order-${n}` };
  });

  it("is answered as the first time, and does nothing", async () => {
    const body = '[{"body":1},{}]';
    const first = await answerOf(await post(body, key));
    const again = await post(body, key);
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(await answerOf(again)).toEqual(first);
    expect(taken).toHaveLength(1);
    await answerOf(await post(gzipSync(body), { ...key, "content-encoding": "gzip" }));
    expect(taken).toHaveLength(1);
    await answerOf(await post(body));
    await answerOf(await post(body, { "idempotency-key": "another" }));
    expect(taken).toHaveLength(3);
  });

  it("with another body is refused", async () => {
    await answerOf(await post('{"body":1}', key));
    expect((await problemOf(await post('{"body":2}', key))).status).toBe(422);
    expect(taken).toHaveLength(1);
  });

  it("while the first is in work is told to wait", async () => {
    let release = () => {};
    consume = () =>
      new Promise((resolve) => {
        release = () => resolve(undefined);
      });
    const first = post('{"body":1}', key);
    await expect.poll(() => taken.length).toBe(1);
    const second = await post('{"body":1}', key);
    expect(second.headers.get("retry-after")).toBe("1");
    expect((await problemOf(second)).status).toBe(409);
    release();
    await answerOf(await first);
    expect((await answerOf(await post('{"body":1}', key))).accepted).toBe(1);
    expect(taken).toHaveLength(1);
  });

  it("after a failure is tried anew", async () => {
    consume = async () => {
      throw new ExportError(Code.UNAVAILABLE, "later", 1_000);
    };
    expect((await post('{"body":1}', key)).status).toBe(503);
    consume = async () => undefined;
    await answerOf(await post('{"body":1}', key));
    expect(taken).toHaveLength(2);
  });
});
