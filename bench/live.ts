/**
 * Live events to many listeners: how long each one waits and what the API consumes. `node bench/live.ts [LISTENERS]
 * [RATE] [SECONDS] [SLOW]`: the number of listeners, half of them by WebSocket; events per second; the number of
 * further listeners that connect and never read.
 */

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { get } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import { encodeReport } from "../src/anomaly/report.ts";
import { AnomalySchema } from "../src/gen/driftlock/v1/anomaly_pb.js";
import { serveApi } from "./api.ts";

const path = "/v1/stream/anomalies";

/** Runs the API in a process of its own. When it receives a rate, it publishes at that rate for one second. */
async function serve(folder: string): Promise<void> {
  const { address, publish } = await serveApi(folder);
  let n = 0;
  process.on("message", async (rate: number) => {
    for (let i = 0; i < rate; i++) {
      n += 1;
      publish(
        encodeReport(
          create(AnomalySchema, {
            id: n.toString(16).padStart(32, "0"),
            tenant: "default",
            stream: "logs service.name=checkout",
            serviceName: "checkout",
            channel: 1,
            severity: 2,
            score: 30,
            limit: 20,
            explanation: "12 bytes of this record are in no record of the baseline",
            // Listeners read from it when the event was published.
            field: String(Date.now()),
            record: { text: "upstream request timed out after the third attempt ".repeat(5), novel: [] },
          }),
        ),
      );
      await sleep(1_000 / rate);
    }
    process.send!("done");
  });
  process.send!(address);
  process.once("disconnect", () => process.exit());
}

if (process.argv[2] === "serve") await serve(process.argv[3]!);
else await measure();

async function measure(): Promise<void> {
  const [listeners = 1_000, rate = 10, seconds = 10, slow = 0] = process.argv.slice(2).map(Number);
  const folder = mkdtempSync(join(tmpdir(), "driftlock-bench-"));
  const child = fork(fileURLToPath(import.meta.url), ["serve", folder], { stdio: "inherit" });
  try {
    const [address] = (await once(child, "message")) as [string];
    const before = await memoryOf(child);
    const delays: number[] = [];
    const heard = (text: string) => {
      for (const [, at] of text.matchAll(/"field":"(\d{13})"/g)) delays.push(Date.now() - Number(at));
    };
    const start = performance.now();
    for (let i = 0; i < listeners; i++) await (i % 2 ? bySocket : byEvents)(address, heard);
    const connected = performance.now() - start;
    for (let i = 0; i < slow; i++) await neverReads(address);
    const idle = await memoryOf(child);
    const cpu = cpuOf(child);
    for (let i = 0; i < seconds; i++) {
      child.send(rate);
      await once(child, "message");
    }
    await sleep(1_000);
    const used = cpuOf(child) - cpu;
    delays.sort((a, b) => a - b);
    const quantile = (q: number) => delays[Math.floor(q * (delays.length - 1))];
    const expected = listeners * rate * seconds;
    console.log(`${listeners} listeners, ${slow} that do not read, ${rate} events/s for ${seconds} s`);
    console.log(`connected in ${Math.round(connected)} ms`);
    console.log(`delivered ${delays.length} of ${expected}`);
    console.log(`delay p50 ${quantile(0.5)} ms, p99 ${quantile(0.99)} ms, max ${quantile(1)} ms`);
    console.log(
      `memory: ${((idle - before) / (listeners + slow)).toFixed(1)} KiB a listener, ${await memoryOf(child)} KiB after`,
    );
    console.log(`cpu ${(used / (seconds + 1) / 10).toFixed(1)} % of a core`);
  } finally {
    child.kill();
    await once(child, "exit");
    rmSync(folder, { recursive: true });
    process.exit();
  }
}

async function byEvents(address: string, heard: (text: string) => void): Promise<void> {
  const request = get(`http://${address}${path}`, { agent: false });
  const [response] = await once(request, "response");
  response.setEncoding("utf8").on("data", heard);
}

async function bySocket(address: string, heard: (text: string) => void): Promise<void> {
  const socket = new WebSocket(`ws://${address}${path}`);
  socket.addEventListener("message", ({ data }) => heard(data as string));
  await new Promise((resolve) => socket.addEventListener("open", resolve));
}

async function neverReads(address: string): Promise<void> {
  const [host, port] = address.split(":");
  const socket = connect(Number(port), host);
  socket.on("error", () => {});
  socket.pause();
  await once(socket, "connect");
  socket.write(`GET ${path} HTTP/1.1\r\nhost: ${address}\r\n\r\n`);
}

/** Returns the resident memory in KiB. */
async function memoryOf({ pid }: ChildProcess): Promise<number> {
  await sleep(500);
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]);
}

/** Returns the milliseconds of user and system time. */
function cpuOf({ pid }: ChildProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return 10 * (Number(fields[11]) + Number(fields[12]));
}
