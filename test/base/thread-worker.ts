/** A thread that answers with its own ID, and writes a line to a file when it is closed. */
import { appendFileSync } from "node:fs";
import { threadId, workerData } from "node:worker_threads";
import { serve } from "../../src/base/thread.ts";

serve<string, number, object>({
  answer(job) {
    if (job === "fail") throw new Error("it failed");
    return threadId;
  },
  close: () => appendFileSync(workerData as string, "closed\n"),
  toFailure: (error) => ({ message: (error as Error).message }),
});
