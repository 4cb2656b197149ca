/** What tests of reports share. */
import { configSchema } from "../../src/config/schema.ts";
import type { Facts } from "../../src/evidence/reports/index.ts";
import { incidentDetailJson } from "../../src/json/incident.ts";
import type { IncidentDetail } from "../../src/store/index.ts";
import { id, incident, midnight } from "../store/fixtures.ts";

const minute = 60_000_000_000n;

export const reporting = configSchema.parse({
  evidence: {
    reporting: {
      currency: "EUR",
      entity: { name: "Example Bank", lei: "5493001KJTIIGC8Y1R12", types: ["credit_institution"] },
      contact: { name: "Ann Example", email: "ann@bank.example", phone: "+33 1 23 45 67 89" },
      second_contact: { name: "Bo Example", email: "bo@bank.example", phone: "+33 1 23 45 67 80" },
      parent: { name: "Example Group", lei: "549300DTUYXVMJXZNY75" },
      functions: { payment: "Payments", checkout: "Retail sales" },
      critical_services: ["payment"],
    },
  },
}).evidence.reporting;

const ended: IncidentDetail = {
  message: incident({
    id: "019c11eaa8000000000000000000abcd",
    endTimeUnixNano: midnight + 95n * minute,
    reportedTimeUnixNano: midnight + 2n * minute,
    seenBefore: ["019c01eaa8000000000000000000abcd"],
    ranking: [
      { service: "payment", operation: "charge", seconds: 41, reasons: [] },
      { service: "postgres", seconds: 2, reasons: [] },
    ],
  }),
  state: "resolved",
  expectedUntil: undefined,
  members: 1,
  recordedAt: 1_769_817_730_000,
  changedAt: 1_769_830_000_000,
  anomalyIds: [id(11)],
  events: [
    {
      state: "resolved",
      author: "ann",
      time: 1_769_828_400_000,
      until: undefined,
      note: "restarted the pool",
    },
  ],
};

/** Facts of a resolved incident of an entity that is configured and has classified it. */
export const facts = (more: Partial<Facts> = {}): Facts => ({
  incident: incidentDetailJson(ended, []),
  entered: {
    moments: { aware: "2026-01-31T00:05:00Z", classified: "2026-01-31T01:00:00Z" },
    submissions: {},
    fields: {},
  },
  reporting,
  retention: { max_age: 7_776_000_000, max_size: 1 },
  now: "2026-01-31T04:00:00Z",
  ...more,
});

/** Facts of one that still goes on, of an entity that has configured nothing. */
export const bare = (): Facts =>
  facts({
    incident: incidentDetailJson(
      { ...ended, state: "open", events: [], message: incident({ ranking: [] }) },
      [],
    ),
    entered: { moments: {}, submissions: {}, fields: {} },
    reporting: configSchema.parse({}).evidence.reporting,
  });
