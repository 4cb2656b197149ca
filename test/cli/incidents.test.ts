/** Incidents as operators meet them: on the command line, judged, and over the end of a process. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { afterwards, keyOf, start } from "../api/support.ts";
import { startDownstream } from "../forward/downstream.ts";
import { id, incident } from "../store/fixtures.ts";
import { driftlock } from "./driftlock.ts";
import { logs, normalLines, sendGrpc, strangeLine } from "./sender.ts";

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "driftlock-incidents-"));
  afterwards(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

describe("driftlock incidents", () => {
  it("lists, shows and follows what the API has", async () => {
    const running = await start({ auth: { enabled: true } });
    const { authorization } = await keyOf(running, "acme", "read");
    const env = { DRIFTLOCK_API_KEY: authorization.slice("Bearer ".length) };
    const url = `--url=${running.url("")}`;
    const ring = { sentence: "rings \u0007", services: ["cart"], minor: true };
    await running.store.incidents.record({
      incidents: [incident({ id: id(1) }), incident({ id: id(2), ...ring })],
      changes: [],
    });
    const listed = await driftlock(["incidents", "list", url, "--limit=1"], env);
    expect(listed.out).toMatch(/^STARTED +SEVERITY +STATE +CAUSE +ID +WHAT\n/);
    expect(listed.out).toContain("open, minor");
    expect(listed.out).not.toContain("\u0007");
    const cursor = /--after (\S+)\n$/.exec(listed.err)![1]!;
    const rest = await driftlock(["incidents", "list", url, "--after", cursor, "--json"], env);
    expect(JSON.parse(rest.out)).toMatchObject({ id: id(1), cause: { service: "payment" } });
    expect(
      (await driftlock(["incidents", "list", url, "--minor=false", "--severity=low,high"], env)).out,
    ).toContain(id(1));
    const shown = await driftlock(["incidents", "show", id(1), url], env);
    expect(shown.out).toMatch(/^payment is slow, and checkout waits for it\.\n\n {2}id +0+1\n/);
    expect(shown.out).toContain("  1. payment\n     its own time is 41.2 s beyond what is usual.\n");
    expect(shown.out).toContain(
      "traces service.name=payment: value, unspecified, flagged 3 times; joined by first",
    );
    // `explain` takes the id of either.
    expect((await driftlock(["explain", id(1), url], env)).out).toBe(shown.out);
    const missing = await driftlock(["explain", id(9), url], env);
    expect(missing).toMatchObject({
      code: 1,
      err: expect.stringContaining("there is no incident with this id"),
    });

    const child = spawn(process.execPath, [main, "incidents", "tail", url], {
      env: { PATH: process.env.PATH, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    afterwards(() => child.kill("SIGKILL"));
    const lines = createInterface({ input: child.stdout });
    await expect.poll(() => running.incidentHub.readers, { timeout: 20_000 }).toBe(1);
    running.store.incidentWriter.offer({ incidents: [incident({ id: id(3) })], changes: [] });
    const [line] = (await once(lines, "line")) as [string];
    expect(line).toMatch(/^2026-01-31 00:00:00 {2}high open {2}0+3 {2}payment is slow/);
    const ended = once(child, "exit");
    child.kill("SIGINT");
    expect(await ended).toEqual([0, null]);
  });
});

interface Running {
  child: ChildProcess;
  grpc: string;
  api(path: string, init?: RequestInit): Promise<Record<string, unknown>>;
  logged: string[];
}

/** Runs the sidecar in a process of its own. */
async function run(folder: string, downstream: string): Promise<Running> {
  const options = [
    ...["receive.grpc", "receive.http", "api"].map((name) => `--${name}.endpoint=127.0.0.1:0`),
    "--detect.baseline.records=200",
    "--detect.budget.per_stream_per_day=1000",
    "--detect.budget.per_group_per_day=1000",
    "--detect.snapshot_interval=500ms",
    "--incidents.budget.per_tenant_per_day=10000",
    `--forward.endpoint=${downstream}`,
    "--forward.compression=none",
    `--data_dir=${folder}`,
  ];
  const child = spawn(process.execPath, [main, "run", ...options], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder },
    stdio: ["ignore", "pipe", "inherit"],
  });
  afterwards(() => child.kill("SIGKILL"));
  const logged: string[] = [];
  const listening = new Promise<Record<string, string>>((resolve, reject) => {
    createInterface({ input: child.stdout! }).on("line", (line) => {
      logged.push(line);
      if (line.includes('"addresses"')) resolve(JSON.parse(line).addresses);
    });
    child.once("exit", () => reject(new Error(`ended:\n${logged.join("\n")}`)));
  });
  const { grpc, api } = await listening;
  return {
    child,
    grpc: grpc!,
    logged,
    api: async (path, init) =>
      (await (await fetch(`http://${api}/v1${path}`, init)).json()) as Record<string, unknown>,
  };
}

type Items = { items: { id: string; revision: number; state: string }[] };

describe("an incident of a running sidecar", () => {
  const strange = (text: string) =>
    Array.from({ length: 30 }, (_, i) => `${text} ${"abcdefghij".repeat(i % 7)}`);
  const begin = async ({ grpc, api }: Running) => {
    for (let i = 0; i < 4; i++) await sendGrpc(grpc, logs(normalLines(100, 100 * i), 100 * i));
    await sendGrpc(grpc, logs(strange(strangeLine), 400));
    const list = async () => ((await api("/incidents")) as Items).items;
    await expect.poll(list, { timeout: 20_000 }).toHaveLength(1);
    return (await list())[0]!;
  };

  it("goes on under its id after the process was killed, and ends", async () => {
    const folder = emptyFolder();
    const downstream = await startDownstream("grpc");
    afterwards(downstream.close);
    const first = await run(folder, downstream.endpoint);
    const { id: known, revision } = await begin(first);
    // What streams have learned is saved some time later.
    const since = Date.now();
    const savedAt = () => statSync(join(folder, "engine.snapshot"), { throwIfNoEntry: false })?.mtimeMs ?? 0;
    await expect.poll(savedAt, { timeout: 20_000 }).toBeGreaterThan(since);
    const killed = once(first.child, "exit");
    first.child.kill("SIGKILL");
    await killed;

    const second = await run(folder, downstream.endpoint);
    expect(second.logged.join("\n")).toContain("incidents continue from their last state");
    await sendGrpc(second.grpc, logs(normalLines(30, 430), 430));
    await sendGrpc(second.grpc, logs(strange("disk failure: cannot allocate extent in group zero"), 460));
    const list = async () => ((await second.api("/incidents")) as Items).items;
    await expect.poll(async () => (await list())[0]!.revision, { timeout: 20_000 }).toBeGreaterThan(revision);
    expect(await list()).toMatchObject([{ id: known, state: "open" }]);
    // It is over after a quarter of an hour without anything unusual.
    for (let at = 490; at < 1_600; at += 10) await sendGrpc(second.grpc, logs(normalLines(10, at), at));
    await expect
      .poll(async () => (await list()).find((item) => item.id === known)!.state, { timeout: 20_000 })
      .toBe("ended");
  }, 90_000);

  it("that is expected to return ends, and the next one is minor, also after a restart", async () => {
    const folder = emptyFolder();
    const downstream = await startDownstream("grpc");
    afterwards(downstream.close);
    const first = await run(folder, downstream.endpoint);
    const { id: known } = await begin(first);
    const until = new Date(Date.now() + 3_600_000).toISOString();
    const judged = await first.api(`/incidents/${known}`, {
      method: "PATCH",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ state: "expected", until }),
    });
    expect(judged).toMatchObject({ state: "expected", expected_until: until });
    const stopped = once(first.child, "exit");
    first.child.kill("SIGTERM");
    expect(await stopped).toEqual([0, null]);
    // What a person has decided is in the store as well.
    rmSync(join(folder, "incidents.state"));

    const second = await run(folder, downstream.endpoint);
    await sendGrpc(second.grpc, logs(normalLines(30, 430), 430));
    await sendGrpc(second.grpc, logs(strange("disk failure: cannot allocate extent in group zero"), 460));
    const list = async () => ((await second.api("/incidents")) as Items).items;
    await expect.poll(async () => (await list()).length, { timeout: 20_000 }).toBe(2);
    expect(await list()).toMatchObject([
      { minor: true, expected_by: known },
      { id: known, state: "expected" },
    ]);
  }, 90_000);

  it("that is false ends, with all of its anomalies, whose streams adapt", async () => {
    const downstream = await startDownstream("grpc");
    afterwards(downstream.close);
    const running = await run(emptyFolder(), downstream.endpoint);
    const { id: known } = await begin(running);
    const judged = await running.api(`/incidents/${known}`, {
      method: "PATCH",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ state: "false", note: "a drill" }),
    });
    expect(judged).toMatchObject({ state: "false", events: [{ author: "anonymous", note: "a drill" }] });
    const anomalies = async () =>
      ((await running.api("/anomalies")) as { items: { state: string; incident: string }[] }).items;
    const states = async () => new Set((await anomalies()).map(({ state }) => state));
    await expect.poll(states, { timeout: 20_000 }).toEqual(new Set(["ended"]));
    expect((await anomalies())[0]!.incident).toBe(known);
    expect(running.logged.join("\n")).toContain("the limits of the incident's streams were adapted");
    // The state that a person has chosen stays.
    expect(await running.api(`/incidents/${known}`)).toMatchObject({ state: "false" });
  });
});
