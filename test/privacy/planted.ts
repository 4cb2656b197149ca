/** Values that are planted in records, and how they are looked for in what may hold them in another form. */
import { inflateSync, zstdDecompressSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { expect } from "vitest";
import { ExportLogsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { normalLines } from "../cli/sender.ts";

export const secrets = {
  email: "anna.kovacs@mailshop.eu",
  card: "4111111111111111",
  iban: "DE89370400440532013000",
  password: "hunter2-Zebra",
  key: "AKIAIOSFODNN7EXAMPLE",
  phone: "+49 30 901820",
  /** Only a pattern of the operator's own finds it. */
  employee: "EMP-204711",
};

const { email, card, iban, password, key, phone, employee } = secrets;
export const everySecret = `${email} paid with ${card} or ${iban}; password=${password} key ${key}; call ${phone} of ${employee}`;

/** What finds the employee, and an address that is none of the secrets. */
export const privacy = {
  detectors: [{ name: "employee_id", pattern: "EMP-[0-9]{6}" }],
  allow: [{ detectors: ["email"], values: ["support@mailshop.eu"] }],
};

const text = (value: string) => ({ value: { case: "stringValue" as const, value } });

/** A request whose records come one per second; `planted` are its last ones, which hold every secret. */
export function request(from: number, planted: number): Buffer {
  const lines = [
    ...normalLines(40, from),
    ...Array.from({ length: planted }, () => `payment by ${secrets.email} with card ${secrets.card} failed`),
  ];
  const attributes = [
    { key: "db.password", value: text(secrets.password) },
    { key: "aws.key", value: text(secrets.key) },
    { key: "note", value: text(`iban ${secrets.iban}, call ${secrets.phone}`) },
    { key: "approver", value: text(`${secrets.employee}, else support@mailshop.eu`) },
  ];
  const logRecords = lines.map((line, i) => ({
    timeUnixNano: BigInt(Date.now() - 3_600_000 + (from + i) * 1_000) * 1_000_000n,
    severityNumber: i < 40 ? 9 : 17,
    body: text(line),
    ...(i >= 40 && { attributes }),
  }));
  const resource = {
    attributes: [
      { key: "service.name", value: text("checkout") },
      { key: "owner", value: text(secrets.email) },
      { key: "service.instance.id", value: text(`checkout-of-${secrets.email}`) },
    ],
  };
  return Buffer.from(
    toBinary(
      ExportLogsServiceRequestSchema,
      create(ExportLogsServiceRequestSchema, { resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] }),
    ),
  );
}

const attributesOf = (value: string) => [
  { key: "service.name", value: { stringValue: "checkout" } },
  { key: "note", value: { stringValue: value } },
];
const now = () => `${Date.now()}000000`;

/** A span with a text in all places that a span has for one, as OTLP/JSON. */
export function spans(text: string): unknown {
  const attributes = attributesOf(text);
  const ids = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" };
  const span = {
    ...{
      ...ids,
      name: `GET /${text}`,
      kind: 2,
      startTimeUnixNano: now(),
      endTimeUnixNano: now(),
      attributes,
    },
    events: [{ timeUnixNano: now(), name: text, attributes }],
    links: [{ ...ids, attributes }],
    status: { code: 2, message: text },
  };
  const messages = (role: string) => ({
    stringValue: JSON.stringify([{ role, parts: [{ type: "text", content: text }] }]),
  });
  const call = {
    ...span,
    spanId: "b7ad6b7169203332",
    attributes: [
      { key: "gen_ai.operation.name", value: { stringValue: "chat" } },
      { key: "gen_ai.request.model", value: { stringValue: "gpt-fake" } },
      { key: "gen_ai.conversation.id", value: { stringValue: `chat with ${text}` } },
      { key: "gen_ai.input.messages", value: messages("user") },
      { key: "gen_ai.output.messages", value: messages("assistant") },
    ],
  };
  const scopeSpans = [{ scope: { name: text, attributes }, spans: [span, call] }];
  return { resourceSpans: [{ resource: { attributes }, scopeSpans }] };
}

/** A data point with a text in all places that a metric has for one, as OTLP/JSON. */
export function points(text: string): unknown {
  const attributes = attributesOf(text);
  const exemplars = [{ timeUnixNano: now(), asDouble: 1, filteredAttributes: attributes }];
  const dataPoints = [{ timeUnixNano: now(), asDouble: 1, attributes, exemplars }];
  const metrics = [{ name: `of ${text}`, description: text, unit: "1", gauge: { dataPoints } }];
  return {
    resourceMetrics: [{ resource: { attributes }, scopeMetrics: [{ scope: { name: text }, metrics }] }],
  };
}

/** Settings under which streams have learned when the values are planted. */
export const detect = {
  stream_by: ["service.name", "owner"],
  baseline: { records: 200 },
  budget: { per_stream_per_day: 1_000 },
};

/** Sends records that streams learn from, and then the planted values in all signals, to a receiver of OTLP/HTTP. */
export async function sendSecrets(receiver: string): Promise<void> {
  const post = async (signal: string, type: string, body: Uint8Array<ArrayBuffer> | string) => {
    const headers = { "content-type": type };
    const response = await fetch(`${receiver}/v1/${signal}`, { method: "POST", headers, body });
    expect(response.status, await response.clone().text()).toBe(200);
  };
  for (let i = 0; i < 14; ++i) {
    const body = new Uint8Array(request(i * 50, i > 8 ? 5 : 0));
    await post("logs", "application/x-protobuf", body);
  }
  await post("traces", "application/json", JSON.stringify(spans(everySecret)));
  await post("metrics", "application/json", JSON.stringify(points(everySecret)));
}

/** The bytes, and behind them what whole frames of zstd within them hold. */
export function unpacked(bytes: Buffer): Buffer<ArrayBuffer> {
  const frames: Buffer[] = [];
  for (let at = bytes.indexOf(magic, 0, "hex"); at >= 0; at = bytes.indexOf(magic, at + 1, "hex")) {
    const end = endOfFrame(bytes, at);
    try {
      if (end <= bytes.length) frames.push(zstdDecompressSync(bytes.subarray(at, end)));
    } catch {
      // It is no frame, or a database has it in several parts.
    }
  }
  return Buffer.concat([bytes, ...frames]);
}

const magic = "28b52ffd";

/** Returns where a frame of zstd ends (RFC 8878, 3.1.1); more than there are bytes if it is cut off. */
function endOfFrame(bytes: Buffer, at: number): number {
  const descriptor = bytes[at + 4] ?? 0;
  const isSingle = (descriptor >> 5) & 1;
  const sizes = [isSingle, 2, 4, 8][descriptor >> 6]! + [0, 1, 2, 4][descriptor & 3]!;
  let end = at + 6 - isSingle + sizes;
  for (let isLast = false; !isLast; ) {
    if (end + 3 > bytes.length) return Number.POSITIVE_INFINITY;
    const header = bytes.readUIntLE(end, 3);
    const isRepeated = ((header >> 1) & 3) === 1;
    isLast = (header & 1) === 1;
    end += 3 + (isRepeated ? 1 : header >> 3);
  }
  return end + (descriptor & 4);
}

/** A bundle of evidence, and behind it what its recordings hold. */
export function unpackedBundle(bundle: string): Buffer<ArrayBuffer> {
  const parts = [Buffer.from(bundle)];
  for (const [base64] of bundle.matchAll(/[A-Za-z0-9+/_-]{80,}={0,2}/g)) {
    const bytes = Buffer.from(base64, "base64");
    parts.push(unpacked(bytes));
    // The payload of an envelope is JSON, in which recordings are.
    if (bytes[0] === 0x7b) parts.push(unpackedBundle(bytes.toString()));
  }
  return Buffer.concat(parts);
}

/** A PDF document, and behind it its streams. */
export function unpackedPdf(pdf: Buffer<ArrayBuffer>): Buffer {
  const parts = [pdf];
  for (let at = pdf.indexOf("stream\n"); at >= 0; at = pdf.indexOf("stream\n", at + 1)) {
    try {
      parts.push(inflateSync(pdf.subarray(at + 7)));
    } catch {
      // It is not compressed, or "endstream".
    }
  }
  return Buffer.concat(parts);
}

export function expectNoSecret(where: string, bytes: Buffer | string): void {
  for (const [name, secret] of Object.entries(secrets)) {
    expect(bytes.includes(secret), `${name} in ${where}`).toBe(false);
  }
}
