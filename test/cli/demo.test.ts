/** `make run` under configurations that users may have. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { generate } from "selfsigned";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const script = fileURLToPath(new URL("../../scripts/demo.ts", import.meta.url));
let folder: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "driftlock-demo-"));
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode === null && child.kill()) await once(child, "exit");
  }
  rmSync(folder, { recursive: true, force: true });
});

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** Any free port for each listener, unless `args` or `env` say otherwise. */
function start(args: string[], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [script, "--data_dir", join(folder, "data"), ...args], {
    env: {
      PATH: process.env.PATH,
      DRIFTLOCK_RECEIVE_GRPC_ENDPOINT: "127.0.0.1:0",
      DRIFTLOCK_RECEIVE_HTTP_ENDPOINT: "127.0.0.1:0",
      DRIFTLOCK_API_ENDPOINT: "127.0.0.1:0",
      ...env,
    },
  });
  children.push(child);
  const said = { out: "", err: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said.out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said.err += text;
  });
  return { child, said };
}

/** Records that the sidecar has delivered according to its own metrics; 0 until it listens. */
async function delivered(): Promise<number> {
  try {
    const log = readFileSync(join(folder, "data", "driftlock.log"), "utf8");
    const { addresses } = JSON.parse(log.split("\n").find((line) => line.includes('"addresses"'))!);
    const metrics = await (await fetch(`http://${addresses.api}/metrics`)).text();
    const counts = metrics.matchAll(/^driftlock_forwarded_requests_total\{.*\} (\d+)$/gm);
    return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
  } catch {
    return 0;
  }
}

const patient = { timeout: 30_000, interval: 200 };

describe("the demo sends to the sidecar and the sidecar to its sink", { timeout: 60_000 }, () => {
  it.each([
    ["by gRPC at any port", []],
    ["by HTTP if gRPC is off", ["--receive.grpc.enabled", "false"]],
    ["with a downstream's protocol of HTTP", ["--forward.protocol", "http"]],
  ])("%s", async (_, args) => {
    const { said } = start(args);
    await expect.poll(delivered, patient).toBeGreaterThan(0);
    expect(said.err).toBe("");
  });

  it("by TLS, as the file of the configuration has it", async () => {
    const { cert, private: key } = await generate([{ name: "commonName", value: "localhost" }]);
    const tls = { cert_file: file("cert.pem", cert), key_file: file("key.pem", key) };
    const config = file("driftlock.yaml", JSON.stringify({ receive: { grpc: { tls } } }));
    start(["--config", config]);
    await expect.poll(delivered, patient).toBeGreaterThan(0);
  });

  it("not where it has no key, and says so", async () => {
    const { said } = start(["--auth.enabled", "true"]);
    await expect
      .poll(() => said.err, { timeout: 30_000 })
      .toContain("The demo sends nothing: auth.enabled is true");
    expect(said.out).toMatch(/^The dashboard is at http:\/\/127\.0\.0\.1:\d+\/$/m);
  });
});

describe("the demo ends with the reason", { timeout: 60_000 }, () => {
  it("when a port is in use", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as { port: number };
    const { child, said } = start([], { DRIFTLOCK_API_ENDPOINT: `127.0.0.1:${port}` });
    const [code] = await once(child, "exit");
    other.close();
    expect(code).toBe(1);
    expect(said.err).toMatch(/^driftlock: api\.endpoint: .*another process listens there[^\n]*\n$/s);
  });

  it("when the configuration is wrong", async () => {
    const { child, said } = start(["--receive.grpc.endpiont", "127.0.0.1:0"]);
    const [code] = await once(child, "exit");
    expect(code).toBe(2);
    expect(said.err).toContain("did you mean --receive.grpc.endpoint?");
  });
});
