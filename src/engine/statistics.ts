/** What the engine has counted of its streams since it was last asked. */
import { type StreamState, streamStates } from "../anomaly/names.ts";
import type { Channel, Signal } from "../gen/driftlock/v1/anomaly_pb.js";

/** A stream, and what was counted of it since its statistics were last read. */
export interface StreamStatistics {
  /** The tenant that the stream belongs to. */
  tenant: string;
  /** The stream's key as shown to people, such as `logs service.name=checkout`. */
  key: string;
  /** The signal of the stream's records. */
  signal: Signal;
  /** Value of the resource's `service.name`; empty if it has none. */
  service: string;
  /** Whether the stream learns, is watched, was packed or evicted, or is beyond its tenant's quota. */
  state: StreamState;
  /** How far learning has come, from 0 to 1. */
  progress: number;
  /** Event time of the first record in nanoseconds since 1970; undefined if records carry no time. */
  firstSeen: bigint | undefined;
  /** Event time of the latest record, likewise. */
  lastSeen: bigint | undefined;
  /** Event time at which learning ended, likewise; undefined while the stream learns. */
  baselineAt: bigint | undefined;
  /** Number of records since the statistics were last read, as for all that follows. */
  records: bigint;
  /** Number of flagged records. */
  flagged: bigint;
  /** Number of verdicts beyond the limit that the stream's alarm budget withheld. */
  withheld: bigint;
  /** The highest score, as a multiple of the score that one in a hundred records exceeded during learning. */
  score: number;
  /** The channel of the highest score. */
  channel: Channel;
  /** The smallest p-value, from 0 to 1. */
  pValue: number;
}

/** One page of statistics. */
export interface StatisticsPage {
  /** Streams that have changed, each once. */
  streams: StreamStatistics[];
  /** Number of streams that have changed and are on no page yet. */
  left: number;
}

const headSize = 75;

export function decodeStatistics(bytes: Buffer): StatisticsPage {
  const streams: StreamStatistics[] = [];
  let at = 4;
  const text = () => {
    const end = at + 4 + bytes.readUInt32LE(at);
    const value = bytes.toString("utf8", at + 4, end);
    at = end;
    return value;
  };
  while (at < bytes.length) {
    const head = at;
    at += headSize;
    const integer = (offset: number) => bytes.readBigUInt64LE(head + offset);
    streams.push({
      tenant: text(),
      key: text(),
      service: text(),
      state: streamStates[bytes[head]!]!,
      signal: bytes[head + 1]!,
      channel: bytes[head + 2]!,
      progress: bytes.readDoubleLE(head + 3),
      firstSeen: integer(11) || undefined,
      lastSeen: integer(19) || undefined,
      baselineAt: integer(27) || undefined,
      records: integer(35),
      flagged: integer(43),
      withheld: integer(51),
      score: bytes.readDoubleLE(head + 59),
      pValue: bytes.readDoubleLE(head + 67),
    });
  }
  return { streams, left: bytes.readUInt32LE(0) };
}
