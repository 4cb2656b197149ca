/** `driftlock explain`, with anomalies that the engine itself found. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { Engine, type Judged } from "../../src/engine/index.ts";
import type { Anomaly } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { Channel, Severity, Signal } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { anomalyDetailJson, anomalyJson, liveAnomalyJson } from "../../src/json/anomaly.ts";
import { type AnomalyDetail, openStore } from "../../src/store/index.ts";
import { keyOf, start } from "../api/support.ts";
import { logsRequest, normalLine, random, strangeLine } from "../engine/requests.ts";
import { id, midnight, options, report } from "../store/fixtures.ts";
import { driftlock as run } from "./driftlock.ts";

let folder: string;
let found: Anomaly;
let detail: AnomalyDetail;

const driftlock = (...args: string[]) => run(args, { DRIFTLOCK_DATA_DIR: folder });

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const lines = (...values: unknown[]) => values.map((value) => `${JSON.stringify(value)}\n`).join("");

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "driftlock-explain-"));
  const config = configSchema.parse({ data_dir: folder, detect: { baseline: { records: 400 } } });
  const engine = new Engine(config.detect, { mode: "all" });
  const next = random(1);
  const messages = ({ reports }: Judged) => reports.map(({ message }) => message);
  const send = (lines: Parameters<typeof logsRequest>[0]) =>
    engine.process("logs", "default", logsRequest(lines));
  await send(Array.from({ length: 500 }, () => normalLine(next)));
  [found] = messages(await send([strangeLine()])) as [Anomaly];
  const other = { ...strangeLine(), body: "thread pool exhausted, rejecting work" };
  const again = messages(await send([other, strangeLine()]));
  await engine.close();
  const store = await openStore(config, options());
  await store.anomalies.record([found, ...again]);
  await store.anomalies.patch("default", found.id, {
    state: "acknowledged",
    author: "ann",
    note: "looks \u001b[2J bad",
  });
  detail = (await store.anomalies.get("default", found.id))!;
  await store.close();
}, 30_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("explain", () => {
  it("tells all that is kept of an anomaly, a sentence first", async () => {
    const { code, out, err } = await driftlock("explain", found.id);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/^logs service\.name=shop: \d+ of the record's \d+ bytes are new to this stream/);
    expect(out).toContain(`anomaly   ${found.id} (acknowledged)`);
    expect(out).toMatch(/\n {2}members +\d flagged verdicts as one anomaly\n/);
    expect(out).toMatch(
      /\n {2}channel +content: what a record contains that its stream did not contain before\n/,
    );
    expect(out).toMatch(/\n {2}field +body\n/);
    expect(out).toMatch(/\n {2}score +[\d.]+ against the stream's limit of [\d.]+, [\d.]+ times that\n/);
    expect(out).toMatch(/\n {2}bits +\d+, usually 0\n/);
    expect(out).toContain("⟦");
    expect(out).toMatch(/\nExpected\n {2}nearest record {2}\S.+\n/);
    expect(out).toMatch(/\n {2}compression ratio +[\d.]+, in the baseline [\d.]+\n/);
    expect(out).toMatch(/\n {2}entropy +[\d.]+, in the baseline [\d.]+ bits per byte\n/);
    expect(out).toMatch(/\n {2}NCD +[\d.]+, size-matched [\d.]+\n/);
    expect(out).toMatch(/\nWhat else this anomaly showed\n(.*\n)+.*thread pool/);
    expect(out).toMatch(/\nFeedback\n {2}acknowledged {2}20.* UTC, ann: looks \\x1b\[2J bad\n/);
    expect(out).not.toContain("\u001b");
  });

  it("says at which bytes what is new stands", async () => {
    const { out } = await driftlock("explain", found.id);
    const { text, novel } = detail.strongest!.message.record!;
    const bytes = Buffer.from(text);
    for (const { start, end } of novel.slice(0, 3)) {
      const part = JSON.stringify(bytes.subarray(start, end).toString()).slice(1, 20);
      expect(out).toMatch(new RegExp(`\n {2}${start}-${end} +"`));
      expect(out).toContain(`  "${part}`);
    }
  });

  it("says what the budgets withheld before", async () => {
    const withheld = { count: 2n, channel: Channel.FIELDS, score: 2.5, timeUnixNano: midnight };
    const path = file("withheld.json", JSON.stringify(liveAnomalyJson(report({ withheld }), 0)));
    const { out } = await driftlock("explain", path);
    expect(out.replace(/\n +/g, " ")).toContain(
      "withheld  2 alarms of this stream since the previous one; the strangest by fields at 2026-01-31 00:00:00 UTC, 2.5 times the score that one in a hundred exceeds",
    );
  });

  it("reads each form in which anomalies are given", async () => {
    const whole = anomalyDetailJson(detail);
    const item = anomalyJson(detail);
    const live = liveAnomalyJson(found, 0);
    const other = { ...item, id: id(7) };
    const forms: [string, string][] = [
      ["detail.json", JSON.stringify(whole, null, 2)],
      ["page.json", JSON.stringify({ items: [item, other], next: "x" })],
      ["export.ndjson", lines(item, other)],
      ["tail.ndjson", `${lines(live)}\n`],
      [
        "socket.ndjson",
        lines({ id: "1", event: "gap", data: { reason: "late" } }, { id: "2", event: "anomaly", data: live }),
      ],
      [
        "events.txt",
        `: hello\n\nid: 1\nevent: gap\ndata: {"reason":"late"}\n\nid: 2\nevent: anomaly\ndata: ${JSON.stringify(live)}\n\n`,
      ],
    ];
    for (const [name, text] of forms) {
      const { code, out, err } = await driftlock("explain", file(name, text));
      expect({ code, err }, name).toEqual({ code: 0, err: "" });
      expect(out, name).toMatch(/^logs service\.name=shop: \d+ of the record's/);
      expect(out.includes(id(7)), name).toBe(text.includes(id(7)));
    }
    const stored = await driftlock("explain", found.id);
    expect((await driftlock("explain", join(folder, "detail.json"))).out).toBe(stored.out);
  });

  it("shows of a replay's lines those that were flagged", async () => {
    const line = {
      i: 4,
      kind: "record",
      stream: "logs service.name=shop",
      score: 0,
      p: 1,
      flagged: false,
      channel: null,
    };
    const path = file(
      "replay.ndjson",
      lines(
        line,
        { ...line, i: 5, score: 7.125, p: 2e-7, flagged: true, channel: "content" },
        {
          ...line,
          kind: "window",
          i: 6,
          score: 7.125,
          p: 2e-7,
          flagged: true,
          channel: "content",
          compression_ratio: 0.2,
          delta_bits: -0.5,
          entropy: 4.5,
          ncd: 0.75,
        },
        {
          ...line,
          kind: "anomaly",
          i: 9,
          id: id(9),
          flagged: true,
          channel: "volume",
          start: "2026-01-31T00:00:00.000000000Z",
          end: "2026-01-31T00:04:00.000000000Z",
          explanation: "No records for 4 min; usually one every 2 s",
        },
      ),
    );
    const { code, out } = await driftlock("explain", path);
    expect(code).toBe(0);
    expect(out).toMatch(
      /^logs service\.name=shop: Record 5 is strange by its content, with a score of 7\.13\.\n/,
    );
    expect(out).toContain("The window that ends with record 6");
    expect(out).toMatch(/\n {2}NCD +0\.75\n/);
    expect(out).not.toContain("Record 4");
    expect(out).toContain("logs service.name=shop: No records for 4 min; usually one every 2 s.\n");
    expect(out).toMatch(/\n {2}when +2026-01-31 00:00:00 UTC to 2026-01-31 00:04:00 UTC\n/);
    expect(out).toContain(id(9));
  });

  it("names ranges and rates by their unit", async () => {
    const explain = async (init: Parameters<typeof report>[0]) => {
      const path = file("one.json", JSON.stringify(liveAnomalyJson(report(init), 0)));
      return (await driftlock("explain", path)).out;
    };
    const range = { low: 6_190_000, high: 18_500_000 };
    expect(await explain({ channel: Channel.VALUE, signal: Signal.TRACES, expected: range })).toMatch(
      /usual range +6\.19 to 18\.5 ms\n/,
    );
    expect(
      await explain({ channel: Channel.VALUE, signal: Signal.METRICS, expected: { low: 1, high: 9 } }),
    ).toMatch(/usual range +1 to 9\n/);
    expect(await explain({ channel: Channel.VOLUME, expected: { low: 2.5, high: 9 } })).toMatch(
      /usual rate +2\.5 to 9 records per tick\n/,
    );
    const sequence = await explain({
      channel: Channel.SEQUENCE,
      severity: Severity.HIGH,
      baselineBits: 2,
      expected: { next: ["order <n> shipped", "order <n> cancelled"] },
      startTimeUnixNano: midnight,
      endTimeUnixNano: midnight + 3_723_000_000_000n,
    });
    expect(sequence).toMatch(/\n {2}usual next {2}order <n> shipped\n {2}or {10}order <n> cancelled\n/);
    expect(sequence).toMatch(/\n {2}bits +240, usually 2\n/);
    expect(sequence).toContain("2026-01-31 00:00:00 UTC to 2026-01-31 01:02:03 UTC, 1 h 2 min\n");
    expect(sequence).toMatch(/\n {2}severity +high\n/);
  });

  it("asks a running Driftlock where it is told so", async () => {
    const running = await start({ auth: { enabled: true } });
    await running.store.anomalies.record([report()]);
    const { authorization } = await keyOf(running, "acme", "read");
    const key = authorization.slice("Bearer ".length);
    const { code, out } = await driftlock("explain", id(1), `--url=${running.url("")}`, "--key", key);
    expect(code).toBe(0);
    expect(out).toMatch(/^logs service\.name=checkout: The record says what the baseline does not\.\n/);
    expect((await driftlock("explain", id(1), `--url=${running.url("")}`)).err).toContain(
      "responded with 401",
    );
    await running.api.close();
    await running.store.close();
  });

  it("leaves out excerpts that are damaged, and says so", async () => {
    const whole = anomalyDetailJson(detail);
    const path = file(
      "damaged.json",
      JSON.stringify({ ...whole, excerpts: { baseline: "AAAA", window: "AAAA" } }),
    );
    const { code, out, err } = await driftlock("explain", path);
    expect(code).toBe(0);
    expect(err).toContain(`${found.id}: its excerpts cannot be shown: `);
    expect(out).toMatch(/\n {2}compression ratio +[\d.]+\n/);
  });

  it("says what is wrong with what it is given", async () => {
    mkdirSync(join(folder, "folder"));
    const wrong: [string[], number, RegExp][] = [
      [[], 2, /ID, FILE or - is missing/],
      [["a", "b"], 2, /unexpected argument "b"/],
      [[found.id, "--tennant=x"], 2, /did you mean --tenant\?/],
      [[found.id, "--url=nowhere"], 2, /--url must be a URL/],
      [["nosuch"], 1, /nosuch: is neither an existing file nor the ID of an anomaly/],
      [[id(99)], 1, /there is no anomaly or incident 0+63 of tenant default in the store/],
      [[found.id, "--tenant=acme"], 1, /of tenant acme in the store/],
      [[found.id, `--data_dir=${join(folder, "none")}`], 1, /driftlock\.db: there is no store; set --config/],
      [[join(folder, "folder")], 1, /folder: is a folder, not a file/],
      [[file("empty.json", "")], 1, /empty\.json: contains no anomaly/],
      [[file("text", "hello\n")], 1, /text: line 1 is not JSON \(.*\), and neither is the whole/],
      [[file("cut.ndjson", '{"event":"gap","data":{}}\n{"id"')], 1, /cut\.ndjson: line 2 is not JSON/],
      [[file("number.json", "[17]")], 1, /number\.json: item 0 is not an anomaly but a number/],
      [
        [file("other.json", '{"id":"x"}')],
        1,
        /other\.json is not an anomaly as the API returns it: stream: /,
      ],
      [
        [file("verdict.json", '{"kind":"record","i":"x"}')],
        1,
        /verdict\.json is not a line of a replay: i: /,
      ],
      [
        [
          file(
            "peace.json",
            lines({ i: 1, kind: "record", stream: "s", score: 0, p: 1, flagged: false, channel: null }),
          ),
        ],
        1,
        /peace\.json: contains no anomaly/,
      ],
    ];
    for (const [args, code, message] of wrong) {
      const answer = await driftlock("explain", ...args);
      expect(answer, args.join(" ")).toMatchObject({ code, out: "", err: expect.stringMatching(message) });
    }
  });
});
