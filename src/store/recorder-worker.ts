import { workerData } from "node:worker_threads";
import { fromBinary } from "@bufbuild/protobuf";
import { AnomalySchema } from "../gen/driftlock/v1/anomaly_pb.js";
import { Database } from "./database.ts";
import { isBadData, reasonOf } from "./errors.ts";
import { recordReports } from "./record.ts";
import type { Batch, RecorderData } from "./recorder.ts";
import { encodeReport } from "./report.ts";
import { serve } from "./thread.ts";

const { config, settings } = workerData as RecorderData;
const database = new Database(config, { thread: "this" });
database.adopt();

serve<Batch, void>(
  async ({ reports, now }) => {
    const read = reports.map((bytes) => encodeReport(fromBinary(AnomalySchema, bytes), bytes));
    await recordReports({ database, now: () => now }, settings, read);
  },
  () => database.close(),
  (error) => ({ message: reasonOf(error), badData: isBadData(error) }),
);
