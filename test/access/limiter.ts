/** A process with limits that its parent controls by messages: limiter.ts LIMITS, the section as JSON. */
import process from "node:process";
import pino from "pino";
import { Metering } from "../../src/access/metering.ts";
import { configSchema } from "../../src/config/schema.ts";
import type { ExportError } from "../../src/otlp/protocol.ts";

export type Order =
  | { do: "admit" | "state" }
  | { do: "charge" | "countAccepted"; records: number; bytes: number };

export interface Answer {
  retryAfterMs?: number | undefined;
  message?: string;
  shared?: boolean;
  reason?: string;
  /** Lines of the log so far. */
  logged: string[];
}

const tenant = "acme";
const logged: string[] = [];
const log = pino({}, { write: (line: string) => void logged.push(line) });
const { limits } = configSchema.parse({ limits: JSON.parse(process.argv[2]!) });
const metering = new Metering(limits, () => limits, { add() {}, list: async () => [] }, log);

function obey(order: Order): Omit<Answer, "logged"> {
  if (order.do === "state") return metering.sharing() ?? {};
  if (order.do === "charge" || order.do === "countAccepted") {
    metering[order.do](tenant, order);
    return {};
  }
  try {
    metering.limiter.admitIngest(tenant);
    return {};
  } catch (error) {
    const { retryAfterMs, message } = error as ExportError;
    return { retryAfterMs, message };
  }
}

process.on("message", (order: Order) => process.send!({ ...obey(order), logged } satisfies Answer));
process.on("disconnect", () => void metering.close());
