/** An API over a store of its own, in the process of a bench. */

import process from "node:process";
import { Registry } from "prom-client";
import { Access } from "../src/access/access.ts";
import { Limiter } from "../src/access/limits.ts";
import { LiveHub } from "../src/api/live/hub.ts";
import { liveSink } from "../src/api/live/publish.ts";
import { startApi } from "../src/api/server.ts";
import { ServiceGraph } from "../src/api/service-graph.ts";
import { Plans } from "../src/billing/index.ts";
import { configSchema } from "../src/config/schema.ts";
import { Reporting } from "../src/evidence/reports/index.ts";
import type { AnomalyJson } from "../src/json/anomaly-schema.ts";
import type { IncidentJson } from "../src/json/incident-schema.ts";
import { openStore } from "../src/store/index.ts";
import { createLogger } from "../src/telemetry/log.ts";

const versions = { version: "bench", node: process.versions.node, codecs: {} };

/** @param folder the folder of the store */
export async function serveApi(folder: string) {
  const config = configSchema.parse({ data_dir: folder, api: { endpoint: "127.0.0.1:0" } });
  const log = createLogger({ ...config.telemetry, log_level: "warn" });
  const store = await openStore(config, { log, versions });
  const plans = await Plans.start(config, store.billing, log);
  const hub = new LiveHub<AnomalyJson>();
  const api = await startApi({
    config: config.api,
    open: true,
    access: new Access(config.auth, store, log),
    limiter: new Limiter(plans.limitsOf, () => ({ records: 0, bytes: 0, endsIn: 0 })),
    plans,
    store,
    evidence: { create: async () => undefined },
    reporting: await Reporting.whenNeeded(config),
    hub,
    incidentHub: new LiveHub<IncidentJson>(),
    graph: new ServiceGraph(),
    registry: new Registry(),
    versions,
    readiness: () => [],
    alive: () => true,
    take: async () => undefined,
    sharedKeys: undefined,
    onRules: async () => {},
    notifications: { channels: () => [], windows: () => [], test: async () => undefined },
    configuredSilences: () => [],
    onJudgement() {},
    onIncidentJudgement() {},
    onChange() {},
    log,
  });
  return {
    address: api.address,
    store,
    publish: liveSink(hub),
    async close() {
      await api.close();
      await store.close();
    },
  };
}
