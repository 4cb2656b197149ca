/** The components whose states make the sidecar ready, and why each is. */
import type { SharingState } from "../access/shared-limits.ts";
import type { Component } from "../api/server.ts";
import type { DataDir } from "../data-dir/data-dir.ts";
import type { Engine } from "../engine/index.ts";
import type { ForwarderState } from "../forward/index.ts";
import type { Store } from "../store/index.ts";
import type { Pipeline } from "./pipeline.ts";

/** A request that is in the engine for longer means that the engine is stuck: `/readyz` has to know within 5 s. */
const stuckMs = 4_000;

/** What the states are read from. */
export interface Parts {
  closing: boolean;
  addresses: readonly (string | undefined)[];
  engine: Engine | undefined;
  pipeline: Pipeline;
  endpoint: string;
  forwarder: ForwarderState;
  store: Store;
  dataDir: DataDir;
  /** Undefined if limits are not shared. */
  sharing: SharingState | undefined;
}

export function componentStates(parts: Parts): Component[] {
  return [
    receiversState(parts.closing, parts.addresses),
    engineState(parts.engine, parts.pipeline),
    downstreamState(parts.endpoint, parts.forwarder),
    storeState(parts.store),
    dataDirState(parts.dataDir),
    ...(parts.sharing ? [limitsState(parts.sharing)] : []),
  ];
}

function receiversState(closing: boolean, addresses: readonly (string | undefined)[]): Component {
  const reason = closing ? "shutting down" : `listening on ${addresses.filter(Boolean).join(", ")}`;
  return { name: "receivers", ready: !closing, reason };
}

function engineState(engine: Engine | undefined, pipeline: Pipeline): Component {
  const name = "engine";
  if (engine === undefined) return { name, ready: true, reason: "detect.enabled is false" };
  if (pipeline.judgingFor > stuckMs) {
    return { name, ready: false, reason: `no verdict for ${Math.round(pipeline.judgingFor / 1_000)} s` };
  }
  const { streams, learning } = engine.stats();
  return { name, ready: true, reason: `streams: ${streams}, of which learning: ${learning}` };
}

/** Ready while requests are accepted: senders need not care about a downstream that is away if requests wait on disk. */
function downstreamState(endpoint: string, { healthy, lastError, keeping }: ForwarderState): Component {
  const name = "downstream";
  const reason = healthy ? `${endpoint} answers` : (lastError?.message ?? "no answer yet");
  if (keeping === undefined) return { name, ready: healthy, reason };
  if (!keeping.kept) return { name, ready: false, reason: `${reason}; ${keeping.reason}` };
  if (healthy) return { name, ready: true, reason };
  return { name, ready: true, degraded: true, reason: `${reason}; requests wait on disk: ${keeping.reason}` };
}

export function storeState(store: Store): Component {
  return { name: "store", ...store.health() };
}

function dataDirState({ path, fault }: DataDir): Component {
  return { name: "data_dir", ready: fault === undefined, reason: fault ?? path };
}

/** If each process keeps the limits by itself, more requests pass, and none is refused for it. */
export function limitsState({ shared, reason }: SharingState): Component {
  return { name: "limits", ready: true, degraded: !shared, reason };
}
