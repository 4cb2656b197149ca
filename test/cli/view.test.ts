import { PassThrough } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { columnsOf, toCells, truncate } from "../../src/cli/terminal/cells.ts";
import { excerpt } from "../../src/cli/terminal/excerpt.ts";
import { createView, type View } from "../../src/cli/terminal/view.ts";
import {
  type Anomaly,
  AnomalySchema,
  Channel,
  Severity,
  Signal,
  State,
} from "../../src/gen/driftlock/v1/anomaly_pb.js";

import { IncidentSchema, IncidentState } from "../../src/gen/driftlock/v1/incidents_pb.js";

type Init = Exclude<MessageInitShape<typeof AnomalySchema>, { $typeName: string }>;

const clearLine = "\r\u001b[2K";

interface Screen {
  view: View;
  /** Returns what was written since the last call. */
  text(): string;
}

function screen(terminal?: { columns: number; colours: number }): Screen {
  const out = new PassThrough() as unknown as PassThrough & NodeJS.WriteStream;
  if (terminal) {
    Object.assign(out, { isTTY: true, columns: terminal.columns, getColorDepth: () => terminal.colours });
  }
  out.setEncoding("utf8");
  return { view: createView(out, 0), text: () => (out.read() as string | null) ?? "" };
}

function ranges(text: string, ...parts: string[]): { start: number; end: number }[] {
  const bytes = Buffer.from(text);
  return parts.map((part) => {
    const start = bytes.indexOf(part);
    return { start, end: start + Buffer.byteLength(part) };
  });
}

function anomaly(text: string, novel: string[], some: Init = {}): Anomaly {
  return create(AnomalySchema, {
    stream: "logs service.name=payments",
    channel: Channel.CONTENT,
    severity: Severity.HIGH,
    timeUnixNano: 1_767_225_600_000_000_000n + 3_723_000_000_000n,
    score: 7.9631,
    limit: 2.15,
    pValue: 3.61e-17,
    surpriseBits: 496,
    baselineBits: 12,
    occurrence: 1n,
    news: true,
    record: { text, novel: ranges(text, ...novel) },
    window: {
      records: 256,
      codec: "zstd",
      compressionRatio: 0.2199,
      deltaBits: -0.1071,
      entropy: 5.1634,
      ncd: 0.849,
      ncdSizeMatched: 0.912,
      pValue: 0.0312,
      permutations: 32,
    },
    explanation: "much is new",
    ...some,
  });
}

describe("an anomaly", () => {
  it("is shown with its record, its novel bytes and its figures", () => {
    const { view, text } = screen();
    view.anomaly(anomaly("charge 17 failed: ledger has no counterpart", ["failed: ledger", "counterpart"]));
    expect(text()).toBe(
      [
        "01:02:03Z  logs service.name=payments  content  high",
        "  charge 17 ⟦failed: ledger⟧ has no ⟦counterpart⟧",
        "  score 7.96 over limit 2.15   p 3.6e-17   496 bits, usually 12",
        "  window of 256, zstd   CR 0.220   NCD 0.849 (size-matched 0.912)   delta -0.107 bits/B   entropy 5.16 bits/B",
        "  permutation p 0.031",
        "",
        "",
      ].join("\n"),
    );
  });

  it("has its count, its field, and what was expected", () => {
    const { view, text } = screen();
    view.anomaly(
      anomaly("0.97", [], {
        channel: Channel.VALUE,
        field: "http.status",
        occurrence: 16n,
        severity: Severity.UNSPECIFIED,
        explanation: "the value is far above its range",
        expected: { low: 0.1, high: 0.4512345, next: ["a", "b"], nearest: "0.4" },
      }),
    );
    const lines = text().split("\n");
    expect(lines[0]).toBe("01:02:03Z  logs service.name=payments  value in http.status  ×16");
    expect(lines[2]).toBe("  the value is far above its range");
    expect(lines[3]).toBe("  usual next: a, b   nearest known: 0.4");
  });

  it("is one line when it repeats what was shown", () => {
    const { view, text } = screen();
    view.anomaly(anomaly("again", ["again"], { news: false, occurrence: 64n }));
    expect(text()).toBe("01:02:03Z  logs service.name=payments  content  high  ×64\n");
  });

  it("has its score once, and no figures that say nothing", () => {
    const { view, text } = screen();
    const explanation = "The mean is 3; usually 1–2; score 7.9 against a limit of 2, p = 0.001";
    const value = { channel: Channel.VALUE, signal: Signal.METRICS, baselineBits: 0, explanation };
    view.anomaly(anomaly("3", [], value));
    expect(text().split("\n").slice(1, 5)).toEqual(["  3", `  ${explanation}`, "  496 bits", ""]);
    view.anomaly(anomaly("x", [], { window: { records: 9, codec: "zstd", ncd: 0, ncdSizeMatched: 0 } }));
    expect(text()).not.toContain("NCD");
  });

  it("says what was withheld before it, also without its sentence", () => {
    const { view, text } = screen();
    const withheld = { count: 2n, channel: Channel.FIELDS, score: 2.5, timeUnixNano: 0n };
    view.anomaly(anomaly("a new record", ["new"], { explanation: "not shown", withheld }));
    expect(text()).toContain("\n  withheld before: 2 alarms, the strangest by fields\n");
  });

  it("needs neither record nor window, and may be over", () => {
    const { view, text } = screen();
    const silent = anomaly("", [], { channel: Channel.VOLUME, explanation: "nothing came for 60 s" });
    delete silent.record;
    delete silent.window;
    view.anomaly(silent);
    expect(text().split("\n").slice(0, 2)).toEqual([
      "01:02:03Z  logs service.name=payments  volume  high",
      "  nothing came for 60 s",
    ]);
    view.anomaly(anomaly("x", [], { state: State.ENDED, occurrence: 9n }));
    expect(text()).toBe("over: logs service.name=payments, ×9\n");
  });

  it("marks novel bytes by colour where there are colours, and by brackets where there are none", () => {
    const colours = screen({ columns: 100, colours: 8 });
    colours.view.anomaly(anomaly("known new", ["new"]));
    const coloured = colours.text();
    expect(coloured).toContain("known \u001b[1m\u001b[31mnew\u001b[39m\u001b[22m\n");
    expect(coloured).not.toContain("⟦");
    const plain = screen({ columns: 100, colours: 1 });
    plain.view.anomaly(anomaly("known new", ["new"]));
    const text = plain.text();
    expect(text.startsWith(clearLine)).toBe(true);
    expect(text.slice(clearLine.length)).not.toContain("\u001b");
    expect(text).toContain("known ⟦new⟧\n");
  });

  it("cannot steer the terminal, whatever it holds", () => {
    const { view, text } = screen();
    const evil = "\u001b[2J\u001b]0;owned\u0007\r\n\t\u009b31m\u202egnp.exe\u2028\u200b\u0000\u{e0001}";
    view.anomaly(
      anomaly(evil, [], { stream: `s${evil}`, explanation: evil, field: evil, expected: { nearest: evil } }),
    );
    const shown = text();
    expect(shown).not.toMatch(/[[\p{Cc}\p{Cf}\u2028\u2029]--\n]/v);
    expect(shown).toContain(
      "\\x1b[2J\\x1b]0;owned\\x07\\r\\n\\t\\x9b31m\\u{202e}gnp.exe\\u{2028}\\u{200b}\\x00\\u{e0001}",
    );
  });

  it("fits the terminal's width, for any text", () => {
    const unit = fc.oneof(
      fc.string({ unit: "grapheme-composite" }),
      fc.string({ unit: "binary" }),
      fc.constant("漢字 wide "),
    );
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 30 }), fc.integer({ min: 40, max: 160 }), (parts, columns) => {
        const { view, text } = screen({ columns, colours: 8 });
        const whole = parts.join("").toWellFormed();
        const novel = [{ start: 3, end: Math.min(40, Buffer.byteLength(whole)) }].filter(
          ({ start, end }) => end > start,
        );
        view.anomaly(
          anomaly(whole, [], { stream: whole, explanation: whole, record: { text: whole, novel } }),
        );
        const lines = stripVTControlCharacters(text().slice(clearLine.length)).split("\n");
        for (const line of lines) expect(columnsOf(line)).toBeLessThanOrEqual(columns);
        expect(lines.length).toBeLessThan(24);
      }),
    );
  });
});

describe("an excerpt", () => {
  const shownOf = (text: string, novel: string[], columns: number) =>
    excerpt(toCells(text, ranges(text, ...novel)), columns)
      .map((cell) => cell.text)
      .join("");

  it("is the whole text where there is room", () => {
    expect(shownOf("some text", ["text"], 9)).toBe("some text");
    expect(shownOf("", [], 10)).toBe("");
  });

  it("keeps the beginning and what is novel in sight, with something around it", () => {
    const text = `start ${"a".repeat(300)} NEEDLE ${"b".repeat(300)} PIN ${"c".repeat(300)}`;
    const shown = shownOf(text, ["NEEDLE", "PIN"], 60);
    expect(shown).toMatch(/^start a+…a+ NEEDLE b+…b+ PIN c+…$/);
    expect(columnsOf(shown)).toBeLessThanOrEqual(60);
    expect(columnsOf(shown)).toBeGreaterThan(54);
  });

  it("shows of long novel parts the same length each", () => {
    const text = `start ${"x".repeat(300)} ${"-".repeat(50)} ${"y".repeat(300)}`;
    const shown = shownOf(text, ["x".repeat(300), "y".repeat(300)], 60);
    const x = shown.match(/x/g)!.length;
    const y = shown.match(/y/g)!.length;
    expect(Math.abs(x - y)).toBeLessThanOrEqual(2);
    expect(x + y).toBeGreaterThan(30);
  });

  it("has no more columns than it may, and the novel parts when they fit", () => {
    fc.assert(
      fc.property(
        fc.string({ maxLength: 400 }),
        fc.nat(399),
        fc.nat(20),
        fc.integer({ min: 60, max: 200 }),
        (text, at, length, columns) => {
          const novel = [{ start: at, end: at + length }].filter(
            ({ start, end }) => end > start && start < text.length,
          );
          const cells = toCells(text, novel);
          const shown = excerpt(cells, columns);
          expect(shown.reduce((sum, { width }) => sum + width, 0)).toBeLessThanOrEqual(columns);
          const marked = (list: typeof cells) => list.filter((cell) => cell.novel).length;
          expect(marked(shown)).toBe(marked(cells));
        },
      ),
    );
  });
});

describe("cells", () => {
  it("count columns, and mark whole characters by bytes", () => {
    const cells = toCells("aü漢e\u0301z", [{ start: 1, end: 6 }]);
    expect(cells).toEqual([
      { text: "a", width: 1, novel: false },
      { text: "ü", width: 1, novel: true },
      { text: "漢", width: 2, novel: true },
      { text: "e\u0301", width: 1, novel: false },
      { text: "z", width: 1, novel: false },
    ]);
  });

  it("bound what marks pile up on a character", () => {
    const cells = toCells(`a${"\u0301".repeat(10)}`);
    expect(cells[0]!.text).toBe("a\u0301\u0301\u0301");
    expect(cells.slice(1).every(({ text }) => text === "\u25cc\u0301")).toBe(true);
    expect(toCells("\u0301")[0]!.text).toBe("\u25cc\u0301");
  });

  it("are truncate with an ellipsis", () => {
    expect(truncate("abcdef", 6)).toBe("abcdef");
    expect(truncate("abcdefg", 6)).toBe("abcde…");
    expect(truncate("漢漢漢漢", 6)).toBe("漢漢…");
  });
});

describe("the status line", () => {
  const stats = { recordsPerSecond: 1234.6, streams: 32, learning: 3, flagged: 7, forwarded: 152_867 };
  const line = " 1,235 records/s   32 streams, 3 learning   flagged 7   forwarded 152,867 ";

  it("is renewed in place, beneath what comes", () => {
    const { view, text } = screen({ columns: 100, colours: 1 });
    view.tick(stats);
    expect(text()).toBe(`${clearLine}${line}`);
    view.anomaly(anomaly("x", [], { state: State.ENDED }));
    const shown = text();
    expect(shown.startsWith(`${clearLine}over: logs`)).toBe(true);
    expect(shown.endsWith(`\n${line}`)).toBe(true);
    view.tick({ ...stats, learning: 0 });
    expect(text()).toContain("32 streams, all ready");
    view.close();
    expect(text()).toBe("\n");
  });

  it("is truncate to the width", () => {
    const { view, text } = screen({ columns: 40, colours: 1 });
    view.tick(stats);
    expect(columnsOf(text().slice(clearLine.length))).toBeLessThanOrEqual(39);
  });

  it("comes once, at the end, where there is no terminal", () => {
    const { view, text } = screen();
    view.tick(stats);
    view.tick(stats);
    expect(text()).toBe("");
    view.close();
    expect(text()).toBe(`${line}\n`);
  });
});

describe("an incident", () => {
  const incident = (some: Exclude<MessageInitShape<typeof IncidentSchema>, { $typeName: string }> = {}) =>
    create(IncidentSchema, {
      id: "1",
      severity: Severity.HIGH,
      startTimeUnixNano: 1_767_225_600_000_000_000n + 3_723_000_000_000n,
      sentence: "The duration of spans is unusual in payments",
      services: ["payments", "web\x1b[2J"],
      members: [{ anomalyIds: ["a"] }],
      ranking: [{ service: "payments", reasons: ["It took 9 s more of its own than usual"] }],
      ...some,
    });
  const waiting = () => {
    const out = new PassThrough() as unknown as PassThrough & NodeJS.WriteStream;
    out.setEncoding("utf8");
    return { view: createView(out), text: () => (out.read() as string | null) ?? "" };
  };

  it("comes first, with its cause, and its anomalies beneath", () => {
    const { view, text } = waiting();
    view.anomaly(anomaly("mine new", ["new"], { id: "a" }));
    view.anomaly(anomaly("other new", ["new"], { id: "b" }));
    view.anomaly(anomaly("mine newer", ["newer"], { id: "a", occurrence: 2n }));
    expect(text()).toBe("");
    view.incident(incident());
    const shown = text().split("\n");
    expect(shown.slice(0, 4)).toEqual([
      "01:02:03Z  INCIDENT  high  payments, web\\x1b[2J",
      "  The duration of spans is unusual in payments",
      "  likely cause: payments. It took 9 s more of its own than usual",
      "  01:02:03Z  logs service.name=payments  content  high  ×2",
    ]);
    expect(shown[4]).toBe("    mine ⟦newer⟧");
    expect(shown.join("\n")).not.toContain("other");
    // What its anomalies show later comes beneath it at once.
    view.anomaly(anomaly("mine newest", ["newest"], { id: "a", occurrence: 3n }));
    expect(text()).toMatch(/^ {2}01:02:03Z {2}logs service\.name=payments.*×3\n {4}mine ⟦newest⟧\n/);
    // Whatever no incident takes up is shown by itself.
    view.close();
    expect(text()).toMatch(/^01:02:03Z {2}logs service\.name=payments {2}content {2}high\n {2}other ⟦new⟧\n/);
  });

  it("is shown again if something about it has changed, and when it is over", () => {
    const { view, text } = waiting();
    view.incident(incident({ minor: true, ranking: [], undecided: "No span shows a cause" }));
    expect(text()).toMatch(/minor incident {2}high.*\n.*\n {2}cause unknown: No span shows a cause\n/);
    view.incident(incident({ minor: true, ranking: [], revision: 2, sentence: "The same, longer" }));
    expect(text()).toBe("");
    view.incident(incident({ revision: 3 }));
    expect(text()).toContain("INCIDENT has changed  high");
    view.incident(incident({ revision: 4, state: IncidentState.ENDED }));
    expect(text()).toMatch(/^over: incident in payments/);
    view.incident(incident({ revision: 5, state: IncidentState.ENDED }));
    expect(text()).toBe("");
  });
});

describe("a terminal that does not keep up", () => {
  it("is told how many anomalies it missed", () => {
    const { view, text } = screen();
    const big = anomaly("x".repeat(300), []);
    for (let i = 0; i < 10_000; i++) view.anomaly(big);
    view.close();
    let all = "";
    for (let more = text(); more !== ""; more = text()) all += more;
    const shown = all.split("01:02:03Z").length - 1;
    expect(all.length).toBeLessThan(3 * 2 ** 20);
    expect(shown).toBeLessThan(10_000);
    const missed = /(\d+) findings not shown: the terminal could not keep up\n$/.exec(all);
    expect(shown + Number(missed?.[1])).toBe(10_000);
  });
});
