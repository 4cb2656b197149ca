/** A real Alertmanager, run by scripts/alertmanager.sh. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freePort } from "../free-port.ts";

const script = fileURLToPath(new URL("../../scripts/alertmanager.sh", import.meta.url));

export const skipAlertmanager = process.env.DRIFTLOCK_SKIP_ALERTMANAGER === "1";

export interface Alert {
  labels: Record<string, string>;
  annotations: Record<string, string>;
  startsAt: string;
  endsAt: string;
  generatorURL: string;
  status: { state: string };
}

const configOf = (
  receiver: string,
) => `route: { receiver: hook, group_by: [incident], group_wait: 10ms, group_interval: 20ms }
receivers: [{ name: hook, webhook_configs: [{ url: "${receiver}", send_resolved: true }] }]
`;

/** @param receiver the URL to which it sends what fires and what is resolved */
export async function startAlertmanager(receiver: string, config = configOf(receiver)) {
  const folder = mkdtempSync(join(tmpdir(), "driftlock-alertmanager-"));
  writeFileSync(join(folder, "alertmanager.yml"), config);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(script, [folder, String(port)], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2_000);
  });
  const ready = () =>
    fetch(`${url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await ready())) {
    if (child.exitCode !== null) throw new Error(`Alertmanager did not start: ${said}`);
    await sleep(50);
  }
  return {
    url,
    alerts: async (): Promise<Alert[]> =>
      (await (await fetch(`${url}/api/v2/alerts?active=true`)).json()) as Alert[],
    async close() {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      if (child.exitCode === null && child.kill("SIGKILL")) await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
