/** What the engine tells of its streams from time to time. */
import { type StreamState, streamStates } from "../anomaly/names.ts";
import type { Channel, Signal } from "../gen/driftlock/v1/anomaly_pb.js";

export interface StreamFigures {
  tenant: string;
  /** As shown to people, such as "logs service.name=checkout". */
  key: string;
  signal: Signal;
  service: string;
  state: StreamState;
  /** Of learning, from 0 to 1. */
  progress: number;
  /** Event times, nanoseconds since 1970; undefined where records carry none. */
  firstSeen: bigint | undefined;
  lastSeen: bigint | undefined;
  /** When it had learned. */
  baselineAt: bigint | undefined;
  /** Since it was last told, as is all that follows. */
  records: bigint;
  flagged: bigint;
  /** Verdicts that were strange enough, but the stream's budget was spent. */
  withheld: bigint;
  /** The highest, and the channel that it is of. Scores are measured by what one in a hundred exceeded in learning. */
  score: number;
  channel: Channel;
  /** The smallest. */
  pValue: number;
}

export interface FiguresPage {
  streams: StreamFigures[];
  /** Streams that have changed and are not told yet. */
  left: number;
}

const headSize = 75;

export function decodeFigures(bytes: Buffer): FiguresPage {
  const streams: StreamFigures[] = [];
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
