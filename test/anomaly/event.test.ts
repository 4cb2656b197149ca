import { fromBinary } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { encodeAnomalyEvents } from "../../src/anomaly/event.ts";
import { Channel } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { ExportLogsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { ending, midnight, report } from "../store/fixtures.ts";

function attributesOf(anomaly: ReturnType<typeof report>) {
  const { resourceLogs } = fromBinary(
    ExportLogsServiceRequestSchema,
    encodeAnomalyEvents([anomaly], "1.2.3", 0n),
  );
  const { attributes } = resourceLogs[0]!.scopeLogs[0]!.logRecords[0]!;
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value!.value.value]));
}

it("an event has what was withheld before the alarm", () => {
  const withheld = {
    $typeName: "driftlock.v1.Withheld",
    count: 3n,
    channel: Channel.FIELDS,
    score: 2.5,
    timeUnixNano: midnight,
  } as const;
  expect(attributesOf(report({ withheld }))).toMatchObject({
    "cbad.withheld.count": 3n,
    "cbad.withheld.channel": "fields",
    "cbad.withheld.score": 2.5,
    "cbad.withheld.time_unix_nano": midnight,
  });
});

it("an event has no figures of what was withheld if nothing was, and when the anomaly ends", () => {
  for (const anomaly of [report(), ending()]) {
    expect(Object.keys(attributesOf(anomaly)).filter((key) => key.startsWith("cbad.withheld"))).toEqual([]);
  }
});
