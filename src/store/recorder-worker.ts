import { workerData } from "node:worker_threads";
import { fromBinary } from "@bufbuild/protobuf";
import { AnomalySchema } from "../gen/driftlock/v1/anomaly_pb.js";
import { Anomalies } from "./anomalies.ts";
import { Database } from "./database.ts";
import { isBadData, reasonOf } from "./errors.ts";
import type { Batch, RecorderData } from "./recorder.ts";
import { encodeReport } from "./report.ts";
import { serve } from "./thread.ts";

const { config, settings } = workerData as RecorderData;
const database = new Database(config, { thread: "this" });
database.adopt();
let time = 0;
const anomalies = new Anomalies({ database, now: () => time }, settings);

serve<Batch, void>(
  async ({ reports, now }) => {
    time = now;
    await anomalies.recordReports(
      reports.map((bytes) => encodeReport(fromBinary(AnomalySchema, bytes), bytes)),
    );
  },
  () => database.close(),
  (error) => ({ message: reasonOf(error), badData: isBadData(error) }),
);
