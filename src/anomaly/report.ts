import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Anomaly, AnomalySchema } from "../gen/driftlock/v1/anomaly_pb.js";
import { type Recording, RecordingSchema } from "../gen/driftlock/v1/recording_pb.js";

/** One report of an anomaly: the first one, a later one as the anomaly grows, or the one that says that it is over. */
export interface Report {
  /** The driftlock.v1.Anomaly message as the engine wrote it. These bytes are stored and hashed. */
  readonly bytes: Uint8Array;
  /** The same message, decoded. */
  readonly message: Anomaly;
  /**
   * A driftlock.v1.Recording message, which is kept apart from the report: what `recompute` needs. The first report of an anomaly
   * and those with news have it, if the engine records.
   */
  readonly recording?: Uint8Array;
}

/** Receives each report as it is made. A sink returns quickly and never throws. */
export type AnomalySink = (report: Report) => void;

/** @throws {Error} if the bytes are not a driftlock.v1.Anomaly message. */
export function decodeReport(bytes: Uint8Array): Report {
  const message = fromBinary(AnomalySchema, bytes);
  const { recording } = message;
  if (recording.length === 0) return { bytes, message };
  message.recording = new Uint8Array(0);
  // It is the last field: a tag of two bytes, a length, and the recording itself.
  let header = 3;
  for (let size = recording.length; size > 127; size >>= 7) header += 1;
  return { bytes: bytes.subarray(0, bytes.length - recording.length - header), message, recording };
}

/** Decodes a recording, except for its states. @throws {Error} if the bytes are not a driftlock.v1.Recording message. */
export function decodeRecording(recording: Uint8Array): Recording {
  return fromBinary(RecordingSchema, recording);
}

/** Returns the report with its recording as one message, from which `decodeReport` makes both again. */
export function wholeReport({ bytes, recording }: Report): Uint8Array {
  if (recording === undefined) return bytes;
  // Fields may stand in a message in pieces: this one is a message that has nothing but the recording.
  const rest = toBinary(AnomalySchema, create(AnomalySchema, { recording }));
  const whole = new Uint8Array(bytes.length + rest.length);
  whole.set(bytes);
  whole.set(rest, bytes.length);
  return whole;
}

/** Encodes a message that does not come from the engine. */
export function encodeReport(message: Anomaly): Report {
  return { bytes: toBinary(AnomalySchema, message), message };
}
