/** What each channel sends, as its receiver sees it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fromBinary } from "@bufbuild/protobuf";
import { SMTPServer } from "smtp-server";
import { afterAll, afterEach, expect, it } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { Engine } from "../../src/engine/index.ts";
import { startForwarder } from "../../src/forward/index.ts";
import { ExportLogsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { retryAfterOf } from "../../src/notify/http.ts";
import { createChannels, keyOf, type Message, type Notice, type OtlpParts } from "../../src/notify/index.ts";
import { forwardHooks } from "../../src/telemetry/hooks.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { startDownstream } from "../forward/downstream.ts";
import { versions as storeVersions } from "../store/fixtures.ts";
import { startReceiver } from "./receiver.ts";
import { notice } from "./support.ts";

const folder = mkdtempSync(join(tmpdir(), "driftlock-channels-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

const versions = { ...storeVersions, codecs: { openzl: "0.3.0", zstd: "1.5.7", lz4: "1.10.0" } };
const key = keyOf(notice());
const abort = new AbortController().signal;
const opened = (init: Partial<Notice> = {}): Message => ({
  kind: "opened",
  id: "msg_1",
  key,
  notice: notice(init),
});
const resolved: Message = {
  kind: "resolved",
  id: "msg_2",
  key,
  notice: notice({ state: "resolved", endsAt: Date.parse("2026-01-31T12:30:00Z") }),
};
const summary: Message = {
  kind: "summary",
  id: "msg_3",
  notices: Array.from({ length: 12 }, (_, i) => notice({ incident: `i${i}`, title: `incident ${i}` })),
};

const channelOf = (notify: object, downstream?: OtlpParts) =>
  createChannels(configSchema.parse({ notify }).notify, downstream as OtlpParts)[0]!;

function fileWith(text: string): { file: string } {
  const file = join(folder, `secret-${Math.random()}`);
  writeFileSync(file, text);
  return { file };
}

async function receiver() {
  const made = await startReceiver();
  cleanups.push(() => made.close());
  return made;
}

it("Slack receives blocks in which texts of records are only texts", async () => {
  const { url, arrived } = await receiver();
  const slack = channelOf({ slack: [{ name: "s", url: fileWith(url) }] });
  await slack.send(opened({ sentence: "new: <!channel> & <http://evil.example|click>" }), abort);
  await slack.send(resolved, abort);
  await slack.send(summary, abort);
  const [first, second, third] = arrived.map(({ json }) => json);
  expect(first.text).toBe("[high] checkout is slow");
  expect(first.blocks[0]).toEqual({
    type: "header",
    text: { type: "plain_text", text: "[high] checkout is slow" },
  });
  expect(first.blocks[1].text.text).toBe("new: &lt;!channel&gt; &amp; &lt;http://evil.example|click&gt;.");
  expect(JSON.stringify(first.blocks[2])).toContain("payments: its own time explains 94 % of the delay");
  expect(JSON.stringify(first.blocks[3])).toContain("<http://127.0.0.1:8080/v1/anomalies/a1|");
  expect(second.text).toBe("Resolved: [high] checkout is slow");
  expect(third.text).toBe("12 more incidents within an hour");
  expect(third.blocks[1].text.text).toContain("- and 2 more");
});

it("Microsoft Teams receives an Adaptive Card", async () => {
  const { url, arrived } = await receiver();
  const teams = channelOf({ teams: [{ name: "t", url: fileWith(url) }] });
  await teams.send(opened({ sentence: "a [link](http://evil.example)" }), abort);
  await teams.send(resolved, abort);
  const [first, second] = arrived.map(({ json }) => json.attachments[0]);
  expect(first.contentType).toBe("application/vnd.microsoft.card.adaptive");
  expect(first.content).toMatchObject({ type: "AdaptiveCard", version: "1.4" });
  expect(first.content.body[1].text).toBe("a \\[link\\](http://evil.example).");
  expect(first.content.body[2].facts).toContainEqual({ title: "Services", value: "checkout, payments" });
  expect(first.content.actions[0].url).toBe("http://127.0.0.1:8080/v1/anomalies/a1");
  expect(second.content.body[0]).toMatchObject({ color: "Good" });
});

it("PagerDuty receives events that it joins by their key", async () => {
  const { url, arrived } = await receiver();
  process.env.TEST_PAGERDUTY_KEY = "R0UTING";
  const pager = channelOf({ pagerduty: [{ name: "p", url, routing_key: { env: "TEST_PAGERDUTY_KEY" } }] });
  await pager.send(opened(), abort);
  await pager.send({ ...opened({ severity: "critical" }), kind: "updated" } as Message, abort);
  await pager.send(resolved, abort);
  const [first, second, third] = arrived.map(({ json }) => json);
  expect(first).toMatchObject({
    routing_key: "R0UTING",
    event_action: "trigger",
    dedup_key: key,
    payload: { summary: "[high] checkout is slow", source: "checkout", severity: "error" },
  });
  expect(second).toMatchObject({
    event_action: "trigger",
    dedup_key: key,
    payload: { severity: "critical" },
  });
  expect(third).toMatchObject({ routing_key: "R0UTING", event_action: "resolve", dedup_key: key });
});

it("e-mails of an incident are one thread", async () => {
  const mails: { from: string; to: string[]; text: string }[] = [];
  const users: string[] = [];
  const server = new SMTPServer({
    allowInsecureAuth: true,
    disabledCommands: ["STARTTLS"],
    onAuth({ username, password }, _session, done) {
      users.push(`${username} ${password}`);
      if (password === "right") done(null, { user: username });
      else done(new Error("wrong password"));
    },
    async onData(stream, { envelope }, done) {
      const text = Buffer.concat(await stream.toArray()).toString("utf8");
      if (text.includes("Subject: [low]")) return done(Object.assign(new Error("no"), { responseCode: 554 }));
      const to = envelope.rcptTo.map(({ address }) => address);
      mails.push({ from: envelope.mailFrom ? envelope.mailFrom.address : "", to, text });
      done();
    },
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  cleanups.push(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const { port } = server.server.address() as { port: number };
  const settings = {
    name: "mail",
    host: "127.0.0.1",
    port,
    tls: "none",
    user: "driftlock",
    from: "driftlock@example.com",
    to: ["ann@example.com", "bob@example.com"],
  };
  const mail = channelOf({ email: [{ ...settings, password: fileWith("right\n") }] });
  await mail.send(opened({ title: "checkout\r\nBcc: eve@example.com" }), abort);
  await mail.send(resolved, abort);
  expect(users).toEqual(["driftlock right", "driftlock right"]);
  const [first, second] = mails;
  expect(first).toMatchObject({ from: "driftlock@example.com", to: settings.to });
  expect(first!.text).toContain("Subject: [high] checkout Bcc: eve@example.com\r\n");
  expect(first!.text).not.toMatch(/^Bcc:/m);
  expect(first!.text).toContain(`Message-ID: <${key}@driftlock>`);
  expect(first!.text).toContain("Auto-Submitted: auto-generated");
  expect(first!.text).toContain("Likely cause: payments: its own time");
  expect(second!.text).toContain(`In-Reply-To: <${key}@driftlock>`);
  expect(second!.text).toContain("Message-ID: <msg_2@driftlock>");

  const wrong = channelOf({ email: [{ ...settings, password: fileWith("wrong") }] });
  const fault = (error: unknown) => error as { message: string; permanent: boolean };
  const refused = fault(await wrong.send(opened(), abort).catch((error) => error));
  expect(refused.permanent).toBe(false);
  expect(refused.message).toMatch(/^127\.0\.0\.1:\d+: /);
  expect(refused.message).not.toContain("wrong password right");
  const permanent = fault(await mail.send(opened({ severity: "low" }), abort).catch((error) => error));
  expect(permanent.permanent).toBe(true);
});

it("the downstream receives log records, which are not judged when they come back", async () => {
  let code = 0;
  const target = await startDownstream("grpc", () => ({ status: code, retryAfterMs: 90_000 }));
  cleanups.push(target.close);
  const { forward, detect } = configSchema.parse({
    forward: { endpoint: target.endpoint, compression: "none", retry: { enabled: false } },
  });
  const log = createLogger({ service_name: "test", environment: "test", log_level: "silent" });
  const forwarder = await startForwarder(forward, forwardHooks(createMetrics(versions), log), "unused");
  cleanups.push(() => forwarder.close(0));
  const channel = channelOf({ otlp: true }, { forwarder, version: "1.2.3" });
  await channel.send(opened(), abort);
  await channel.send(resolved, abort);
  const bodies = target.received.map(({ body }) => body);
  const [first, second] = bodies.map((body) => {
    const { resource, scopeLogs } = fromBinary(ExportLogsServiceRequestSchema, body).resourceLogs[0]!;
    const [record] = scopeLogs[0]!.logRecords;
    const attributes = Object.fromEntries(
      record!.attributes.map(({ key, value }) => [key, value!.value.value]),
    );
    return { record: record!, attributes, service: resource!.attributes[0]!.value!.value.value };
  });
  expect(first).toMatchObject({
    service: "payments",
    record: { eventName: "driftlock.incident", severityText: "ERROR" },
    attributes: {
      "event.name": "driftlock.incident",
      "driftlock.incident.id": "a1",
      "driftlock.incident.state": "open",
      "driftlock.incident.link": "http://127.0.0.1:8080/v1/anomalies/a1",
    },
  });
  expect(second!.attributes["driftlock.incident.state"]).toBe("resolved");
  expect(second!.record.timeUnixNano).toBe(BigInt(Date.parse("2026-01-31T12:30:00Z")) * 1_000_000n);

  const engine = new Engine(detect, { mode: "all", key: new Uint8Array(32) });
  cleanups.push(() => engine.close());
  for (const body of bodies) {
    expect(await engine.process("logs", "acme", body)).toMatchObject({ records: 1, returned: 1 });
  }
  expect(engine.stats().streams).toBe(0);

  code = 14;
  await expect(channel.send(opened(), abort)).rejects.toMatchObject({
    retryAfterMs: 90_000,
    permanent: false,
  });
  code = 3;
  await expect(channel.send(opened(), abort)).rejects.toMatchObject({ permanent: true });
});

it("errors name the receiver and never a secret", async () => {
  const broken = fileWith("not a URL with s3cret");
  for (const notify of [
    { slack: [{ name: "s", url: broken }] },
    { slack: [{ name: "s", url: fileWith("http://127.0.0.1:1/s3cret") }] },
    { webhook: [{ name: "w", url: "http://127.0.0.1:1/", secret: fileWith("whsec_s3cret") }] },
  ]) {
    const error = await channelOf(notify)
      .send(opened(), abort)
      .catch((reason: Error) => reason);
    expect((error as Error).message).not.toContain("s3cret");
    expect((error as Error).message).toMatch(/Slack does not answer|whsec_ and the Base64/);
  }
});

it.each([
  ["120", 120_000],
  ["Sat, 31 Jan 2026 12:00:30 GMT", 30_000],
  ["Sat, 31 Jan 2026 11:00:00 GMT", 0],
  ["999999", 3_600_000],
  ["soon", undefined],
  [null, undefined],
])("Retry-After %s is read", (header, ms) => {
  expect(retryAfterOf(header, Date.parse("2026-01-31T12:00:00Z"))).toBe(ms);
});
