import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Anomaly, AnomalySchema } from "../gen/driftlock/v1/anomaly_pb.js";

/** One report of an anomaly: the first one, a later one as the anomaly grows, or the one that says that it is over. */
export interface Report {
  /** The driftlock.v1.Anomaly message as the engine wrote it. These bytes are stored and hashed. */
  readonly bytes: Uint8Array;
  /** The same message, decoded. */
  readonly message: Anomaly;
}

/** Receives each report as it is made. A sink returns quickly and never throws. */
export type AnomalySink = (report: Report) => void;

/** @throws {Error} if the bytes are not a driftlock.v1.Anomaly message. */
export function decodeReport(bytes: Uint8Array): Report {
  return { bytes, message: fromBinary(AnomalySchema, bytes) };
}

/** Encodes a message that does not come from the engine. */
export function encodeReport(message: Anomaly): Report {
  return { bytes: toBinary(AnomalySchema, message), message };
}
