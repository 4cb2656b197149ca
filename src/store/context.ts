import type { Database } from "./database.ts";

/** What every part of the store works with. */
export interface Context {
  database: Database;
  /** Milliseconds since 1970. */
  now(): number;
}
