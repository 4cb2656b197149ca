/** Finds the silence that applies to an anomaly or to a member of an incident: those of the API come before those of the configuration. */
import { createHash } from "node:crypto";
import { channelName, signalName } from "../anomaly/names.ts";
import { matcherOf } from "../base/pattern.ts";
import type { ConfiguredSilence } from "../config/schema/silence.ts";
import type { Anomaly } from "../gen/driftlock/v1/anomaly_pb.js";
import type { Silence } from "../store/index.ts";

/** What silences go by. */
export type Silenceable = Pick<Anomaly, "signal" | "serviceName" | "stream" | "channel">;

/** A silence whose patterns are compiled. */
interface ReadySilence {
  silence: Silence;
  matches(item: Silenceable): boolean;
}

interface Configured extends ReadySilence {
  ofTenant(tenant: string): boolean;
}

export class Silences {
  readonly #configured: readonly Configured[];
  /** Those of the API that have not ended, by tenant, oldest first. */
  #stored = new Map<string, ReadySilence[]>();

  /** @param now when the process read the configuration, in milliseconds since 1970 */
  constructor(configured: readonly ConfiguredSilence[], now: number) {
    this.#configured = configured.map((each) => readyConfigured(each, now));
  }

  /** Replaces those of the API. @param open all that have not ended, oldest first */
  replace(open: readonly Silence[]): void {
    this.#stored = Map.groupBy(open.map(ready), ({ silence }) => silence.tenant);
  }

  find(tenant: string, item: Silenceable, now: number): Silence | undefined {
    const applies = ({ silence, matches }: ReadySilence) =>
      silence.startsAt <= now && silence.endsAt > now && matches(item);
    const found =
      this.#stored.get(tenant)?.find(applies) ??
      this.#configured.find((each) => each.ofTenant(tenant) && applies(each));
    return found?.silence;
  }

  /** Returns those of the configuration that are for a tenant, in its order. */
  configured(tenant: string): Silence[] {
    return this.#configured
      .filter(({ ofTenant }) => ofTenant(tenant))
      .map(({ silence }) => ({ ...silence, tenant }));
  }
}

function ready(silence: Silence): ReadySilence {
  const { signal, service, stream, channels } = silence.match;
  const ofService = service === undefined ? undefined : matcherOf(service);
  const ofStream = stream === undefined ? undefined : matcherOf(stream);
  return {
    silence,
    matches: (item) =>
      (signal === undefined || signalName(item.signal) === signal) &&
      (ofService?.(item.serviceName) ?? true) &&
      (ofStream?.(item.stream) ?? true) &&
      (channels?.some((channel) => channel === channelName(item.channel)) ?? true),
  };
}

function readyConfigured(configured: ConfiguredSilence, now: number): Configured {
  const { match, starts_at, ends_at, reason, author } = configured;
  const { tenant = "*", ...rest } = match;
  const silence: Silence = {
    tenant,
    // A function of the silence: restarts and other processes have the same.
    id: `config-${createHash("sha256").update(JSON.stringify(configured)).digest("hex").slice(0, 16)}`,
    match: rest,
    startsAt: starts_at === undefined ? now : Date.parse(starts_at),
    endsAt: Date.parse(ends_at),
    reason,
    author,
    createdAt: now,
  };
  return { ...ready(silence), ofTenant: matcherOf(tenant) };
}
