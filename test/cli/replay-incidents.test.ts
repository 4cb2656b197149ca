/** `driftlock replay --incidents`. */
import { PassThrough, Readable } from "node:stream";
import { expect, it } from "vitest";
import { replayStream } from "../../src/cli/replay/command.ts";
import type { IncidentLine } from "../../src/cli/replay/incidents.ts";
import { parseReplayArgs } from "../../src/cli/replay/options.ts";
import type { Fault } from "../../src/generate/topology/fault.ts";
import { TopologyTelemetry } from "../../src/generate/topology/topology-telemetry.ts";

const minute = 60_000;

/** Two hours of the spans of a topology, with a fault after 100 minutes, as recorded requests. */
function recording(): { bytes: Buffer[]; faults: Fault[] } {
  const faults: Fault[] = [];
  const telemetry = new TopologyTelemetry({
    seed: "4",
    startUnixNano: BigInt(Date.UTC(2026, 0, 5, 9)) * 1_000_000n,
    signals: ["traces"],
    rate: 10,
    speed: 1,
    duration: 120 * minute,
    recordsPerRequest: 100,
    schedule: [{ kind: "failing-dependency", start: 100 * minute, end: 110 * minute, size: 1 }],
    onFault: (fault) => faults.push(fault),
  });
  const bytes = [...telemetry.batches()].flatMap(({ body }) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(body.length);
    return [length, body];
  });
  return { bytes, faults };
}

async function replay(bytes: Buffer[]): Promise<IncidentLine[]> {
  const output = new PassThrough();
  const options = parseReplayArgs(["--format", "otlp", "--signal", "traces", "--incidents", "-"]);
  const done = replayStream(options, { input: Readable.from(bytes), output }, {}, () => {});
  void done.finally(() => output.end());
  let text = "";
  for await (const piece of output.setEncoding("utf8")) text += piece;
  await done;
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

it("prints one line per incident, the same each time", async () => {
  const { bytes, faults } = recording();
  const lines = await replay(bytes);
  expect(new Set(lines.map(({ id }) => id)).size).toBe(lines.length);
  const from = new Date(Date.UTC(2026, 0, 5, 9) + faults[0]!.start - 10_000).toISOString();
  const about = lines.filter(
    ({ reported, services }) => reported >= from && services.includes(faults[0]!.cause.service),
  );
  expect(about).toMatchObject([{ kind: "incident", minor: false }]);
  expect(about[0]!.sentence).toMatch(/unusual in /);
  expect(await replay(bytes)).toEqual(lines);
});
