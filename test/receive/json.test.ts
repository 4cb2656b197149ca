import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { ExportLogsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { ExportMetricsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import { otlpJsonToProtobuf } from "../../src/otlp/json.ts";
import { Code, type Signal, signals } from "../../src/otlp/protocol.ts";
import { texts, traceId } from "./otlp-texts.ts";
import { httpExport, requests, start } from "./support.ts";

function post(http: string, signal: Signal, body: string | Uint8Array) {
  return httpExport(http, signal, body, { headers: { "content-type": "application/json; charset=utf-8" } });
}

function logsWith(record: object): string {
  return JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: [{}, record] }] }] });
}

const record = "resourceLogs[0].scopeLogs[0].logRecords[1]";

describe("OTLP/JSON", () => {
  test.each(signals)("%s become the protobuf that they stand for", async (signal) => {
    const running = await start();
    const answer = await post(running.http, signal, JSON.stringify(texts[signal]));
    expect(answer).toMatchObject({ status: 200, body: Buffer.from("{}") });
    expect(running.taken[0]!.body).toEqual(Buffer.from(requests[signal]));
    expect(running.receivers.inWork()).toEqual({ requests: 0, bytes: 0 });
  });

  test("unknown fields, nulls and original field names are taken as proto3 JSON takes them", async () => {
    const bytes = otlpJsonToProtobuf(
      "logs",
      Buffer.from(
        JSON.stringify({
          later: { deep: [1, { x: null }] },
          resource_logs: [
            { scopeLogs: [{ logRecords: [{ trace_id: traceId, spanId: "", body: null, novel: 1 }] }] },
          ],
        }),
      ),
    );
    const logRecords = [{ traceId: Buffer.from(traceId, "hex") }];
    const expected = create(ExportLogsServiceRequestSchema, {
      resourceLogs: [{ scopeLogs: [{ logRecords }] }],
    });
    expect(fromBinary(ExportLogsServiceRequestSchema, bytes)).toEqual(
      fromBinary(ExportLogsServiceRequestSchema, toBinary(ExportLogsServiceRequestSchema, expected)),
    );
  });

  test("large texts go to a thread, and come back the same", async () => {
    const running = await start();
    const [resourceLogs] = (texts.logs as { resourceLogs: object[] }).resourceLogs;
    const text = JSON.stringify({ resourceLogs: Array.from({ length: 2_000 }, () => resourceLogs) });
    const answers = await Promise.all([
      post(running.http, "logs", text),
      post(running.http, "logs", `${text} trailing`),
      post(running.http, "logs", text),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 400, 200]);
    const expected = Buffer.concat(Array.from({ length: 2_000 }, () => requests.logs));
    expect(running.taken).toHaveLength(2);
    for (const { body } of running.taken) expect(body.equals(expected)).toBe(true);
  });

  test.each([
    ["text that ends early", '{"resourceLogs":[', "not JSON"],
    ["nothing", "", "not JSON"],
    ["bytes that are not UTF-8", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), "not JSON in UTF-8"],
    ["an array", "[]", "ExportLogsServiceRequest"],
    ["an id in base64", logsWith({ traceId: "W47/95gDgQPSaYsCNz4sZw==" }), `${record}.traceId`],
    ["an id too short", logsWith({ spanId: "abcd" }), `${record}.spanId`],
    ["an id that is a number", logsWith({ spanId: 7 }), `${record}.spanId`],
    [
      "a time that is none",
      logsWith({ timeUnixNano: "noon" }),
      `${record}.timeUnixNano: expected an integer from 0 to 18446744073709551615, got "noon"`,
    ],
    ["a list that is none", logsWith({ attributes: {} }), `${record}.attributes: expected an array`],
    ["a message that is a list", logsWith({ body: [] }), `${record}.body: expected an object`],
    [
      "a value of a wrong type",
      logsWith({ body: { stringValue: 5 } }),
      `${record}.body.stringValue: expected a string, got 5`,
    ],
    [
      "a number for bytes",
      logsWith({ body: { bytesValue: 1_234_567_890_123_456 } }),
      `${record}.body.bytesValue: expected bytes in base64, got 1234567890123456`,
    ],
    [
      "a number for an id",
      `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{},{"traceId":12345678901234567890123}]}]}]}`,
      `${record}.traceId: expected an id of 32 hexadecimal digits, got 12345678901234567890123`,
    ],
    ["a character of which the quotation is half", '{"a":😀}', "not JSON"],
    [
      "null in a list",
      logsWith({ body: { arrayValue: { values: [null] } } }),
      `${record}.body.arrayValue.values[0]: `,
    ],
    [
      "a name that no enumeration has",
      logsWith({ severityNumber: "SEVERITY_NUMBER_EROR" }),
      `${record}.severityNumber: `,
    ],
    ["digits that are no integer", logsWith({ severityNumber: "1.5" }), `${record}.severityNumber: `],
    [
      "a field by both of its names",
      logsWith({ traceId, trace_id: traceId }),
      `${record}.trace_id: is set twice`,
    ],
    [
      "two values in one",
      logsWith({ body: { intValue: 1, stringValue: "1" } }),
      `${record}.body.intValue: is set besides stringValue`,
    ],
    [
      "deep within",
      logsWith({
        attributes: [
          { key: "a", value: { arrayValue: { values: [{ stringValue: "x" }, { intValue: "x" }] } } },
        ],
      }),
      `${record}.attributes[0].value.arrayValue.values[1].intValue: `,
    ],
  ])("%s is refused, and the message says where", async (_name, text, where) => {
    const running = await start();
    const answer = await post(running.http, "logs", text);
    expect(answer.status).toBe(400);
    expect(answer.headers["content-type"]).toBe("application/json");
    const status = JSON.parse(String(answer.body));
    expect(status.message.isWellFormed()).toBe(true);
    expect(status.code).toBe(Code.INVALID_ARGUMENT);
    expect(status.message).toContain(where);
    expect(running.taken).toEqual([]);
    expect(running.receivers.inWork()).toEqual({ requests: 0, bytes: 0 });
  });

  test.each([
    ["2^53 + 1", "9007199254740993"],
    ["2^63 - 1", "9223372036854775807"],
    ["-2^63", "-9223372036854775808"],
    ["-2^53 - 1", "-9007199254740993"],
    ["zero", "0"],
    ["with an exponent", "1.23456789012345678e18", "1234567890123456780"],
    ["a short one with an exponent", "123456789012345e4", "1234567890123450000"],
    ["with a fraction of zeros", "9007199254740993.000", "9007199254740993"],
  ])("an integer is exact, bare and as a string: %s", (_name, text, digits = text) => {
    for (const spelled of [text, `"${text}"`]) {
      const json = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"intValue": ${spelled} }}]}]}]}`;
      const read = fromBinary(ExportLogsServiceRequestSchema, otlpJsonToProtobuf("logs", Buffer.from(json)));
      const { value } = read.resourceLogs[0]!.scopeLogs[0]!.logRecords[0]!.body!;
      expect(value).toEqual({ case: "intValue", value: BigInt(digits) });
    }
  });

  test.each([
    "9223372036854775808",
    "-9223372036854775809",
    "1e19",
    "1e999999999",
    "9007199254740993.5",
    "9".repeat(60_000),
  ])("an integer beyond 64 bits, or none, is refused: %.30s", (text) => {
    for (const spelled of [text, `"${text}"`]) {
      const json = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"intValue":${spelled}}}]}]}]}`;
      expect(() => otlpJsonToProtobuf("logs", Buffer.from(json))).toThrow(
        "resourceLogs[0].scopeLogs[0].logRecords[0].body.intValue: expected an integer from -9223372036854775808",
      );
    }
  });

  test("every field of 64 bits is exact, and so is a double beside them", () => {
    const most = "18446744073709551615";
    const point = `"startTimeUnixNano":${most},"timeUnixNano":${most}`;
    const exemplar = `{"timeUnixNano":${most},"asInt":-9223372036854775808}`;
    const metric = (kind: string, fields: string) =>
      `{"${kind}":{"dataPoints":[{${point},"exemplars":[${exemplar}],${fields}}]}}`;
    const json = `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[${[
      metric("gauge", '"asInt":9223372036854775807'),
      metric("sum", '"asDouble":0.30000000000000004'),
      metric("sum", '"asDouble":12345678901234567890'),
      metric("histogram", `"count":${most},"bucketCounts":[${most},"${most}",1]`),
      metric("exponentialHistogram", `"zeroCount":${most},"positive":{"bucketCounts":[${most}]}`),
      `{"summary":{"dataPoints":[{${point},"count":${most}}]}}`,
    ].join(",")}]}]}]}`;
    const bytes = otlpJsonToProtobuf("metrics", Buffer.from(json));
    const { metrics } = fromBinary(ExportMetricsServiceRequestSchema, bytes).resourceMetrics[0]!
      .scopeMetrics[0]!;
    const max = 2n ** 64n - 1n;
    const points = metrics.map(({ data }) => data.value!.dataPoints[0]!);
    for (const each of points) {
      expect([each.startTimeUnixNano, each.timeUnixNano]).toEqual([max, max]);
      if ("exemplars" in each) {
        expect(each.exemplars[0]).toMatchObject({ timeUnixNano: max, value: { value: -(2n ** 63n) } });
      }
    }
    expect(points[0]).toMatchObject({ value: { value: 2n ** 63n - 1n } });
    expect(points[1]).toMatchObject({ value: { value: 0.1 + 0.2 } });
    expect(points[2]).toMatchObject({ value: { value: Number("12345678901234567890") } });
    expect(points[3]).toMatchObject({ count: max, bucketCounts: [max, max, 1n] });
    expect(points[4]).toMatchObject({ zeroCount: max, positive: { bucketCounts: [max] } });
    expect(points[5]).toMatchObject({ count: max });
  });

  test("a long number is no string, no key and no message", () => {
    const long = "12345678901234567890";
    const refused = (body: string) =>
      expect(() =>
        otlpJsonToProtobuf(
          "logs",
          Buffer.from(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[${body}]}]}]}`),
        ),
      );
    refused(`{"severityText":${long}}`).toThrow(`severityText: expected a string, got ${long}`);
    refused(`{"body":${long}}`).toThrow(`body: expected an object, the message AnyValue, got ${long}`);
    refused(`{${long}:1}`).toThrow("not JSON");
    refused(`{"flags":-${long}}`).toThrow("flags: expected an integer from 0 to 4294967295");
    refused(`{"flags":4294967296}`).toThrow("flags: expected an integer from 0 to 4294967295");
    refused(`{"body":{"doubleValue":1e999}}`).toThrow("doubleValue: expected a number");
  });

  test("half a surrogate becomes U+FFFD, wherever it stands, and all records go on", async () => {
    const running = await start();
    const text = `{"resourceLogs":[{"schemaUrl":"\\udc00","resource":{"attributes":[{"key":"a\\ud800b","value":{"stringValue":"\\ud83d\\ude00"}}]},
      "scopeLogs":[{"scope":{"name":"${"x".repeat(300)}\\ud800"},"logRecords":[{"severityText":"\\ud83d"},{"body":{"stringValue":"sound"}}]}]}]}`;
    expect((await post(running.http, "logs", text)).status).toBe(200);
    const read = fromBinary(ExportLogsServiceRequestSchema, running.taken[0]!.body);
    const [{ resource, schemaUrl, scopeLogs }] = read.resourceLogs as [(typeof read.resourceLogs)[0]];
    expect(schemaUrl).toBe("\ufffd");
    expect(resource!.attributes).toMatchObject([{ key: "a\ufffdb", value: { value: { value: "😀" } } }]);
    expect(scopeLogs[0]!.scope!.name).toBe(`${"x".repeat(300)}\ufffd`);
    expect(scopeLogs[0]!.logRecords).toMatchObject([
      { severityText: "\ufffd" },
      { body: { value: { value: "sound" } } },
    ]);
  });

  test.each([
    [
      "logs",
      "severityNumber",
      '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":@}]}]}]}',
      "SEVERITY_NUMBER_ERROR",
      17,
    ],
    [
      "traces",
      "kind",
      '{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":@}]}]}]}',
      "SPAN_KIND_CONSUMER",
      5,
    ],
    [
      "traces",
      "status.code",
      '{"resourceSpans":[{"scopeSpans":[{"spans":[{"status":{"code":@}}]}]}]}',
      "STATUS_CODE_ERROR",
      2,
    ],
    [
      "metrics",
      "sum.aggregationTemporality",
      '{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"sum":{"aggregationTemporality":@}}]}]}]}',
      "AGGREGATION_TEMPORALITY_CUMULATIVE",
      2,
    ],
    [
      "metrics",
      "histogram.aggregationTemporality",
      '{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"histogram":{"aggregationTemporality":@}}]}]}]}',
      "AGGREGATION_TEMPORALITY_DELTA",
      1,
    ],
  ] as const)(
    "an enumeration is a name, a number, or its digits: %s %s",
    (signal, path, json, name, number) => {
      const read = (value: string) => otlpJsonToProtobuf(signal, Buffer.from(json.replace("@", value)));
      const expected = Buffer.from(read(String(number)));
      for (const spelled of [`"${name}"`, `"${number}"`, `${number}.0`, `${number}e0`]) {
        expect(Buffer.from(read(spelled)), spelled).toEqual(expected);
      }
      // Unknown numbers are kept, because enumerations are open.
      expect(Buffer.from(read("99")).equals(Buffer.from(read('"99"')))).toBe(true);
      for (const wrong of [
        '"WHAT"',
        `"${name.toLowerCase()}"`,
        '""',
        '" 1"',
        "1.5",
        "true",
        "3000000000",
        '"3000000000"',
      ]) {
        expect(() => read(wrong), wrong).toThrow(`${path}: expected a number or a name of`);
      }
    },
  );

  test.each([
    ["in what OTLP knows", (depth: number) => `{"arrayValue":{"values":[`.repeat(depth / 3)],
    ["in what it does not", (depth: number) => "[".repeat(depth)],
  ])("nesting without end is refused: %s", async (_name, nest) => {
    const running = await start();
    for (const depth of [200, 30_000, 3_000_000]) {
      const text = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":${nest(depth)}`;
      const answer = await post(running.http, "logs", text);
      expect(answer.status).toBe(400);
      expect(String(answer.body)).toContain("nested deeper than 128 levels");
    }
  });

  test("brackets within strings are no nesting", async () => {
    const running = await start();
    const text = logsWith({ body: { stringValue: `\\"${"[{".repeat(1_000)}\\` } });
    expect((await post(running.http, "logs", text)).status).toBe(200);
  });

  test("an escape that straddles the pauses of the count is one escape", async () => {
    const running = await start();
    const before = '{"x":"';
    const text = `${before}${"a".repeat(4 * 2 ** 20 - before.length - 1)}\\"${"[".repeat(200)}"}`;
    expect((await post(running.http, "logs", text)).status).toBe(200);
  });

  test("what the text would become counts against max_inflight_size", async () => {
    const running = await start({ limits: { max_inflight_size: 2_000_000 } });
    const answer = await post(running.http, "logs", `{"x":[${"[],".repeat(50_000)}[]]}`);
    expect(answer.status).toBe(413);
    expect(String(answer.body)).toContain("receive.limits.max_inflight_size");
    expect((await post(running.http, "logs", `{"x":"${"a".repeat(150_000)}"}`)).status).toBe(200);
  });
});
