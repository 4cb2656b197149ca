import { readlinkSync } from "node:fs";
import { getPriority, setPriority } from "node:os";
import { workerData } from "node:worker_threads";
import { decodeReport } from "../../anomaly/report.ts";
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

/**
 * Lowers the priority of this thread, so that requests come first if processors are busy. On Linux each thread has its
 * own priority.
 */
function makeWay(): void {
  try {
    const thread = Number(readlinkSync("/proc/thread-self").split("/").at(-1));
    setPriority(thread, Math.min(19, getPriority(thread) + 10));
  } catch {
    // Other systems have no priorities of threads.
  }
}
