/** Judges what a partition of `in` holds, record by record. All that it does follows from the records and their order. */
import { create, toBinary } from "@bufbuild/protobuf";
import { type Report, wholeReport } from "../anomaly/report.ts";
import type { Policy } from "../config/schema/policy.ts";
import type { Engine, Findings } from "../engine/index.ts";
import { type EvidencePage, EvidencePageSchema } from "../gen/driftlock/v1/incidents_pb.js";
import { LlmPageSchema } from "../gen/driftlock/v1/llm_pb.js";
import type { Signal } from "../otlp/protocol.ts";
import type { LogRecord, NewRecord } from "./client.ts";
import { unwatched, type WorkerHooks } from "./hooks.ts";
import { dataHeaders, type Input, inputOf } from "./messages.ts";
import { partitionOfTenant } from "./partitioning.ts";
import { pieces } from "./router.ts";

export interface Topics {
  out: string;
  anomalies: string;
  statistics: string;
}

/** What replaying needs beside what the engine has learned. */
export interface JudgeClock {
  /** The latest time of a record, in milliseconds since 1970. */
  now: number;
  /** When time last passed for those who send nothing; undefined before the first control record of time. */
  steppedAt?: number | undefined;
  /** The tenants whose requests came since then. */
  active: string[];
  policies: [tenant: string, policies: string][];
  /** The latest decisions of people that were applied. Whoever hands them over may do so more than once. */
  decided: string[];
}

/** How much time passes at least, and at most, with a control record. */
const stepMs = 10_000;
const statisticsAtOnce = 1_000;
const maxDecided = 4_096;
const noKey = Buffer.alloc(0);

export const freshClock = (): JudgeClock => ({ now: 0, active: [], policies: [], decided: [] });

export class Judge {
  readonly #engine: Engine;
  readonly #topics: Topics;
  readonly #partition: number;
  readonly #partitions: number;
  #now = 0;
  #steppedAt: number | undefined;
  #active = new Set<string>();
  #policies: [tenant: string, policies: string][] = [];
  readonly #decided = new Set<string>();
  readonly #hooks: WorkerHooks;

  constructor(
    engine: Engine,
    topics: Topics,
    { partition, partitions }: { partition: number; partitions: number },
    hooks: WorkerHooks = unwatched,
  ) {
    this.#hooks = hooks;
    this.#engine = engine;
    this.#topics = topics;
    this.#partition = partition;
    this.#partitions = partitions;
  }

  get engine(): Engine {
    return this.#engine;
  }

  get clock(): JudgeClock {
    return {
      now: this.#now,
      ...(this.#steppedAt !== undefined && { steppedAt: this.#steppedAt }),
      active: [...this.#active],
      policies: this.#policies,
      decided: [...this.#decided],
    };
  }

  /** Goes on from what `clock` returned, together with a restored engine. */
  async resume({ now, steppedAt, active, policies, decided }: JudgeClock): Promise<void> {
    this.#now = now;
    this.#steppedAt = steppedAt;
    this.#active = new Set(active);
    for (const each of decided) this.#decided.add(each);
    if (policies.length > 0) await this.#setPolicies(policies);
  }

  /**
   * Judges a record, after those of earlier calls, which need not have been resolved.
   * @param silent whether others have written what comes of it: the engine learns, and reports nothing.
   * @returns what is to be written because of it, in order.
   */
  async apply(record: LogRecord, silent = false): Promise<NewRecord[]> {
    // Routers' clocks differ a little; the engine's must not run backwards.
    this.#now = Math.max(this.#now, record.timestamp);
    const input = inputOf(record);
    switch (input?.kind) {
      case "data":
        return this.#judge(record, input.signal, input.tenant, input.body, silent);
      case "time":
        return this.#step(silent);
      case "feedback":
      case "tolerate":
        return this.#decide(input, silent);
      case "policies":
        await this.#setPolicies(input.ofTenants);
        return [];
      case undefined:
        if (!silent) this.#hooks.onSkipped(1);
        return [];
    }
  }

  /** Returns what has been counted of streams since the last call. */
  async statistics(): Promise<NewRecord[]> {
    const records: NewRecord[] = [];
    for (let left = 1; left > 0; ) {
      const page = await this.#engine.statistics(statisticsAtOnce);
      left = page.left;
      if (page.streams.length === 0) break;
      records.push({
        topic: this.#topics.statistics,
        partition: this.#partition,
        key: noKey,
        value: Buffer.from(page.bytes),
      });
    }
    return records;
  }

  async #judge(
    record: LogRecord,
    signal: Signal,
    tenant: string,
    body: Buffer,
    silent: boolean,
  ): Promise<NewRecord[]> {
    this.#active.add(tenant);
    const options = { receivedMs: this.#now, silent };
    const since = performance.now();
    const outcome = await this.#engine
      .process(signal, tenant, body, options)
      .catch((error: Error & { code?: string }) => {
        if (error.code !== "ERR_DRIFTLOCK_OTLP_MALFORMED") throw error;
        if (!silent) this.#hooks.onSkipped(1);
      });
    if (outcome === undefined || silent) return [];
    this.#hooks.onJudged(signal, outcome, (performance.now() - since) / 1_000);
    const { forward } = outcome;
    const parts = forward === null ? [] : await pieces(signal, forward);
    const headers = { ...dataHeaders(signal, tenant), offset: String(record.offset) };
    return [
      ...parts.map((value) => ({
        topic: this.#topics.out,
        partition: this.#partition,
        key: noKey,
        value,
        headers,
      })),
      ...this.#findings(outcome),
    ];
  }

  /** Lets the time pass that has passed since the last step, for the tenants without requests in this partition. */
  async #step(silent: boolean): Promise<NewRecord[]> {
    const since = this.#steppedAt;
    // Several routers say the time, each every 10 s.
    if (since !== undefined && this.#now - since < stepMs) return [];
    const active = [...this.#active];
    this.#steppedAt = this.#now;
    this.#active = new Set();
    // After a break of all routers nobody knows what was sent meanwhile.
    if (since === undefined) return [];
    const options = { receivedMs: this.#now, silent };
    return this.#findings(await this.#engine.advance(stepMs, active, options));
  }

  async #decide(
    decision: Extract<Input, { kind: "feedback" | "tolerate" }>,
    silent: boolean,
  ): Promise<NewRecord[]> {
    const key = JSON.stringify(decision);
    if (this.#decided.has(key)) return [];
    this.#decided.add(key);
    if (this.#decided.size > maxDecided) this.#decided.delete(this.#decided.values().next().value!);
    const { tenant } = decision;
    if (decision.kind === "tolerate") {
      await this.#engine.tolerate(tenant, decision.stream, decision.channel, decision.score);
      return [];
    }
    const { ended } = await (decision.decision === "accepted"
      ? this.#engine.accept(tenant, decision.anomaly)
      : this.#engine.reject(tenant, decision.anomaly));
    return ended && !silent ? [this.#found("anomaly", ended)] : [];
  }

  async #setPolicies(policies: [tenant: string, policies: string][]): Promise<void> {
    this.#policies = policies;
    await this.#engine.setPolicies(
      new Map(policies.map(([tenant, json]) => [tenant, JSON.parse(json) as Policy[]])),
    );
  }

  #findings({ reports, notable, evidence, calls }: Findings): NewRecord[] {
    return [
      ...reports.map((report) => this.#found("anomaly", report)),
      ...notable.map((report) => this.#found("notable", report)),
      ...byTenant(evidence).map(([tenant, page]) =>
        this.#message("evidence", tenant, toBinary(EvidencePageSchema, page)),
      ),
      // Only a request has calls, and it is of one tenant.
      ...(calls?.calls[0] === undefined
        ? []
        : [this.#message("calls", calls.calls[0].tenant, toBinary(LlmPageSchema, calls))]),
    ];
  }

  #found(kind: "anomaly" | "notable", report: Report): NewRecord {
    const { tenant, id } = report.message;
    if (kind === "anomaly") this.#hooks.onReport(report);
    return this.#message(kind, tenant, wholeReport(report), Buffer.from(id));
  }

  #message(kind: string, tenant: string, value: Uint8Array, key = noKey): NewRecord {
    return {
      topic: this.#topics.anomalies,
      partition: partitionOfTenant(tenant, this.#partitions),
      key,
      value: Buffer.from(value.buffer, value.byteOffset, value.byteLength),
      headers: { kind, tenant },
    };
  }
}

/** Divides evidence, which may be of several tenants if time has passed, because each tenant's incidents are formed by themselves. */
function byTenant(page: EvidencePage | undefined): [tenant: string, page: EvidencePage][] {
  if (page === undefined) return [];
  const tenants = new Set([...page.evidence, ...page.ticks, ...page.changes].map(({ tenant }) => tenant));
  const of =
    (tenant: string) =>
    (each: { tenant: string }): boolean =>
      each.tenant === tenant;
  return [...tenants].map((tenant) => [
    tenant,
    create(EvidencePageSchema, {
      evidence: page.evidence.filter(of(tenant)),
      ticks: page.ticks.filter(of(tenant)),
      changes: page.changes.filter(of(tenant)),
    }),
  ]);
}
