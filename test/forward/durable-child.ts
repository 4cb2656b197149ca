/**
 * A process with a queue on disk that can be killed: it exports numbered requests, and writes a line for each that is
 * kept or refused. Arguments: data_dir, endpoint, sync, first number, count, and "stay" to keep running; without it the
 * process ends when nothing is left to deliver.
 */
import { argv } from "node:process";
import { startForwarder } from "../../src/forward/index.ts";
import type { ExportError } from "../../src/otlp/protocol.ts";
import { forwardConfig, patient, watch } from "./downstream.ts";

const [dataDir, endpoint, sync, first, count, stay] = argv.slice(2);
const config = forwardConfig("grpc", endpoint!, {
  queue: { storage: "disk", disk: { sync } } as never,
});
const forwarder = await startForwarder(config, watch(), dataDir!);
console.log("ready");

let next = Number(first);
const last = next + Number(count);
async function sender(): Promise<void> {
  while (next < last) {
    const number = next++;
    const body = Buffer.from(`${number} ${"x".repeat((number * 7919) % 20_000)}`);
    try {
      await forwarder.export("logs", body, patient());
      console.log(`kept ${number}`);
    } catch (error) {
      console.log(`refused ${number} ${(error as ExportError).message}`);
    }
  }
}
await Promise.all(Array.from({ length: 8 }, sender));
if (stay) await new Promise((resolve) => setTimeout(resolve, 600_000));
while (forwarder.state().storedBytes > 0) await new Promise((resolve) => setTimeout(resolve, 10));
await forwarder.close(10_000);
