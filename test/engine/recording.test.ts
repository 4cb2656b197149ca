/** The verdict that began an anomaly is computed again from its recording, bit for bit. */
import { zstdDecompressSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import { beforeAll, describe, expect, it } from "vitest";
import { channelName } from "../../src/anomaly/names.ts";
import { decodeRecording, type Report } from "../../src/anomaly/report.ts";
import { AnomalySchema, Signal, Unrecorded } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { RecordingSchema } from "../../src/gen/driftlock/v1/recording_pb.js";
import { recompute } from "../../src/index.ts";
import { type ReportJson, reportJson } from "../../src/json/report.ts";
import type { EnginePrivacy } from "../../src/native.ts";
import { otlpSets } from "../golden/otlp-sets.ts";
import {
  firstReportsOfShop,
  firstReportsOn,
  isFirst,
  reportsOfShop,
  reportsOn,
  wholeOf,
} from "./first-reports.ts";
import { firstReportsOnOwn, ownDetectors, ownPrivacy } from "./own-detectors.ts";
import { random } from "./requests.ts";

const sets = await otlpSets();
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

function expectEqual(report: Report): void {
  expect(wholeOf(recompute(report.recording!))).toEqual(wholeOf(report));
}

let all: Report[];
let ofShop: Report[];
beforeAll(async () => {
  all = await reportsOfShop();
  ofShop = all.filter(isFirst);
});

describe("recordings", () => {
  it.each(sets)("are enough to compute the verdicts on $name again", async (set) => {
    for (const report of await firstReportsOn(set)) {
      expect(report.message.unrecorded).toBe(Unrecorded.UNSPECIFIED);
      expectEqual(report);
      expect(report.message.recording).toHaveLength(0);
      expect(fromBinary(AnomalySchema, report.bytes)).toEqual(report.message);
      expect(fromBinary(RecordingSchema, report.recording!).hashKey).toHaveLength(16);
    }
  });

  it("are made of all verdicts on faults of all kinds", () => {
    const channels = new Set<string>();
    for (const report of ofShop) {
      const { unrecorded, channel, signal, record } = report.message;
      if (unrecorded === Unrecorded.GROUP) continue;
      expect(unrecorded).toBe(Unrecorded.UNSPECIFIED);
      expectEqual(report);
      channels.add(`${signal} ${channelName(channel)} ${record ? "record" : "unit"}`);
    }
    expect(channels.size).toBeGreaterThanOrEqual(6);
  });

  it("are made of what is news in an anomaly, without its window", () => {
    const later = all.filter(({ message }) => message.news && message.occurrence > 1n);
    const recorded = later.filter(({ recording }) => recording);
    expect(recorded.length).toBeGreaterThan(5);
    expect(recorded.length).toBeGreaterThan(later.length / 2);
    for (const { message, recording } of recorded) {
      const withoutWindow = ({ expected, window: _, ...own }: ReportJson) => {
        const { nearest: __, ...likely } = expected ?? { nearest: "", next: [], low: null, high: null };
        return { ...own, likely };
      };
      const again = reportJson(recompute(recording!).message);
      expect(again.window).toBeNull();
      expect(withoutWindow(again)).toEqual(withoutWindow(reportJson(message)));
    }
    // Nothing else is recorded.
    const more = all.filter(({ message: { news, occurrence } }) => !news && occurrence > 1n);
    expect([more.length > 0, more.some(({ recording }) => recording)]).toEqual([true, false]);
  });

  it("do not depend on the number of threads", async () => {
    const many = await firstReportsOfShop({ threads: 4 });
    const of = (reports: Report[]) => reports.map(({ recording = new Uint8Array() }) => hex(recording));
    expect(of(many)).toEqual(of(ofShop));
  });

  it("are made after a restart as well", async () => {
    const reports = await firstReportsOfShop({ restarts: true });
    expect(reports.length).toBeGreaterThan(5);
    for (const report of reports) expectEqual(report);
  });

  it("hold the policy of the stream", async () => {
    const policies = [
      { match: { signal: "traces" }, budget: 30, ignore_fields: ["http.response.status_code"] },
      { match: { signal: "logs" }, channels: ["content", "fields", "volume"], min_count: 2 },
    ];
    const reports = await firstReportsOfShop({ policies });
    expect(reports.length).toBeGreaterThan(5);
    for (const report of reports) expectEqual(report);
  });

  it("hold the privacy policy of the stream", async () => {
    const privacy: EnginePrivacy = {
      evidence: "flag",
      rules: [
        { service: "nobody", stored: "drop" },
        { attribute: "body", stored: "flag" },
        { detectors: ["password", "api_key", "email"], stored: "flag" },
      ],
    };
    const reports = await firstReportsOfShop({ privacy });
    // What is kept as it was received can be computed again, the leaked secret included.
    for (const report of reports) {
      expect(report.message.unrecorded).toBe(Unrecorded.UNSPECIFIED);
      expectEqual(report);
    }
    expect(reports.length).toBe(ofShop.length);
  });

  it.each([
    ["masked in evidence", ownPrivacy],
    ["left in evidence", { ...ownPrivacy, evidence: "flag" }],
    ["found by built-in detectors alone", {}],
  ] satisfies [string, EnginePrivacy][])(
    "give what cannot be found again: values %s",
    async (_name, privacy) => {
      const reports = await firstReportsOnOwn(privacy);
      expect(reports.length).toBeGreaterThanOrEqual(14);
      for (const report of reports) {
        expect(report.message.unrecorded).toBe(Unrecorded.UNSPECIFIED);
        expectEqual(report);
      }
      const given = reports.map(({ recording }) => decodeRecording(recording!).privacy!);
      expect(given.some(({ findings }) => findings.length > 0)).toBe(true);
      const own = privacy.detectors?.map(({ name }) => name) ?? [];
      expect(given.every(({ detectors }) => detectors.join() === own.join())).toBe(true);
      expect(given.some(({ allowed }) => allowed.length > 0)).toBe(privacy.allow !== undefined);
    },
  );

  it("have no value that is masked", async () => {
    for (const { recording } of await firstReportsOnOwn()) {
      const { state } = decodeRecording(recording!);
      const all = Buffer.concat([recording!, zstdDecompressSync(state)]).toString("latin1");
      expect(all).not.toMatch(/EMP-(?!000000)\d{6}|@mailshop\.eu/);
    }
  });

  it("are made if a detector of a user finds what it has found in a mask", async () => {
    const privacy = { detectors: [...ownDetectors, { name: "star", pattern: "[*]+|employee" }] };
    for (const report of await firstReportsOnOwn(privacy)) {
      if (report.message.unrecorded !== Unrecorded.MASKED) expectEqual(report);
    }
  });

  it("are not made if the state has what evidence must not have", async () => {
    const privacy: EnginePrivacy = { rules: [{ detectors: ["email"], stored: "flag", signal: "logs" }] };
    const reports = await firstReportsOfShop({ privacy });
    const masked = ({ message }: Report) => message.unrecorded === Unrecorded.MASKED;
    const logs = reports.filter(({ message }) => message.signal === Signal.LOGS);
    expect([logs.length > 0, logs.every(masked)]).toEqual([true, true]);
    expect(reports.every(masked)).toBe(false);
  });

  it("change no report", async () => {
    for (const set of sets) {
      const [with_, without] = await Promise.all([
        reportsOn(set),
        reportsOn(set, { recordings: false, threads: 2 }),
      ]);
      expect(with_.map(({ bytes }) => hex(bytes))).toEqual(without.map(({ bytes }) => hex(bytes)));
    }
  });

  it("are refused if a bit of them has changed", () => {
    const next = random(5);
    const recorded = ofShop.filter(({ recording }) => recording);
    expect(recorded.length).toBeGreaterThan(8);
    for (const { recording } of recorded.slice(0, 8)) {
      for (let i = 0; i < 200; i++) {
        const changed = Uint8Array.from(recording!);
        changed[Math.floor(next() * changed.length)]! ^= 1 << Math.floor(next() * 8);
        expect(() => recompute(changed)).toThrow(
          expect.objectContaining({ code: expect.stringMatching(/DAMAGED_INPUT|RECORDING_FORMAT/) }),
        );
      }
      expect(() => recompute(recording!.subarray(0, recording!.length - 1))).toThrow(/damaged/);
    }
    expect(() => recompute(new Uint8Array())).toThrow(
      expect.objectContaining({ code: "ERR_DRIFTLOCK_RECORDING_FORMAT" }),
    );
  });
});
