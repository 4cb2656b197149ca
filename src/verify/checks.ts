/** The result of a verification: one check after another, each with what was found. */

export interface Check {
  name:
    | "layout"
    | "signature"
    | "key"
    | "digest"
    | "statement"
    | "settings"
    | "reports"
    | "chain"
    | "proofs"
    | "checkpoint"
    | "retention"
    | "time"
    | "timestamp"
    | "recordings"
    | "incidents";
  /** Null if it could not be checked, which is no fault of the bundle. */
  ok: boolean | null;
  /** What was found, in sentences: every fault, or what was confirmed. */
  details: string[];
}

export const passed = (name: Check["name"], ...details: string[]): Check => ({ name, ok: true, details });
export const unchecked = (name: Check["name"], ...details: string[]): Check => ({ name, ok: null, details });
export const failed = (name: Check["name"], ...details: string[]): Check => ({ name, ok: false, details });

/** The check fails if there are faults. */
export function checkOf(name: Check["name"], faults: readonly string[], confirmed: string): Check {
  return faults.length === 0 ? passed(name, confirmed) : failed(name, ...faults);
}
