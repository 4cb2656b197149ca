import { create } from "@bufbuild/protobuf";
import pino from "pino";
import { describe, expect, it } from "vitest";
import { encodeReport } from "../../src/anomaly/report.ts";
import { AnomalySchema, Channel } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { anomalyLog } from "../../src/telemetry/anomaly-log.ts";

const anomaly = encodeReport(
  create(AnomalySchema, {
    id: "00".repeat(16),
    stream: "logs service.name=checkout",
    channel: Channel.CONTENT,
    score: 120.5,
    limit: 40,
    pValue: 0.001,
    occurrence: 2n,
    explanation: "24 bytes are new",
  }),
);

describe("anomaly log", () => {
  it("writes what an operator needs to find the anomaly", () => {
    const lines: string[] = [];
    anomalyLog(pino({}, { write: (line) => lines.push(line) }))(anomaly);
    expect(JSON.parse(lines[0]!)).toMatchObject({
      msg: "anomaly",
      anomaly: {
        id: "00".repeat(16),
        stream: "logs service.name=checkout",
        channel: "content",
        score: 120.5,
        limit: 40,
        p_value: 0.001,
        occurrence: 2,
        explanation: "24 bytes are new",
      },
    });
  });

  it("writes so many a second and accounts for the rest", () => {
    const lines: string[] = [];
    let now = 5_000;
    const write = anomalyLog(pino({}, { write: (line) => lines.push(line) }), () => now);
    for (let i = 0; i < 1_000; i++) write(anomaly);
    expect(lines).toHaveLength(10);
    now += 1_000;
    write(anomaly);
    write(anomaly);
    expect(lines).toHaveLength(12);
    expect(JSON.parse(lines[10]!)).toMatchObject({ anomalies_not_logged: 990 });
    expect(JSON.parse(lines[11]!)).not.toHaveProperty("anomalies_not_logged");
  });
});
