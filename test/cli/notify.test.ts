/** Notifications as users meet them: the configuration, `driftlock notify test`, and a running sidecar. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import pino from "pino";
import { Webhook } from "standardwebhooks";
import { afterEach, beforeEach, expect, it } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { startSidecar } from "../../src/sidecar/index.ts";
import { startDownstream } from "../forward/downstream.ts";
import { freePort } from "../free-port.ts";
import { startReceiver } from "../notify/receiver.ts";
import { driftlock } from "./driftlock.ts";
import { logs, normalLines, sendGrpc, strangeLine } from "./sender.ts";

const open: (() => unknown)[] = [];
let data_dir: string;
const secret = `whsec_${Buffer.alloc(24, 1).toString("base64")}`;
beforeEach(() => {
  data_dir = mkdtempSync(join(tmpdir(), "driftlock-notify-"));
  open.push(() => rmSync(data_dir, { recursive: true, force: true }));
  process.env.TEST_HOOK_SECRET = secret;
});
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function receiver(status = 204) {
  const made = await startReceiver(() => ({ status }));
  open.push(() => made.close());
  return made;
}

function file(yaml: string): string {
  const path = join(data_dir, "driftlock.yaml");
  writeFileSync(path, yaml);
  return path;
}

const hook = (url: string, name = "hook") =>
  `{ name: ${name}, url: "${url}", secret: { env: TEST_HOOK_SECRET } }`;

it("`notify test` sends a test incident and its end to each channel", async () => {
  const { url, arrived } = await receiver();
  const gone = `http://127.0.0.1:${await freePort()}/`;
  const path = file(`notify: { webhook: [${hook(url)}, ${hook(gone, "gone")}] }\n`);
  const all = await driftlock(["notify", "test", "--config", path]);
  expect(all.code).toBe(1);
  expect(all.out).toBe(
    `hook (webhook): accepted\ngone (webhook): failed: ${gone} does not answer: ECONNREFUSED\n`,
  );
  const one = await driftlock(["notify", "test", "--config", path, "--channel", "hook"]);
  expect(one).toEqual({ code: 0, out: "hook (webhook): accepted\n", err: "" });
  expect(arrived.map(({ json }) => json.type)).toEqual([
    "incident.opened",
    "incident.resolved",
    "incident.opened",
    "incident.resolved",
  ]);
  new Webhook(secret).verify(arrived[0]!.text, arrived[0]!.headers as Record<string, string>);
  const unknown = await driftlock(["notify", "test", "--config", path, "--channel", "hok"]);
  expect(unknown).toMatchObject({ code: 2, err: expect.stringContaining("must be one of hook, gone") });
  const none = await driftlock(["notify", "test", "--config", file("notify: {}\n")]);
  expect(none).toMatchObject({ code: 1, err: expect.stringContaining("set notify.webhook") });
});

it("`notify test` says which windows are open", async () => {
  const { url } = await receiver();
  const window = "{ name: always, start: 2026-01-01T00:00, end: 2026-01-02T00:00, rrule: FREQ=DAILY }";
  const path = file(`notify: { webhook: [${hook(url)}], windows: [${window}] }\n`);
  const { err } = await driftlock(["notify", "test", "--config", path]);
  expect(err).toMatch(
    /^The window always is open until 20.*T00:00:00\.000Z; what it matches is held back\.\n$/,
  );
});

it("`validate` finds what would keep notifications from being sent, and prints no secret", async () => {
  const path = file(`notify:
  webhook:
    - { name: a, url: "https://u:pw@ops.example.com/", secret: { env: TEST_NOT_SET } }
    - { name: a, url: "https://ops.example.com/", secret: whsec_s3cret }
    - { name: b c, url: "https://ops.example.com/", secret: { env: X, file: Y } }
  email:
    - { name: m, host: smtp.example.com, from: driftlock, to: [] }
`);
  const { err } = await driftlock(["validate", "--config", path]);
  const lines = err.replaceAll(`${data_dir}/`, "").trim().split("\n");
  expect(lines).toEqual([
    expect.stringMatching(/^notify\.webhook\.0\.url: must not contain credentials/),
    expect.stringMatching(/^notify\.webhook\.1\.secret: must be a section \(/),
    expect.stringMatching(/^notify\.webhook\.2\.name: must be 1 to 64 letters/),
    expect.stringMatching(/^notify\.webhook\.2\.secret: must have either file or env/),
    expect.stringMatching(/^notify\.email\.0\.from: /),
    expect.stringMatching(/^notify\.email\.0\.to: must have at least 1 element/),
  ]);
  expect(err).not.toMatch(/s3cret|:pw/);

  const second = file(`notify:
  webhook:
    - { name: a, url: "https://ops.example.com/", secret: { env: TEST_NOT_SET } }
  windows:
    - { name: a, start: 2026-01-01T00:00, end: 2026-01-02T00:00, time_zone: Mars }
`);
  const { err: later } = await driftlock(["validate", "--config", second]);
  expect(later.trim().split("\n").sort()).toEqual([
    expect.stringMatching(/^notify.webhook: secret of a: the environment variable TEST_NOT_SET is not set/),
    expect.stringMatching(/^notify.windows.0.time_zone: Mars is not known/),
    expect.stringMatching(/^notify: the name a is used twice/),
  ]);
  const { url } = await receiver();
  const valid = file(`notify: { webhook: [${hook(url)}] }\n`);
  const { out } = await driftlock(["validate", "--config", valid, "--print"]);
  expect(out).toContain("TEST_HOOK_SECRET");
  expect(out).not.toContain(secret);
});

it("a running sidecar notifies of an incident and of its end, unless all of it is silenced", async () => {
  const { url, arrived } = await receiver();
  const target = await startDownstream("grpc");
  open.push(target.close);
  const any = { endpoint: "127.0.0.1:0" };
  const config = configSchema.parse({
    receive: { grpc: any, http: any },
    detect: { baseline: { records: 200 }, budget: { per_stream_per_day: 1_000, per_group_per_day: 1_000 } },
    incidents: { budget: { per_tenant_per_day: 10_000 } },
    forward: { endpoint: target.endpoint, compression: "none" },
    notify: {
      public_url: "https://driftlock.example/",
      webhook: [{ name: "hook", url, secret: { env: "TEST_HOOK_SECRET" } }],
    },
    api: any,
    silences: [
      {
        match: { service: "quiet" },
        ends_at: new Date(Date.now() + 3_600_000).toISOString(),
        reason: "r",
        author: "ann",
      },
    ],
    data_dir,
  });
  const sidecar = await startSidecar(config, { log: pino({ level: "silent" }) });
  open.push(() => sidecar.close());
  const send = (lines: string[], from: number, service: string) =>
    sendGrpc(sidecar.addresses.grpc!, logs(lines, from, service));
  const strange = Array.from({ length: 30 }, (_, i) => `${strangeLine} ${"abcdefghij".repeat(i % 7)}`);
  for (const service of ["quiet", "checkout"]) {
    for (let i = 0; i < 4; i++) await send(normalLines(100, 100 * i), 100 * i, service);
    await send(strange, 400, service);
  }
  await expect.poll(() => arrived.length, { timeout: 10_000 }).toBe(1);
  const { data } = arrived[0]!.json;
  expect(data).toMatchObject({ state: "open", services: ["checkout"], tenant: "default" });
  expect(data.link).toBe(`https://driftlock.example/v1/incidents/${data.incident}`);
  const api = async (path: string) =>
    (await (await fetch(`http://${sidecar.addresses.api}/v1${path}`)).json()) as Record<string, unknown>;
  const { items } = (await api("/incidents")) as {
    items: { services: string[]; silenced_by: string | null }[];
  };
  expect(items.map(({ services, silenced_by }) => [services, silenced_by !== null])).toEqual([
    [["checkout"], false],
    [["quiet"], true],
  ]);
  await fetch(`http://${sidecar.addresses.api}/v1/incidents/${data.incident}`, {
    method: "PATCH",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ state: "resolved" }),
  });
  await expect.poll(() => arrived.length, { timeout: 10_000 }).toBe(2);
  expect(arrived[1]!.json).toMatchObject({
    type: "incident.resolved",
    data: { incident: data.incident, sentence: data.sentence },
  });
  expect(await api(`/incidents/${data.incident}`)).toMatchObject({ state: "resolved" });
  const metrics = await (await fetch(`http://${sidecar.addresses.api}/metrics`)).text();
  expect(metrics).toContain('driftlock_notifications_total{type="webhook",result="sent"} 2');
});
