/** Logs with values that patterns of users find and that allow-lists permit, and the reports on them. */
import type { Report } from "../../src/anomaly/report.ts";
import type { EnginePrivacy } from "../../src/native.ts";
import { isFirst, reportsOn } from "./first-reports.ts";
import { type Line, logsRequest, normalLine, random } from "./requests.ts";

export const ownDetectors = [
  { name: "employee_id", pattern: "EMP-[0-9]{6}" },
  { name: "customer", pattern: "(?i)customer (?:no|number)[ :]+([0-9-]{4,12})" },
];
export const ownAllowances = [
  { detectors: ["email"], values: ["support@shop.eu", "info@shop.eu"] },
  { attribute: "enduser.id", pattern: "svc-[a-z]+" },
  { detectors: ["employee_id"], values: ["EMP-000000"] },
];
export const ownPrivacy: EnginePrivacy = { detectors: ownDetectors, allow: ownAllowances };

const digits = (next: () => number, count: number) =>
  String(Math.floor(next() * 10 ** count)).padStart(count, "0");

/** A usual line of a service in which values are found, and some are allowed. */
const staffLine = (next: () => number, service: string): Line => ({
  body: `shift ${digits(next, 3)} of EMP-${digits(next, 6)} begins, questions to support@shop.eu`,
  service,
  attributes: { "enduser.id": next() < 0.5 ? "svc-rota" : `u${digits(next, 6)}`, "customer.count": 3 },
});

/** Strange lines, each of another kind. */
export const strangeOnes: ((next: () => number) => Omit<Line, "service">)[] = [
  (next) => ({ body: `badge reader offline, last badge EMP-${digits(next, 6)} at gate north` }),
  () => ({ body: "mailbox support@shop.eu is full, quota exceeded by 120 messages" }),
  (next) => ({ body: `refund refused for customer no ${digits(next, 8)}, ledger is closed` }),
  (next) => ({
    body: `EMP-${digits(next, 6)} told info@shop.eu that anna.${digits(next, 4)}@mailshop.eu left`,
  }),
  () => ({ body: "impersonation by EMP-000000 denied by policy", attributes: { "enduser.id": "svc-audit" } }),
  (next) => ({
    body: "profile export failed: checksum mismatch in archive",
    attributes: { "enduser.id": `u${digits(next, 6)}`, approver: `EMP-${digits(next, 6)}` },
  }),
  (next) => ({ body: `login of bob.${digits(next, 4)}@mailshop.eu from a new device was blocked` }),
];

/** The first reports on services in each of which something strange happens after it was learned: once where such values are usual, and once where there were none. */
export async function firstReportsOnOwn(privacy: EnginePrivacy = ownPrivacy): Promise<Report[]> {
  const next = random(11);
  const usual = { staff: staffLine, shop: normalLine };
  const kinds = Object.keys(usual) as (keyof typeof usual)[];
  const services = strangeOnes.flatMap((strange, i) =>
    kinds.map((kind) => ({ kind, strange, name: `${kind}-${i}` })),
  );
  const lines = (count: number, { kind, name }: (typeof services)[number]) =>
    Array.from({ length: count }, () => usual[kind](next, name));
  const requests = Array.from({ length: 60 }, () =>
    logsRequest(services.flatMap((service) => lines(30, service))),
  );
  for (const service of services) {
    const strange = { ...service.strange(next), service: service.name, severity: 17 };
    requests.push(logsRequest([...lines(20, service), strange]));
  }
  const set = { name: "own", signal: "logs" as const, requests, train: 0 };
  return (await reportsOn(set, { privacy })).filter(isFirst);
}
