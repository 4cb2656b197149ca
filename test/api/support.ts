/** An API over a real store, with its sockets on loopback. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { Registry } from "prom-client";
import { afterAll, afterEach } from "vitest";
import { Access } from "../../src/access/access.ts";
import { Limiter } from "../../src/access/limits.ts";
import { LiveHub } from "../../src/api/live/hub.ts";
import { publishAnomaly, publishIncident } from "../../src/api/live/publish.ts";
import { type Api, type ApiOptions, type Component, startApi } from "../../src/api/server.ts";
import { ServiceGraph } from "../../src/api/service-graph.ts";
import { Plans } from "../../src/billing/index.ts";
import { configSchema } from "../../src/config/schema.ts";
import { MakingThread } from "../../src/evidence/making.ts";
import { EvidenceQueue } from "../../src/evidence/queue.ts";
import { Reporting } from "../../src/evidence/reports/index.ts";
import type { Change } from "../../src/gen/driftlock/v1/incidents_pb.js";
import type { AnomalyJson } from "../../src/json/anomaly-schema.ts";
import type { IncidentJson } from "../../src/json/incident-schema.ts";
import type { AnomalyPatch, IncidentPatch, Scope, Store } from "../../src/store/index.ts";
import { openStore } from "../../src/store/index.ts";
import { options as storeOptions, versions } from "../store/fixtures.ts";
import { type Document, requireDocumented } from "./documented.ts";

const undo: (() => unknown)[] = [];
const undoLast: (() => unknown)[] = [];

export function afterwards(cleanUp: () => unknown): void {
  undo.push(cleanUp);
}

async function clean(list: (() => unknown)[]): Promise<void> {
  for (const each of list.splice(0).reverse()) await each();
}

afterEach(() => clean(undo));
afterAll(() => clean(undoLast));

/** Keeps what `make` starts until the end of the file. */
export async function forFile<T>(make: () => Promise<T>): Promise<T> {
  const made = await make();
  undoLast.push(...undo.splice(0));
  return made;
}

export interface Running {
  /** The folder of the store. */
  folder: string;
  api: Api;
  store: Store;
  hub: LiveHub<AnomalyJson>;
  incidentHub: LiveHub<IncidentJson>;
  graph: ServiceGraph;
  components: Component[];
  /** Lines of the log so far. */
  logged: string[];
  judgements: AnomalyPatch[];
  incidentJudgements: IncidentPatch[];
  /** The changes that were posted. */
  changes: Change[];
  /** Sets the store's clock forward. */
  advance(ms: number): void;
  url(path: string): string;
  get(path: string, init?: RequestInit): Promise<Response>;
}

type Overrides = Partial<
  Pick<
    ApiOptions,
    | "take"
    | "hub"
    | "readiness"
    | "alive"
    | "recheckMs"
    | "requestMs"
    | "idleMs"
    | "connections"
    | "answerBytes"
    | "store"
    | "dashboard"
    | "notifications"
  >
>;

/** @param input the configuration's sections auth, limits and api */
export async function start(
  input: { api?: object; auth?: object; limits?: object } = {},
  overrides: Overrides = {},
): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), "driftlock-api-"));
  afterwards(() => rmSync(folder, { recursive: true, force: true }));
  const { api: apiInput, ...rest } = input;
  const config = configSchema.parse({
    data_dir: folder,
    api: { endpoint: "127.0.0.1:0", ...apiInput },
    ...rest,
  });
  const logged: string[] = [];
  const log = pino({}, { write: (line: string) => void logged.push(line) });
  let ahead = 0;
  const store = overrides.store ?? (await openStore(config, storeOptions({ now: () => Date.now() + ahead })));
  afterwards(() => store.close());
  const hub = overrides.hub ?? new LiveHub<AnomalyJson>({ batchMs: 5 });
  const incidentHub = new LiveHub<IncidentJson>({ batchMs: 5 });
  store.incidentWriter.onStored = (stored) => {
    for (const incident of stored) publishIncident(incidentHub, "incident", incident);
  };
  const plans = await Plans.start(config, store.billing, log);
  afterwards(() => plans.close());
  const graph = new ServiceGraph();
  const components = [{ name: "engine", ready: true, reason: "0 streams" }];
  const judgements: AnomalyPatch[] = [];
  const incidentJudgements: IncidentPatch[] = [];
  const changes: Change[] = [];
  const making = new MakingThread({ config, versions, snapshotFormat: 9 }, { store, log });
  afterwards(() => making.close());
  const api = await startApi({
    config: config.api,
    open: !config.auth.enabled,
    access: new Access(config.auth, store, log),
    limiter: new Limiter(plans.limitsOf, () => ({ records: 0, bytes: 0, endsIn: 0 })),
    plans,
    store,
    evidence: new EvidenceQueue({ make: making.make }),
    reporting: await Reporting.whenNeeded(config),
    hub,
    incidentHub,
    graph,
    registry: new Registry(),
    versions,
    readiness: () => components,
    alive: () => true,
    take: async () => undefined,
    sharedKeys: undefined,
    onRules: async () => {},
    configuredSilences: () => [],
    notifications: { channels: () => [], windows: () => [], test: async () => undefined },
    onJudgement(anomaly, patch) {
      judgements.push(patch);
      publishAnomaly(hub, "judgement", anomaly);
    },
    onIncidentJudgement(incident, patch) {
      incidentJudgements.push(patch);
      publishIncident(incidentHub, "judgement", incident);
    },
    onChange: (change) => changes.push(change),
    log,
    ...overrides,
  });
  afterwards(() => api.close());
  const url = (path: string) => `http://${api.address}${path}`;
  const get = async (path: string, init?: RequestInit) => {
    const answer = await fetch(url(path), init);
    requireDocumented(await documentOf(), init?.method ?? "GET", path, answer);
    return answer;
  };
  const advance = (ms: number) => {
    ahead += ms;
  };
  const made = { incidentHub, graph, incidentJudgements, changes };
  return { folder, api, store, hub, components, logged, judgements, ...made, advance, url, get };
}

let document: Promise<Document> | undefined;

/** Returns the OpenAPI document, from an API of its own. */
export function documentOf(): Promise<Document> {
  document ??= start().then(
    async ({ url }) => (await fetch(url("/openapi.json"))).json() as Promise<Document>,
  );
  return document;
}

/** Creates a key of the tenant, and returns it as the header that carries it. */
export async function keyOf(
  { store }: Pick<Running, "store">,
  tenant: string,
  ...scopes: Scope[]
): Promise<{ authorization: string }> {
  const { secret } = await store.keys.create(tenant, { name: "test", scopes }, "test");
  return { authorization: `Bearer ${secret}` };
}

/** Returns the body of the response, which must be a problem. */
export async function problemOf(response: Response): Promise<Record<string, unknown>> {
  const type = response.headers.get("content-type");
  if (!type?.startsWith("application/problem+json")) throw new Error(`no problem, but ${type}`);
  const body = (await response.json()) as Record<string, unknown>;
  if (body.status !== response.status) throw new Error(`the problem says ${body.status}`);
  return body;
}
