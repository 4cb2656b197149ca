/**
 * The dashboard in a real Chromium over a store of 100,000 anomalies: how soon something is shown, how a list of 10,000 rows
 * scrolls while ten anomalies arrive per second, and how fast the API answers. `node bench/dashboard.ts [ANOMALIES]`. It needs a
 * machine that does nothing else; the page of one line shows what the browser takes by itself.
 */
import { execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import { type Browser, chromium } from "playwright-core";
import { encodeReport } from "../src/anomaly/report.ts";
import { type Anomaly, AnomalySchema } from "../src/gen/driftlock/v1/anomaly_pb.js";
import { serveApi } from "./api.ts";
import { median } from "./measure.ts";
import { type Row, round, table } from "./table.ts";

const anomalies = Number(process.argv[2]) || 100_000;
const pageSize = 200;
const rows = Math.min(10_000, anomalies - pageSize);
const days = 30;
const services = 40;
const streamsPerService = 25;
const eventsPerSecond = 10;
const scrollSeconds = 8;
const paints = 15;
const calls = 20;
const goal = { paintMs: 200, frameMs: 34 };

const idOf = (n: number) => n.toString(16).padStart(32, "0");
const newest = BigInt(Date.now()) * 1_000_000n;
const step = BigInt(Math.round((days * 86_400e9) / anomalies));

/** The n-th anomaly, later ones started later. */
function anomaly(n: number): Anomaly {
  const at = newest - step * BigInt(Math.max(0, anomalies - n));
  const service = `service-${n % services}`;
  return create(AnomalySchema, {
    id: idOf(n + 1),
    tenant: "default",
    signal: 1 + (n % 3),
    stream: `logs service.name=${service} part=${n % streamsPerService}`,
    serviceName: service,
    channel: 1 + (n % 5),
    severity: 1 + (n % 4),
    score: 30,
    limit: 20,
    pValue: 1e-6,
    margin: 1.5,
    occurrence: 1n,
    explanation: '34 of the record\'s 365 bytes are new to this stream, such as "issuer unreachable" in body',
    record: { text: "payment declined: issuer unreachable ".repeat(5), novel: [{ start: 18, end: 36 }] },
    traceId: Buffer.from(idOf(n >> 3), "hex"),
    startTimeUnixNano: at,
    endTimeUnixNano: at,
    timeUnixNano: at,
  });
}

/** Fills a store and serves it, in a process of its own. Publishes one anomaly for each message that it receives. */
async function serve(folder: string): Promise<void> {
  const { address, store, publish } = await serveApi(folder);
  const batch = 500;
  for (let n = 0; n < anomalies; n += batch) {
    await store.anomalies.record(
      Array.from({ length: Math.min(batch, anomalies - n) }, (_, i) => anomaly(n + i)),
    );
  }
  let n = anomalies;
  process.on("message", () => publish(encodeReport(anomaly(n++))));
  process.send!(address);
  process.once("disconnect", () => process.exit());
}

/** Takes the median and the maximum of how long the API takes for each of a page's requests. */
async function measureApi(base: string): Promise<Row[]> {
  const from = (hours: number) => new Date(Date.now() - hours * 3_600_000).toISOString();
  const list = "/v1/anomalies?view=compact&limit=200";
  let deep = list;
  for (let i = 0; i < 50; i++) {
    const { next } = (await (await fetch(base + deep)).json()) as { next: string };
    deep = `${list}&after=${next}`;
  }
  const requests: Record<string, string> = {
    "first page": list,
    "page 51": deep,
    "of one service": `${list}&service=service-7`,
    "of one severity and channel": `${list}&severity=critical&channel=content`,
    "that match nothing": `${list}&service=nobody`,
    "lanes of a day": `/v1/anomalies/summary?by=service&from=${from(24)}`,
    "lanes of 30 days": `/v1/anomalies/summary?by=service&from=${from(24 * days)}`,
    "lanes of 30 days by stream": `/v1/anomalies/summary?by=stream&from=${from(24 * days)}`,
    "one anomaly": `/v1/anomalies/${idOf(anomalies >> 1)}`,
    related: `/v1/anomalies/${idOf(anomalies >> 1)}/related`,
    streams: "/v1/streams?limit=200",
    services: "/v1/services",
  };
  const found: Row[] = [];
  for (const [what, path] of Object.entries(requests)) {
    const times: number[] = [];
    let bytes = 0;
    for (let i = 0; i < calls; i++) {
      const start = performance.now();
      const answer = await fetch(base + path);
      bytes = (await answer.arrayBuffer()).byteLength;
      if (!answer.ok) throw new Error(`${path} answers ${answer.status}`);
      times.push(performance.now() - start);
    }
    found.push({
      what,
      "median ms": round(median(times), 1),
      "max ms": round(Math.max(...times), 1),
      kB: round(bytes / 1_000, 1),
    });
  }
  return found;
}

/** Opens each page without a cache, and takes when something was shown, when it was complete, and what was loaded. */
async function measurePages(browser: Browser, base: string): Promise<Row[]> {
  const pages: Record<string, [string, string]> = {
    // What the browser and the machine take for a page of one line.
    "(/healthz)": ["/healthz", "body"],
    incidents: ["/", ".lanes canvas"],
    anomalies: ["/anomalies", ".list .rows .row"],
    "an anomaly": [`/anomalies/${idOf(anomalies >> 1)}`, "h1.sentence"],
    streams: ["/streams", ".list .rows .row"],
  };
  const found: Row[] = [];
  for (const [what, [path, ready]] of Object.entries(pages)) {
    const first: number[] = [];
    const complete: number[] = [];
    let bytes = 0;
    for (let i = 0; i < paints; i++) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
      const page = await context.newPage();
      await page.goto(base + path);
      await page.locator(ready).first().waitFor();
      const [paint, now, size] = await page.evaluate<[number, number, number]>(`new Promise((resolve) => {
        const now = performance.now();
        const size = performance.getEntriesByType("resource").reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0);
        new PerformanceObserver((list) => {
          for (const { name, startTime } of list.getEntries())
            if (name === "first-contentful-paint") resolve([startTime, now, size]);
        }).observe({ type: "paint", buffered: true });
      })`);
      first.push(paint);
      complete.push(now);
      bytes = size;
      await context.close();
    }
    found.push({
      page: what,
      "first paint ms": Math.round(median(first)),
      "max ms": Math.round(Math.max(...first)),
      "complete ms": Math.round(median(complete)),
      "loaded kB": Math.round(bytes / 1_000),
    });
  }
  return found;
}

/** Loads the rows page by page, then scrolls for some seconds while anomalies arrive. */
async function measureScrolling(browser: Browser, base: string, publish: () => void): Promise<Row[]> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  await page.goto(`${base}/anomalies`);
  for (let loaded = pageSize; loaded < rows; loaded += pageSize) {
    await page.getByText(`${(loaded).toLocaleString("en")} anomalies`).waitFor();
    await page.evaluate(`document.querySelector(".list").scrollTo(0, 1e9)`);
  }
  await page.getByText(`${rows.toLocaleString("en")} anomalies`).waitFor();
  const timer = setInterval(publish, 1_000 / eventsPerSecond);
  const frames = await page.evaluate<number[]>(`new Promise((resolve) => {
    const list = document.querySelector(".list");
    const frames = [];
    const start = performance.now();
    let before = start;
    const frame = (now) => {
      frames.push(now - before);
      before = now;
      // Down and up again, a screen in about three frames.
      const part = ((now - start) / ${scrollSeconds * 1_000}) * 2;
      list.scrollTop = (part < 1 ? part : 2 - part) * (list.scrollHeight - list.clientHeight);
      if (now - start < ${scrollSeconds * 1_000}) requestAnimationFrame(frame);
      else resolve(frames.slice(1));
    };
    requestAnimationFrame(frame);
  })`);
  clearInterval(timer);
  await page.waitForFunction(
    `!document.querySelector(".status").textContent.startsWith("${rows.toLocaleString("en")} ")`,
  );
  const shown = await page.locator(".status").textContent();
  await page.close();
  const sorted = frames.toSorted((a, b) => a - b);
  const quantile = (q: number) => round(sorted[Math.floor(q * (sorted.length - 1))]!, 1);
  return [
    {
      rows,
      afterwards: shown ?? "",
      frames: frames.length,
      "p50 ms": quantile(0.5),
      "p95 ms": quantile(0.95),
      "p99 ms": quantile(0.99),
      "max ms": quantile(1),
    },
  ];
}

async function measure(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "driftlock-bench-"));
  const child = fork(fileURLToPath(import.meta.url), [String(anomalies), "serve", folder], {
    stdio: "inherit",
  });
  const script = fileURLToPath(new URL("../scripts/chromium.sh", import.meta.url));
  const executablePath = execFileSync(script, { encoding: "utf8" }).trim();
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
  try {
    const start = performance.now();
    const [address] = (await once(child, "message")) as [string];
    console.log(
      `${anomalies.toLocaleString("en")} anomalies, stored in ${round((performance.now() - start) / 1_000, 1)} s\n`,
    );
    const base = `http://${address}`;
    console.log(`${table(await measureApi(base))}\n`);
    const shown = await measurePages(browser, base);
    console.log(`${table(shown)}\n`);
    const scrolled = await measureScrolling(browser, base, () => child.send("next"));
    console.log(table(scrolled));
    const slow =
      Number(shown[1]!["first paint ms"]) > goal.paintMs || Number(scrolled[0]!["p95 ms"]) > goal.frameMs;
    if (slow)
      console.log(`\nBeyond the goal: first paint ${goal.paintMs} ms, p95 of frames ${goal.frameMs} ms`);
    process.exitCode = slow ? 1 : 0;
  } finally {
    await browser.close();
    child.disconnect();
    await once(child, "exit");
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[3] === "serve") await serve(process.argv[4]!);
else await measure();
