import type { BundleContent } from "../../src/evidence/bundle.ts";
import type { Signer } from "../../src/evidence/seal.ts";
import { examples } from "../../src/json/examples.ts";

const zeros = "0".repeat(64);
const { report: _, ...anomaly } = examples.anomaly;
const { anomalies: __, ...incident } = examples.incidentDetail;

/** The content of a bundle, as far as its form matters. */
export function exampleContent({ keyId, publicKey }: Signer): BundleContent {
  return {
    format: "driftlock-evidence/1",
    id: "5f1c0de2a94b4c7d8e6f3a2b1c0d9e8f",
    tenant: "default",
    subject: { anomalies: [examples.anomaly.id], incidents: [] },
    created_at: "2026-01-31T12:30:00.000Z",
    author: "ann",
    signing: { algorithm: "Ed25519", key_id: keyId, public_key: publicKey },
    versions: { driftlock: "0.1.0", node: "24.21.0", codecs: { openzl: "0.3.0" }, snapshot_format: 9 },
    seeds: [42],
    settings: [{ hash: zeros, body: { detect: { seed: 42 } } }],
    incidents: [incident] as BundleContent["incidents"],
    anomalies: [
      {
        ...anomaly,
        reports: [
          {
            roles: ["first", "strongest", "latest"],
            settings: zeros,
            message: "CgE1",
            sha256: zeros,
            report: examples.report,
          },
        ],
        events: [],
        excerpts: { baseline: "payment accepted\n", window: "payment declined: issuer unreachable\n" },
        recording: { kept: false, reason: "It is no longer kept." },
      },
    ] as BundleContent["anomalies"],
    left_out: [],
    retention: {
      max_age_ms: 7_776_000_000,
      max_bytes: 2 ** 30,
      recordings: { max_age_ms: 7_776_000_000, max_bytes: 2 ** 28 },
      oldest_anomaly: "2026-01-01T00:00:00.000Z",
      audit_since: null,
      audit_entries: 0,
    },
    audit: { checkpoint: "", entries: [], left_out: 0, previous: null },
    privacy: null,
    limits: ["It cannot tell why something happened."],
    duties: [],
  };
}
