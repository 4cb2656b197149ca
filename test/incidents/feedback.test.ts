/** What a person says of an incident reaches the streams of its evidence. */
import { create } from "@bufbuild/protobuf";
import pino from "pino";
import { expect, it } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { Engine } from "../../src/engine/index.ts";
import { IncidentSchema } from "../../src/gen/driftlock/v1/incidents_pb.js";
import { rejectIncident } from "../../src/sidecar/feedback.ts";
import type { IncidentDetail } from "../../src/store/index.ts";
import { logsRequest, normalLine, random, strangeLine } from "../engine/requests.ts";

it("a false incident raises the limits of streams whose evidence a budget withheld", async () => {
  const { detect } = configSchema.parse({
    detect: { baseline: { records: 400 }, budget: { per_process_per_day: 1 } },
  });
  const engine = new Engine(detect, { mode: "all" });
  const next = random(1);
  const services = ["first", "second", "third"];
  for (const service of services) {
    for (let i = 0; i < 5; i++) {
      const lines = Array.from({ length: 100 }, () => ({ ...normalLine(next), service }));
      await engine.process("logs", "default", logsRequest(lines));
    }
  }
  const evidence = async () => {
    const request = logsRequest(services.map((service) => ({ ...strangeLine(), service })));
    return (await engine.process("logs", "default", request)).evidence?.evidence ?? [];
  };
  const before = await evidence();
  expect(before.map(({ serviceName, withheld }) => [serviceName, withheld])).toEqual([
    ["first", 0],
    ["second", 1],
    ["third", 1],
  ]);
  const { stream, channel, score, anomalyIds } = before[1]!;
  expect(anomalyIds).toEqual([]);
  const message = create(IncidentSchema, {
    tenant: "default",
    id: "a",
    members: [{ stream, channel, score }],
  });
  const incident = { message, anomalyIds: [] } as unknown as IncidentDetail;
  const log = pino({ level: "silent" });
  await rejectIncident(engine, incident, () => {}, log);
  expect((await evidence()).map(({ serviceName }) => serviceName)).toEqual(["first", "third"]);
  expect(await engine.tolerate("default", "logs service.name=nobody", channel, score)).toBe(false);
  expect(await engine.tolerate("other", stream, channel, score)).toBe(false);
  await engine.close();
});
