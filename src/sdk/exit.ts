/** What waits when the event loop is empty is judged before the process ends. */
import type { Intake } from "./intake.ts";

const open = new Set<Intake>();

function flushAll(): void {
  // A flush of nothing would not let the process end.
  for (const intake of open) if (!intake.idle) void intake.flush();
}

export const flushBeforeExit = {
  add(intake: Intake): void {
    if (open.size === 0) process.on("beforeExit", flushAll);
    open.add(intake);
  },
  delete(intake: Intake): void {
    open.delete(intake);
    if (open.size === 0) process.off("beforeExit", flushAll);
  },
};
