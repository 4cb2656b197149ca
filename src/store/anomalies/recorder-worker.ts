import { workerData } from "node:worker_threads";
import { decodeReport } from "../../anomaly/report.ts";
import { makeWay } from "../../base/priority.ts";
import { serve } from "../../base/thread.ts";
import { Database } from "../database/database.ts";
import { isBadData, reasonOf } from "../database/errors.ts";
import { recordReports } from "./record.ts";
import { type BadData, type PackedBatch, type RecorderData, unpack } from "./recorder.ts";
import { toRow } from "./report.ts";

makeWay();
const { config, settings } = workerData as RecorderData;
const database = new Database(config, { thread: "this" });
database.adopt();

serve<PackedBatch, void, BadData>({
  async answer(batch) {
    const read = unpack(batch).map((bytes) => toRow(decodeReport(bytes)));
    await recordReports({ database, clock: { now: () => batch.now } }, settings, read);
  },
  close: () => database.close(),
  toFailure: (error) => ({ message: reasonOf(error), badData: isBadData(error) }),
});
