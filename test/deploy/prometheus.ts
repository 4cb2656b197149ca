/** Real programs of Prometheus, run by scripts/prometheus.sh. */
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { freePort } from "../free-port.ts";

const script = fileURLToPath(new URL("../../scripts/prometheus.sh", import.meta.url));
const root = fileURLToPath(new URL("../../", import.meta.url));

export const skipPrometheus = process.env.DRIFTLOCK_SKIP_PROMETHEUS === "1";

/** Runs promtool in the root of the repository. @throws {Error} with its output, if it fails. */
export async function promtool(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(script, ["promtool", ...args], { cwd: root });
  return stdout;
}

export interface QueryResult {
  status: string;
  error?: string;
  data: { result: { metric: Record<string, string>; value: [number, string] }[] };
}

/** @param files the configuration, as `prometheus.yml`, and what it names */
export async function startPrometheus(files: Readonly<Record<string, string>>) {
  const folder = mkdtempSync(join(tmpdir(), "driftlock-prometheus-"));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const args = [
    "prometheus",
    `--config.file=${join(folder, "prometheus.yml")}`,
    `--storage.tsdb.path=${join(folder, "data")}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
  const child = spawn(script, args, { stdio: ["ignore", "ignore", "pipe"] });
  let logged = "";
  child.stderr.on("data", (chunk: Buffer) => {
    logged = (logged + chunk.toString()).slice(-4_000);
  });
  const ready = () =>
    fetch(`${url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await ready())) {
    if (child.exitCode !== null) throw new Error(`Prometheus did not start: ${logged}`);
    await sleep(50);
  }
  return {
    url,
    async query(expr: string): Promise<QueryResult> {
      const body = new URLSearchParams({ query: expr });
      return (await (await fetch(`${url}/api/v1/query`, { method: "POST", body })).json()) as QueryResult;
    },
    async close() {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      if (child.exitCode === null && child.kill("SIGKILL")) await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
