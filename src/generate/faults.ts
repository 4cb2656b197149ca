/** Makes texts that are new to a stream: errors, secrets and attributes. Each anomaly draws its own. */
import type { Random } from "./random.ts";

const nouns = ["Ledger", "Quota", "Refund", "Mandate", "Escrow", "Voucher", "Tariff", "Invoice"];
const verbs = ["reconcile", "freeze", "split", "replay", "rebalance", "archive", "merge", "revoke"];
const causes = [
  "no counterpart entry",
  "checksum mismatch",
  "stale fencing token",
  "negative balance",
  "clock went backwards",
  "duplicate idempotency key",
];
const words = ["canary", "tenant", "rollout", "shadow", "variant", "cohort", "bucket", "residency"];

export interface Failure {
  type: string;
  message: string;
  trace: string;
}

/** Returns a Java stack trace of classes that nothing else names. */
export function stackTrace(random: Random): Failure {
  const noun = random.pick(nouns);
  const verb = random.pick(verbs);
  const type = `example.shop.${noun.toLowerCase()}.${noun}ConsistencyException`;
  const message = `cannot ${verb} ${noun.toLowerCase()}: ${random.pick(causes)}`;
  const frames = Array.from({ length: random.int(4, 7) }, () => {
    const owner = `${random.pick(nouns)}${random.pick(["Store", "Worker", "Guard", "Planner"])}`;
    return `\tat example.shop.${noun.toLowerCase()}.${owner}.${random.pick(verbs)}(${owner}.java:${random.int(20, 900)})`;
  });
  return { type, message, trace: [`${type}: ${message}`, ...frames].join("\n") };
}

/** Returns a number with the check digit of ISO/IEC 7812-1, from the range that card networks reserve for tests. */
export function cardNumber(random: Random): string {
  const digits = `411111${Array.from({ length: 9 }, () => random.int(0, 9)).join("")}`;
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[i]) * (i % 2 === 0 ? 2 : 1);
    sum += digit > 9 ? digit - 9 : digit;
  }
  return `${digits}${(10 - (sum % 10)) % 10}`.replace(/(.{4})(?!$)/g, "$1 ");
}

export function secret(random: Random): string {
  const blob = Buffer.from(random.bytes(96)).toString("base64");
  return `debug dump of request: pan=${cardNumber(random)} cvv=${random.int(100, 999)} auth=${blob}`;
}

export function fieldName(random: Random): string {
  return `experiment.${random.pick(words)}.${random.pick(verbs)}`;
}
