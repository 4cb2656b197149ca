/** What ends a process that runs until it is stopped. */
import { readFileSync } from "node:fs";
import process from "node:process";
import type { Logger } from "../../telemetry/log.ts";
import { exit } from "../shared/io.ts";

/** Interval at which the parent of this process is checked. */
const parentMs = 500;

/** Returns the parent of a shell, if the system has /proc. */
function parentOfShell(pid: number): string | undefined {
  try {
    return /^\d+ \((?:sh|ash|bash|busybox|dash)\) \S (\d+) /.exec(
      readFileSync(`/proc/${pid}/stat`, "utf8"),
    )?.[1];
  } catch {
    return undefined;
  }
}

/**
 * Resolves to the name of the first signal. The second one ends the process at once. npx passes signals to its shell only, so
 * that the process would keep its ports. If npx started it, the end of its parent counts as a signal, and so does the end of
 * npx itself behind its shell, which stays behind if npx is killed.
 */
export function stopSignal(log: Logger, { npm_lifecycle_event: event }: NodeJS.ProcessEnv): Promise<string> {
  return new Promise((resolve) => {
    let stopping = false;
    if (event === "npx") {
      const parent = process.ppid;
      const npx = parentOfShell(parent);
      const timer = setInterval(() => {
        const gone = npx !== undefined && ![npx, undefined].includes(parentOfShell(parent));
        if (process.ppid === parent && !gone) return;
        clearInterval(timer);
        stopping = true;
        resolve("end of npx");
      }, parentMs).unref();
    }
    for (const name of ["SIGTERM", "SIGINT"] as const) {
      process.on(name, () => {
        if (stopping) {
          log.fatal({ signal: name }, "stopped a second time: exiting without delivery");
          process.exit(exit.failure);
        }
        stopping = true;
        resolve(name);
      });
    }
  });
}

/** Ends the process on an unexpected error: in an unknown state it must not judge or forward. Senders retry what it has not answered. */
export function exitOnUncaught(log: Logger): void {
  process.on("uncaughtException", (err, origin) => {
    log.fatal({ err, origin }, "unexpected error; exiting");
    process.exit(exit.failure);
  });
}
