/** Runs examples/collector by the commands of its page, on free ports. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { root } from "../docs/fences.ts";
import { blocksOf, path, shell } from "../docs/shell.ts";
import { freePort, Program, stopAll, until } from "./programs.ts";

const folder = mkdtempSync(join(tmpdir(), "driftlock-examples-"));
afterEach(async () => {
  await stopAll();
  rmSync(folder, { recursive: true, force: true });
});

it("collector: what Driftlock flags is in what the Collector exports", async () => {
  const ports = new Map<string, string>();
  for (const port of ["4317", "4318", "5317", "5318", "14317", "8080"]) {
    ports.set(`127.0.0.1:${port}`, `127.0.0.1:${await freePort()}`);
  }
  const moved = (text: string) => text.replace(/127\.0\.0\.1:\d+/g, (address) => ports.get(address)!);
  cpSync(join(root, "examples/collector"), folder, { recursive: true });
  for (const file of readdirSync(folder)) {
    writeFileSync(join(folder, file), moved(readFileSync(join(folder, file), "utf8")));
  }
  const start = (command: string) =>
    new Program("bash", ["-c", `cd ${folder} && exec ${command}`], {
      PATH: path,
      DRIFTLOCK_API_ENDPOINT: ports.get("127.0.0.1:8080")!,
    });
  const [collector, sidecar, send, look] = blocksOf("examples/collector/README.md", "sh").map(moved);

  await start(collector!).said(/Everything is ready/);
  await start(sidecar!).said(/"addresses"/);
  await shell(send!, folder);
  // The file exporter writes once per second.
  const seen = await until("an annotated record in the exported file", () =>
    shell(look!, folder).catch(() => undefined),
  );
  expect(seen).toMatch(/content\S* +payments .*ConsistencyException/);
});
