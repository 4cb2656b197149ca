/**
 * A downstream of the soak that can be killed: it receives requests of numbered records, and writes each number as 4
 * bytes, little-endian, to a file before it answers. Arguments: port, file. A message `{ mood, ms }` makes it refuse,
 * throttle or stall for that time.
 */
import { openSync, writeSync } from "node:fs";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { Code } from "../../src/otlp/protocol.ts";
import { type Reply, startDownstream } from "../forward/downstream.ts";
import { numbersOf } from "./numbered.ts";

export interface Mood {
  mood: "refuses" | "throttles" | "stalls";
  ms: number;
}

const [port, path] = process.argv.slice(2);
const file = openSync(path!, "a");
let current: Mood["mood"] | undefined;
let until = 0;

const server = await startDownstream(
  "grpc",
  async ({ signal, body }): Promise<Reply> => {
    server.received.length = 0;
    const left = until - performance.now();
    if (left > 0 && current === "refuses") return { status: Code.UNAVAILABLE };
    if (left > 0 && current === "throttles") return { status: Code.RESOURCE_EXHAUSTED, retryAfterMs: 200 };
    if (left > 0) await sleep(left);
    const numbers = numbersOf(signal, body);
    writeSync(file, new Uint8Array(Uint32Array.from(numbers).buffer));
    return {};
  },
  { port: Number(port) },
);

process.on("message", ({ mood, ms }: Mood) => {
  current = mood;
  until = performance.now() + ms;
});
process.once("SIGTERM", () => void server.close().then(() => process.exit()));
process.once("disconnect", () => process.exit());
process.send!("ready");
