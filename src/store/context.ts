import type { SteadyClock } from "../base/clock.ts";
import type { AuditHeads } from "./audit-heads.ts";
import type { Database } from "./database/database.ts";

/** The database, the heads of the audit logs and the clocks that all parts of the store share. */
export interface Context {
  database: Database;
  heads: Pick<AuditHeads, "record">;
  /** Returns milliseconds since 1970 by the machine's clock, for times that people compare with their own clocks. */
  now(): number;
  /** The clock for times that are compared with each other later. */
  clock: Pick<SteadyClock, "now" | "evenFor">;
  /** Returns milliseconds of a clock that never steps, for durations. */
  elapsed(): number;
}
