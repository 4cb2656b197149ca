/** Anomalies as the engine writes them: driftlock.v1.Anomaly. */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Anomaly, AnomalySchema } from "../gen/driftlock/v1/anomaly_pb.js";

/** Who stores an anomaly needs its bytes again; to write them anew costs several times what it takes to keep them. */
const read = new WeakMap<Anomaly, Uint8Array>();

export function decodeAnomaly(bytes: Uint8Array): Anomaly {
  const anomaly = fromBinary(AnomalySchema, bytes);
  read.set(anomaly, bytes);
  return anomaly;
}

/** As it was read. An anomaly is not to be changed: what is changed in one that the engine gave is not encoded. */
export function encodeAnomaly(anomaly: Anomaly): Uint8Array {
  return read.get(anomaly) ?? toBinary(AnomalySchema, anomaly);
}
