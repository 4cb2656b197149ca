import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { ExportLogsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { Code, type Signal, signals } from "../../src/otlp.ts";
import { otlpJsonToProtobuf } from "../../src/receive/otlp-json.ts";
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
      `${record}: cannot decode field opentelemetry`,
    ],
    ["a list that is none", logsWith({ attributes: {} }), `${record}: `],
    ["a message that is a list", logsWith({ body: [] }), `${record}: `],
    ["a value of a wrong type", logsWith({ body: { stringValue: 5 } }), `${record}.body: `],
    ["a character of which the quotation is half", '{"a":😀}', "not JSON"],
    ["half a surrogate", '{"resourceLogs":[{"schemaUrl":"\\ud800"}]}', "resourceLogs[0]: "],
    [
      "deep within",
      logsWith({
        attributes: [
          { key: "a", value: { arrayValue: { values: [{ stringValue: "x" }, { intValue: "x" }] } } },
        ],
      }),
      `${record}.attributes[0].value.arrayValue.values[1]: `,
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
