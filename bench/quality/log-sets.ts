/** Lines of the log sets, normal and anomalous, in their original order. */
import { readFile } from "node:fs/promises";
import { fromBinary } from "@bufbuild/protobuf";
import { ExportLogsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import type { LogRecord } from "../../src/gen/opentelemetry/proto/logs/v1/logs_pb.js";
import { ShopTelemetry } from "../../src/generate/shop-telemetry.ts";
import { data } from "./places.ts";
import { encodeLogs } from "./requests.ts";

export interface Line {
  text: string;
  /** The whole record, if the set has times and attributes. */
  record?: LogRecord;
}

export interface LogSet {
  name: string;
  normal: Line[];
  anomalous: Line[];
}

/** A line of a file with three columns: a label, a key and the text. */
export interface LabelledLine {
  label: number;
  /** The alert class in BGL, the block in HDFS. */
  key: string;
  text: string;
}

export async function labelledLines(file: string): Promise<LabelledLine[]> {
  const rows = (await readFile(`${data}/logs/${file}`, "utf8")).split("\n").slice(0, -1);
  return rows.map((row) => {
    const [label, key, text] = row.split("\t") as [string, string, string];
    return { label: Number(label), key, text };
  });
}

async function fromFile(name: string, file: string): Promise<LogSet> {
  const rows = await labelledLines(file);
  const where = (wanted: number) =>
    rows.filter(({ label }) => label === wanted).map(({ text }) => ({ text }));
  return { name, normal: where(0), anomalous: where(1) };
}

/** Whole records of one service of the synthetic shop. */
export function shopLines(service: string, count: number): Line[] {
  const shop = new ShopTelemetry({
    seed: "quality",
    startUnixNano: 1_767_225_600_000_000_000n,
    signals: ["logs"],
    rate: 20,
    speed: 1,
    duration: Number.POSITIVE_INFINITY,
    recordsPerRequest: 100,
    schedule: [],
  });
  const lines: Line[] = [];
  for (const { body } of shop.batches()) {
    for (const { resource, scopeLogs } of fromBinary(ExportLogsServiceRequestSchema, body).resourceLogs) {
      const name = resource?.attributes.find(({ key }) => key === "service.name")?.value?.value.value;
      if (name !== service) continue;
      for (const record of scopeLogs.flatMap(({ logRecords }) => logRecords)) {
        lines.push({ text: String(record.body?.value.value).replaceAll("\n", " "), record });
        if (lines.length === count) return lines;
      }
    }
  }
  return lines;
}

export async function logSets(): Promise<{ bgl: LogSet; hdfs: LogSet; shop: LogSet }> {
  const [bgl, hdfs] = await Promise.all([fromFile("bgl", "bgl_2k.tsv"), fromFile("hdfs", "hdfs_20k.tsv")]);
  // The rest of HDFS adds nothing new, but takes time.
  hdfs.normal.length = 10_400;
  return { bgl, hdfs, shop: { name: "shop", normal: shopLines("checkout", 6_400), anomalous: [] } };
}

/** The text with every word that contains a digit masked: what lines of one kind share. */
export function templateOf(text: string): string {
  return text.replace(/\S*\d\S*/g, "*");
}

const perRequest = 100;

/** Encodes the lines as `driftlock replay --format otlp` reads them: requests preceded by their lengths. */
export function encodeOtlp(service: string, lines: readonly Line[]): Buffer {
  const parts: Buffer[] = [];
  for (let i = 0; i < lines.length; i += perRequest) {
    const logRecords = lines.slice(i, i + perRequest).map(({ record }) => record!);
    parts.push(delimited(encodeLogs(service, logRecords)));
  }
  return Buffer.concat(parts);
}

export function delimited(body: Uint8Array): Buffer {
  const out = Buffer.alloc(4 + body.length);
  out.writeUInt32BE(body.length);
  out.set(body, 4);
  return out;
}
