/** Memory of the sidecar with as many streams as it holds by default, each with a full baseline and window. */
import { create, toBinary } from "@bufbuild/protobuf";
import { Client, credentials } from "@grpc/grpc-js";
import { ExportLogsServiceRequestSchema } from "../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { grpcMethod } from "../src/otlp/protocol.ts";
import { startDriftlock } from "../test/e2e/driftlock.ts";
import { startSink } from "../test/e2e/tools.ts";
import { peakMemory } from "./measure.ts";
import { round, table } from "./table.ts";

export interface MemoryResult {
  streams: number;
  recordsPerStream: number;
  /** Largest resident size, in bytes. */
  peakResident: number;
  engine: number;
}

/** Number of records after which each stream has learned and its window is full. */
const baselineRecords = 100;
const recordsPerStream = 200;
/**
 * Size of a body: that many bytes per record fill the dictionary, the baseline's excerpt and the window to their
 * limits.
 */
const bodyBytes = 1_000;
const streamsPerRequest = 10;
const recordsPerVisit = 20;
const concurrency = 8;

/** Returns lower-case words that are neither masked nor repeated: the worst that a stream can hold. */
function randomWords(length: number): string {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i += 65_536) crypto.getRandomValues(bytes.subarray(i, i + 65_536));
  return Array.from(bytes, (byte) => (byte < 32 ? " " : String.fromCharCode(97 + (byte % 26)))).join("");
}

const text = (value: string) => ({ value: { case: "stringValue" as const, value } });

function* requests(streams: number, words: string): Generator<Buffer> {
  let time = 1_790_000_000_000_000_000n;
  let at = 0;
  const record = () => {
    at = (at + 7_919) % (words.length - bodyBytes);
    time += 1_000_000n;
    return { timeUnixNano: time, severityNumber: 9, body: text(words.slice(at, at + bodyBytes)) };
  };
  for (let visit = 0; visit < recordsPerStream / recordsPerVisit; visit++) {
    for (let first = 0; first < streams; first += streamsPerRequest) {
      const resourceLogs = Array.from({ length: streamsPerRequest }, (_, i) => ({
        resource: { attributes: [{ key: "service.name", value: text(`service-${first + i}`) }] },
        scopeLogs: [{ logRecords: Array.from({ length: recordsPerVisit }, record) }],
      }));
      const message = create(ExportLogsServiceRequestSchema, { resourceLogs });
      yield Buffer.from(toBinary(ExportLogsServiceRequestSchema, message));
    }
  }
}

async function send(address: string, bodies: Iterator<Buffer>): Promise<void> {
  const identity = (bytes: Buffer) => bytes;
  const client = new Client(address, credentials.createInsecure());
  const one = (body: Buffer) =>
    new Promise<void>((resolve, reject) => {
      client.makeUnaryRequest(grpcMethod.logs, identity, identity, body, (error) =>
        error ? reject(error) : resolve(),
      );
    });
  const worker = async () => {
    for (let next = bodies.next(); !next.done; next = bodies.next()) await one(next.value);
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  client.close();
}

export async function memory(streams: number): Promise<MemoryResult> {
  const sink = await startSink(["-seconds=3600"]);
  const driftlock = await startDriftlock({
    detect: { baseline: { records: baselineRecords } },
    forward: { endpoint: `http://${sink.address}`, compression: "none" },
  });
  await send(driftlock.grpc, requests(streams, randomWords(2 ** 24)));
  const held = await driftlock.metric("driftlock_streams");
  const learning = await driftlock.metric("driftlock_streams_learning");
  if (held < streams || learning > 0) throw new Error(`${held} streams, of which ${learning} still learn`);
  const result = {
    streams: held,
    recordsPerStream,
    peakResident: await peakMemory(driftlock.program.pid),
    engine: await driftlock.metric("driftlock_engine_bytes"),
  };
  await driftlock.program.stop();
  await sink.program.stop();
  return result;
}

export const memoryTable = ({ streams, peakResident, engine }: MemoryResult): string =>
  table([
    {
      streams,
      "peak resident, MiB": round(peakResident / 2 ** 20, 0),
      "of which streams, MiB": round(engine / 2 ** 20, 0),
      "KiB per stream": round(engine / streams / 1024, 1),
    },
  ]);
