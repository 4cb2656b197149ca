/** What the engine has counted of its streams since it was last asked. */
import { fromBinary } from "@bufbuild/protobuf";
import { type StreamState, streamStateName } from "../anomaly/names.ts";
import type { Channel, Signal } from "../gen/driftlock/v1/anomaly_pb.js";
import { StreamStatisticsPageSchema } from "../gen/driftlock/v1/streams_pb.js";

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
  /** The highest score in its channel's own unit. */
  channelScore: number;
  /** The stream's alarm limit for such scores; 0 if there is none yet. */
  limit: number;
}

/** One page of statistics. */
export interface StatisticsPage {
  /** Streams that have changed, each once. */
  streams: StreamStatistics[];
  /** Number of streams that have changed and are on no page yet. */
  left: number;
  /** The same page as a driftlock.v1.StreamStatisticsPage message. */
  bytes: Uint8Array;
}

/** Decodes a driftlock.v1.StreamStatisticsPage. */
export function decodeStatistics(bytes: Uint8Array): StatisticsPage {
  const { streams, left } = fromBinary(StreamStatisticsPageSchema, bytes);
  return {
    streams: streams.map((stream) => ({
      tenant: stream.tenant,
      key: stream.key,
      signal: stream.signal,
      service: stream.serviceName,
      state: streamStateName(stream.state),
      progress: stream.progress,
      firstSeen: stream.firstTimeUnixNano || undefined,
      lastSeen: stream.lastTimeUnixNano || undefined,
      baselineAt: stream.baselineTimeUnixNano || undefined,
      records: stream.records,
      flagged: stream.flagged,
      withheld: stream.withheld,
      score: stream.score,
      channel: stream.channel,
      pValue: stream.pValue,
      channelScore: stream.channelScore,
      limit: stream.limit,
    })),
    left: Number(left),
    bytes,
  };
}
