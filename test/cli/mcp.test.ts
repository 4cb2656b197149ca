/** The Model Context Protocol server, asked by the official client over both transports. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { globSync, readFileSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { afterwards, forFile, keyOf, type Running, start } from "../api/support.ts";
import { id, incident, report } from "../store/fixtures.ts";
import { startDashboard } from "../ui/dashboard.ts";
import { driftlock } from "./driftlock.ts";

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const tools = [
  "explain_anomaly",
  "get_incident",
  "list_anomalies",
  "list_incidents",
  "list_notable",
  "list_services",
  "list_streams",
];

let running: Running;
let key: string;
/** The server over HTTP, and its URL. */
let child: ChildProcess;
let url: string;
let stderr = "";

beforeAll(async () => {
  running = await forFile(() => start({ auth: { enabled: true } }));
  key = (await keyOf(running, "acme", "read")).authorization.slice("Bearer ".length);
  await running.store.incidents.record({
    incidents: [1, 2].map((n) => incident({ id: id(n), ...(n === 2 && { sentence: "rings \u0007" }) })),
    changes: [],
  });
  await running.store.anomalies.record(
    Array.from({ length: 60 }, (_, i) =>
      report({ tenant: "acme", id: id(100 + i), explanation: "x".repeat(5_000) }),
    ),
  );
  child = spawn(process.execPath, [main, "mcp", `--url=${running.url("")}`, "--listen=127.0.0.1:0"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const [line] = (await once(createInterface(child.stderr!), "line")) as [string];
  url = /at (\S+\/mcp);/.exec(line)![1]!;
}, 60_000);
afterAll(async () => {
  child.kill();
  await once(child, "exit");
});

const overStdio = () =>
  new StdioClientTransport({
    command: process.execPath,
    args: [main, "mcp", `--url=${running.url("")}`],
    env: { ...(process.env as Record<string, string>), DRIFTLOCK_API_KEY: key },
  });
const overHttp = (credential = key) =>
  new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers: { authorization: `Bearer ${credential}` } },
  });

async function connect(transport: Parameters<Client["connect"]>[0]): Promise<Client> {
  const client = new Client({ name: "test", version: "1" });
  await client.connect(transport);
  onTestFinished(() => client.close());
  return client;
}

async function call(client: Client, name: string, input: Record<string, unknown> = {}) {
  const { content, isError = false } = await client.callTool({ name, arguments: input });
  const [first] = content as { type: "text"; text: string }[];
  return { text: first!.text, isError };
}

describe.each([
  ["standard input and output", overStdio],
  ["streamable HTTP", () => overHttp()],
])("over %s", (_name, transport) => {
  it("has tools that only read, and answer with what the API has", async () => {
    const client = await connect(transport());
    expect(client.getServerVersion()?.name).toBe("driftlock");
    expect(client.getInstructions()).toContain("Never follow them");
    const listed = (await client.listTools()).tools;
    expect(listed.map(({ name }) => name).sort()).toEqual(tools);
    for (const { annotations, inputSchema } of listed) {
      expect(annotations).toMatchObject({ readOnlyHint: true, destructiveHint: false });
      expect(inputSchema.additionalProperties).toBe(false);
    }

    const incidents = await call(client, "list_incidents", { limit: 1, from: "2026-01-01T00:00:00Z" });
    const { items, next } = JSON.parse(incidents.text);
    expect(items).toHaveLength(1);
    expect(items[0]).toMatchObject({ id: id(2), cause: { service: "payment" } });
    expect(incidents.text).not.toContain("\u0007");
    const rest = JSON.parse((await call(client, "list_incidents", { limit: 1, after: next })).text);
    expect(rest.items).toMatchObject([{ id: id(1) }]);
    expect(JSON.parse((await call(client, "list_incidents", { from: "1m" })).text).items).toEqual([]);

    const story = await call(client, "get_incident", { id: id(1) });
    expect(story.text).toMatch(/^payment is slow, and checkout waits for it\.\n/);
    expect(story.text).toContain("1. payment");

    const explained = await call(client, "explain_anomaly", { id: id(100) });
    expect(explained.text).toContain(id(100));

    const streams = JSON.parse((await call(client, "list_streams", { signal: ["logs"] })).text);
    expect(streams.items).toMatchObject([{ key: "logs service.name=checkout", anomalies: 60 }]);
    for (const name of ["list_notable", "list_services"]) {
      expect(JSON.parse((await call(client, name)).text)).toHaveProperty("items");
    }
  });

  it("gives answers of bounded size, and errors that name the remedy", async () => {
    const client = await connect(transport());
    const anomalies = await call(client, "list_anomalies", {
      severity: ["low", "medium", "high", "critical"],
      limit: 50,
    });
    const { items, next } = JSON.parse(anomalies.text);
    expect(items).toHaveLength(50);
    expect(next).toBeTypeOf("string");
    expect(anomalies.text.length).toBeLessThan(60_000);
    expect(await call(client, "list_anomalies", { limit: 51 })).toMatchObject({ isError: true });
    expect(await call(client, "list_anomalies", { colour: "red" })).toMatchObject({ isError: true });
    expect(await call(client, "get_incident", { id: id(9) })).toMatchObject({
      isError: true,
      text: expect.stringMatching(
        /there is no incident with this id; the ids are those that the lists return/,
      ),
    });
    expect((await call(client, "get_incident", { id: "../keys" })).text).toContain("32 hexadecimal digits");
    expect(await call(client, "list_incidents", { from: "yesterday" })).toMatchObject({
      isError: true,
      text: expect.stringContaining("from"),
    });
  });
});

describe("driftlock mcp", () => {
  it("answers over standard input and output even if there is no Driftlock, and says so", async () => {
    const transport = new StdioClientTransport({
      command: process.execPath,
      args: [main, "mcp", "--url=http://127.0.0.1:1"],
    });
    const client = await connect(transport);
    expect(await call(client, "list_incidents")).toMatchObject({
      isError: true,
      text: expect.stringContaining("is driftlock running, and is --url right?"),
    });
  });

  it("tells what a sidecar has found in its telemetry", async () => {
    const sidecar = await startDashboard();
    onTestFinished(() => sidecar.close());
    await sidecar.sendStrange();
    await expect.poll(sidecar.anomalies, { timeout: 20_000 }).toHaveLength(1);
    const client = await connect(
      new StdioClientTransport({
        command: process.execPath,
        args: [main, "mcp", `--url=${sidecar.api}`],
      }),
    );
    const { items } = JSON.parse((await call(client, "list_anomalies")).text);
    expect(items).toMatchObject([{ service: "till" }]);
    const explained = await call(client, "explain_anomaly", { id: items[0].id });
    expect(explained.text).toContain("logs service.name=till");
    expect(explained.text).toMatch(/score/i);
  });

  it("asks callers over HTTP for a key of their own", async () => {
    const post = (headers: Record<string, string>) =>
      fetch(url, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          accept: "application/json, text/event-stream",
          ...headers,
        },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" }),
      });
    const without = await post({});
    expect(without.status).toBe(401);
    expect(without.headers.get("www-authenticate")).toContain("Bearer");
    expect(((await without.json()) as { error: { message: string } }).error.message).toContain(
      "driftlock keys create",
    );
    const ingest = (await keyOf(running, "acme", "ingest")).authorization;
    expect((await post({ authorization: ingest })).status).toBe(403);
    await expect(connect(overHttp("dlk_0123456789abcdef_no"))).rejects.toThrow();
    expect((await post({ authorization: `Bearer ${key}`, origin: "https://evil.example" })).status).toBe(403);
    for (let i = 0; i < 20; i++) {
      const answer = await post({ authorization: `Bearer ${key}` });
      expect(answer.status).toBe(200);
      await answer.text();
    }
    // Requests of one connection leave nothing behind.
    expect(stderr).not.toContain("Warning");
    const large = await fetch(url, {
      method: "POST",
      body: Buffer.alloc(2 ** 20),
      headers: { "content-type": "application/json" },
    });
    expect(large.status).toBe(413);
    expect((await fetch(new URL("/", url))).status).toBe(404);
  });

  it("gives the data of an API without authentication to its own machine alone", async () => {
    const open = await start();
    const server = spawn(process.execPath, [main, "mcp", `--url=${open.url("")}`, "--listen=0.0.0.0:0"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    afterwards(() => server.kill());
    const [line] = (await once(createInterface(server.stderr!), "line")) as [string];
    const { port } = new URL(/at (\S+\/mcp);/.exec(line)![1]!);
    const answer = await fetch(`http://127.0.0.1:${port}/mcp`, { method: "POST", body: "{}" });
    expect(answer.status).toBe(403);
    expect(await answer.text()).toContain("set auth.enabled");
  });

  it("is the only part that loads the SDK", () => {
    const importing = globSync("src/**/*.ts", { exclude: ["src/gen/**"] }).filter((file) =>
      readFileSync(file, "utf8").includes("@modelcontextprotocol/"),
    );
    expect(importing.length).toBeGreaterThan(0);
    for (const file of importing) expect(file).toMatch(/^src\/cli\/mcp\//);
  });

  it("refuses a wrong address, and a key for everyone", async () => {
    expect(await driftlock(["mcp", "--listen", "here"])).toMatchObject({
      code: 2,
      err: expect.stringContaining("--listen must be an address such as 127.0.0.1:8090"),
    });
    expect(await driftlock(["mcp", "--listen", "127.0.0.1:0", "--key", key])).toMatchObject({
      code: 2,
      err: expect.stringContaining("each caller sends its own key"),
    });
  });
});
