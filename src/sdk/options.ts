import type { z } from "zod";
import type { configSchema } from "../config/schema.ts";
import type { EngineStats } from "../native.ts";
import type { AnomalyEvent } from "./event.ts";

type ConfigInput = z.input<typeof configSchema>;

/** Options of `Driftlock`. */
export interface DriftlockOptions {
  /** The `service.name` of pushed records; OTEL_SERVICE_NAME by default, or else `unknown_service:node`. */
  service?: string;
  /** How streams are judged: the section `detect` of the configuration. */
  detect?: NonNullable<ConfigInput["detect"]>;
  /**
   * What happens to personal and secret values: the section `privacy` of the configuration. By default they are masked in all that
   * is reported.
   */
  privacy?: NonNullable<ConfigInput["privacy"]>;
  /**
   * How calls of language models are judged: the section `llm` of the configuration. By default they are read from spans and log
   * records, and no prices are known.
   */
  llm?: NonNullable<ConfigInput["llm"]>;
  /** Receives each report of an anomaly. */
  onAnomaly?: (event: AnomalyEvent) => unknown;
  /** Receives what goes wrong within Driftlock. By default, the first such error is a warning of the process. */
  onError?: (error: Error) => unknown;
  /** Bytes of records that may wait for the engine; 16 MiB by default. Records beyond that are dropped and counted. */
  maxPendingBytes?: number;
  /** The secret of 32 bytes that all hashes derive from; by default that of `detect.key_file`, or else a public one. */
  key?: Uint8Array;
}

/**
 * Why records were dropped: more bytes were waiting than `maxPendingBytes` allows; the record cannot be encoded; it came after
 * `close`; or the engine could not be created, or refused the request.
 */
export type DropReason = "full" | "invalid" | "closed" | "failed";

/** What an instance has counted. */
export interface DriftlockStats {
  /** Number of records that were taken. */
  accepted: number;
  /** Number of records that the engine has judged. */
  judged: number;
  /** Number of records that were flagged. */
  flagged: number;
  /** Number of reports of anomalies. */
  reports: number;
  /** Number of records that were dropped, by reason. */
  dropped: Record<DropReason, number>;
  /** Bytes of records that wait for the engine or are in it. */
  pendingBytes: number;
  /** Number of errors within Driftlock, those of listeners included. */
  errors: number;
  /** What the engine holds; undefined until it is loaded, and after `close`. */
  engine: EngineStats | undefined;
}
