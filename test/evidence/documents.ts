/** Bundles with everything that documents show. */
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import type { BundleContent } from "../../src/evidence/bundle.ts";
import { type Signer, seal } from "../../src/evidence/seal.ts";
import { examples } from "../../src/json/examples.ts";
import type { ReportJson } from "../../src/json/report.ts";
import { exampleContent } from "./content.ts";

function newSigner(): Signer {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  return {
    keyId: createHash("sha256")
      .update(publicKey.export({ format: "der", type: "spki" }))
      .digest("hex"),
    publicKey: publicKey.export({ format: "pem", type: "spki" }) as string,
    sign: async (bytes) => sign(null, bytes, privateKey),
  };
}

const second = (n: number) =>
  `2026-01-31T12:0${4 + Math.floor(n / 60)}:${String(n % 60).padStart(2, "0")}.000000000Z`;

/** Text in the record that senders chose to break documents with. */
export const hostile = "Zahlung abgelehnt ☂ \u0000\u202e \u{1f4a5} 支払 <b>&amp;\nsecond line";

type Anomaly = BundleContent["anomalies"][number];

function anomaly(base: Anomaly, reports: Partial<ReportJson>[], more: Partial<Anomaly>): Anomaly {
  const kept = base.reports[0]!;
  return {
    ...base,
    ...more,
    reports: reports.map((report, index) => ({
      ...kept,
      roles: index === 0 ? ["first", "strongest"] : ["example"],
      report: { ...kept.report, ...report },
    })),
  };
}

/** Of one incident with `anomalies` anomalies, or of one anomaly alone. */
export async function exampleBundle(kind: "incident" | "anomaly", anomalies = 2): Promise<string> {
  const signer = newSigner();
  const content = exampleContent(signer);
  const [base] = content.anomalies as [Anomaly];
  const text = `payment declined: issuer unreachable ${hostile}`;
  const strange = anomaly(
    base,
    [
      { time: second(0), score: 183.4, limit: 61.2, record: { text, novel: [{ start: 18, end: 60 }] } },
      { time: second(14), score: 90, limit: 64 },
      { time: second(50), score: 140, limit: 70 },
    ],
    {
      occurrences: 84,
      end_time: second(130),
      state: "resolved",
      events: [
        { state: "resolved", author: "ann", time: "2026-01-31T12:20:00.000Z", note: "The issuer was down." },
      ],
    },
  );
  const slow = anomaly(
    base,
    [0, 20, 45, 80].map((n, index) => ({
      channel: "value" as const,
      time: second(n),
      value: [2.16e10, 5e9, 9e9, 1.2e9][index]!,
      unit: "ns",
      record: { text: "charge", novel: [] },
      expected: { nearest: "", next: [], low: 6.19e6, high: 1.85e7 },
      explanation: "The span took 21.6 s; usually 6.19–18.5 ms",
      score: 40 - 5 * index,
      limit: 12,
    })),
    {
      id: "6".repeat(32),
      stream: "traces service.name=payment",
      service: "payment",
      signal: "traces",
      channels: ["value"],
    },
  );
  const many = Array.from({ length: anomalies }, (_, index) => ({
    ...(index % 2 === 0 ? strange : slow),
    id: index.toString(16).padStart(32, "a"),
  }));
  const evidence = ["payment", "checkout", "stock", "inventory"].map((service, index) => ({
    ...examples.incidentDetail.evidence[0]!,
    stream: `${index % 2 === 0 ? "traces" : "logs"} service.name=${service}`,
    service,
    severity: (["critical", "high", "medium", "low"] as const)[index]!,
    join: index === 0 ? "first" : "neighbour",
    joined_by: index === 0 ? null : "payment",
    start_time: second(index * 12),
    end_time: second(60 + index * 30),
  }));
  const incident = {
    ...content.incidents[0]!,
    evidence,
    services: ["payment", "checkout", "stock", "inventory"],
    events: [
      {
        state: "acknowledged" as const,
        until: null,
        author: "ann",
        time: "2026-01-31T12:11:00.000Z",
        note: "looking at it",
      },
    ],
  } as BundleContent["incidents"][number];
  const zeros = "0".repeat(64);
  return seal(
    {
      ...content,
      incidents: kind === "incident" ? [incident] : [],
      anomalies: kind === "incident" ? many : [strange],
      privacy: { hash: zeros, policy: {}, counts: [{ kind: "email", place: "stored", count: 3 }] },
      limits: [
        "It finds what is unusual for a stream, not what is wrong: a fault that was there while it learned is usual to it.",
        "It cannot tell why something happened. The ranking of causes goes by what each service took of its own.",
        "About one alarm per stream and day is by chance, by the budget that is configured.",
      ],
      audit: {
        checkpoint: "",
        entries: [
          {
            entry: {
              tenant: "default",
              seq: 1,
              time: "2026-01-31T12:11:00.000Z",
              actor: "ann",
              action: "incident.acknowledged",
              target: incident.id,
              detail: {},
            },
            previous_hash: zeros,
            hash: zeros,
            proof: [],
          },
        ],
        left_out: 0,
        previous: null,
      },
      duties: [
        {
          template: "dora-initial",
          version: "1",
          title: "DORA: initial notification of a major ICT-related incident",
          source: "Commission Implementing Regulation (EU) 2025/302, Annex I (2025-02-20)",
          due: null,
          notes: ["The wording is Driftlock's own and this is no legal advice."],
          fields: [
            { id: "2.1", name: "Reference code", kind: "automatic", value: incident.id },
            { id: "2.4", name: "Description", kind: "drafted", value: "payment is slow" },
            { id: "2.5", name: "Criteria that make the incident major", kind: "open", value: null },
          ],
        },
      ],
    },
    signer,
  );
}
