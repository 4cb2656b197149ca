import type { SteadyClock } from "../base/clock.ts";
import type { AuditHeads } from "./audit-heads.ts";
import type { Database } from "./database/database.ts";

/** What every part of the store works with. */
export interface Context {
  database: Database;
  heads: AuditHeads;
  /** Milliseconds since 1970 by the machine's clock, for what people compare with their own. */
  now(): number;
  /** For times that are compared with each other later. */
  clock: Pick<SteadyClock, "now" | "evenFor">;
  /** For durations: milliseconds by a clock that never steps. */
  elapsed(): number;
}
