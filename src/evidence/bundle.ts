/**
 * The format of an evidence bundle, which docs/reference/evidence-bundle.md describes. It is one file: the content as canonical
 * JSON, and the signed statement about it. Everything that an auditor needs is in the content. Nothing here depends on
 * the server.
 */
import { z } from "zod";
import { basisSchema } from "../incidents/basis.ts";
import { anomalyDetailSchema, anomalySchema } from "../json/anomaly-schema.ts";
import { incidentDetailSchema } from "../json/incident-schema.ts";
import { reportSchema } from "../json/report.ts";
import { maxTokenBytes } from "./token.ts";

/** The largest bundle that is made, in bytes. */
export const maxBundleBytes = 64 * 2 ** 20;

/** The name of the format. A change that readers of it do not understand gets another number. */
export const bundleFormat = "driftlock-evidence/1";

const digest = z.string().regex(/^[0-9a-f]{64}$/, "is not a SHA-256 in hexadecimal");
/** Bits at the end that mean nothing must be zero, so that no other text means the same bytes. */
const base64 = z.base64().regex(/(?:^|[^=]|[AQgw]==|[AEIMQUYcgkosw048]=)$/, "is not canonical base64");
const time = z.string().describe("RFC 3339 in UTC");
const json: z.ZodType<{ [name: string]: unknown }> = z.record(z.string(), z.unknown());

const recordingSchema = z
  .discriminatedUnion("kept", [
    z.strictObject({
      kept: z.literal(true),
      data: base64.describe("The recording, from which the report can be computed again"),
      sha256: digest,
    }),
    z.strictObject({
      kept: z.literal(false),
      reason: z.string().describe("Why there is none, such as that it is no longer kept"),
    }),
  ])
  .describe(
    "What a report was computed from: the state of the stream before the record, the record and the settings",
  );

/** Why a report is kept. */
export const reportRoles = ["first", "strongest", "latest", "example"] as const;

const keptReportSchema = z.strictObject({
  roles: z.array(z.enum(reportRoles)).describe("Why it is kept"),
  settings: digest.describe("The settings that it was computed with"),
  message: base64.describe("The report as the engine wrote it, a driftlock.v1.Anomaly message"),
  sha256: digest.describe("SHA-256 of the message"),
  report: reportSchema.describe("The same report, readable"),
  recording: recordingSchema
    .optional()
    .describe(
      "Of a report after the first one that shows what no earlier one did: what it was computed from, without its window",
    ),
});

const anomaly = anomalySchema
  .omit({ report: true })
  .extend({
    reports: z.array(keptReportSchema).describe("All reports that are kept, by occurrence"),
    events: anomalyDetailSchema.shape.events,
    excerpts: z
      .strictObject({ baseline: z.string(), window: z.string() })
      .nullable()
      .describe(
        "The texts that the first report's window was measured on, one per line; null if there are none",
      ),
    recording: recordingSchema,
  })
  .strict();

const keptBasisSchema = z.discriminatedUnion("kept", [
  z.strictObject({ kept: z.literal(true), basis: basisSchema }),
  z.strictObject({ kept: z.literal(false), reason: z.string() }),
]);

const incident = incidentDetailSchema
  .omit({ anomalies: true })
  .extend({
    formed_from: keptBasisSchema
      .optional()
      .describe("What it was formed from, by which it can be computed again, or why there is none"),
  })
  .strict();

const entrySchema = z.strictObject({
  entry: z
    .strictObject({
      tenant: z.string(),
      seq: z.number().int().positive(),
      time,
      actor: z.string(),
      action: z.string(),
      target: z.string(),
      detail: json,
    })
    .describe("The entry. Its canonical JSON is the leaf of the Merkle tree with the index `seq` - 1"),
  previous_hash: digest,
  hash: digest.describe("SHA-256 of `previous_hash` and the entry's canonical JSON, as text"),
  proof: z.array(digest).describe("The inclusion proof by RFC 6962, from the leaf to the root"),
});

const auditSchema = z.strictObject({
  checkpoint: z.string().describe("The tree of the tenant's whole log, as a C2SP checkpoint"),
  entries: z
    .array(entrySchema)
    .describe(
      "All entries about the subject, and the latest 100 about what the retention has deleted, oldest first",
    ),
  left_out: z.number().int().nonnegative().describe("Number of entries about the subject that found no room"),
  previous: z
    .strictObject({
      checkpoint: z.string(),
      proof: z.array(digest).describe("The consistency proof by RFC 6962"),
    })
    .nullable()
    .describe(
      "The checkpoint of the tenant's previous bundle, and the proof that nothing of it was changed or removed since",
    ),
});

const privacySchema = z.strictObject({
  hash: digest.describe("SHA-256 of the policy's canonical JSON"),
  policy: json,
  counts: z
    .array(z.strictObject({ kind: z.string(), place: z.string(), count: z.number().int().nonnegative() }))
    .describe("How often each kind of personal data was found, by place"),
});

/** What a field of a report to a supervisor is: see the templates. */
export const dutyKinds = ["automatic", "configured", "drafted", "open"] as const;

const dutySchema = z
  .strictObject({
    template: z.string().describe("The template, such as `dora-initial`"),
    version: z.string(),
    title: z.string(),
    source: z.string().describe("The law that it follows, with its date"),
    due: time.nullable().describe("When the report is due; null if that is not known"),
    notes: z.array(z.string()),
    fields: z.array(
      z.strictObject({
        id: z.string().describe("The number or the name of the field in its source"),
        name: z.string(),
        kind: z
          .enum(dutyKinds)
          .describe(
            "Where the value comes from: the data, the configuration, a draft to be checked, or a person",
          ),
        value: z.json().describe("Null if the field is open"),
      }),
    ),
  })
  .describe("A report to a supervisor, as far as the data fill it in");

export const contentSchema = z.strictObject({
  format: z.literal(bundleFormat),
  id: z.string().regex(/^[0-9a-f]{32}$/),
  tenant: z.string(),
  subject: z.strictObject({ anomalies: z.array(z.string()), incidents: z.array(z.string()) }),
  created_at: time,
  author: z.string(),
  signing: z.strictObject({
    algorithm: z.literal("Ed25519"),
    key_id: digest.describe("SHA-256 of the public key in DER"),
    public_key: z.string().describe("The public key in PEM"),
  }),
  timestamping: z
    .strictObject({
      authority: z.string().describe("The host of the time-stamping authority that was asked (RFC 3161)"),
      nonce: z
        .string()
        .regex(/^[0-9a-f]{16}$/)
        .describe("The number that the token must repeat, in hexadecimal"),
      policy: z
        .string()
        .nullable()
        .describe("The policy that was asked for; null for the authority's own choice"),
      missing: z.string().nullable().describe("Why the bundle has no token; null if it has one"),
    })
    .nullable()
    .optional()
    .describe("What was asked of a time-stamping authority; null if none is configured"),
  versions: z.strictObject({
    driftlock: z.string(),
    node: z.string(),
    codecs: z.record(z.string(), z.string()),
    snapshot_format: z.number().int(),
  }),
  seeds: z.array(z.number()).describe("The seeds of the settings"),
  settings: z
    .array(z.strictObject({ hash: digest.describe("SHA-256 of the body's canonical JSON"), body: json }))
    .describe("The configuration, versions and seed that the reports were computed with"),
  incidents: z.array(incident).describe("With members, timeline, changes, ranking and judgements"),
  anomalies: z.array(anomaly).describe("The subject's anomalies that are stored, by their start"),
  left_out: z
    .array(z.strictObject({ anomaly: z.string(), reason: z.string() }))
    .describe("Anomalies of the subject that are not contained"),
  retention: z
    .strictObject({
      max_age_ms: z.number(),
      max_bytes: z.number(),
      recordings: z.strictObject({ max_age_ms: z.number(), max_bytes: z.number() }),
      oldest_anomaly: time.nullable().describe("When the oldest anomaly that is kept was stored"),
      audit_since: time.nullable().describe("The time of the audit log's first entry"),
      audit_entries: z.number().int().nonnegative(),
      deletions: z
        .number()
        .int()
        .nonnegative()
        .optional()
        .describe("Number of entries of the audit log about what the retention has deleted"),
      missing: z
        .array(z.strictObject({ kind: z.string(), day: z.string(), count: z.number().int().positive() }))
        .optional()
        .describe(
          "What the counts of the audit log say must be there and is not, by the day on which it was stored",
        ),
    })
    .describe(
      "What is kept, and since when. The audit log is kept whole, as its checkpoint proves, and has an entry about each deletion",
    ),
  audit: auditSchema,
  privacy: privacySchema.nullable().describe("The policy that masks personal data; null if there is none"),
  limits: z.array(z.string()).describe("What the method cannot detect, in plain words"),
  duties: z.array(dutySchema),
});

const envelopeSchema = z.strictObject({
  payload: base64.describe("The statement"),
  payloadType: z.string(),
  signatures: z.array(z.strictObject({ keyid: digest, sig: base64 })).length(1),
});

export const bundleSchema = z.strictObject({
  format: z.literal(bundleFormat),
  content: contentSchema,
  envelope: envelopeSchema.describe("The statement about the content, as a DSSE envelope"),
  timestamp: base64
    .max(Math.ceil(maxTokenBytes / 3) * 4)
    .nullable()
    .describe("A time-stamp token of RFC 3161 for the signature; null if there is none"),
});

export type Bundle = z.output<typeof bundleSchema>;
export type BundleContent = z.output<typeof contentSchema>;
export type BundleAnomaly = BundleContent["anomalies"][number];
export type BundleIncident = BundleContent["incidents"][number];
export type BundleRecording = BundleAnomaly["recording"];
export type BundleAuditEntry = BundleContent["audit"]["entries"][number];
export type Timestamping = NonNullable<BundleContent["timestamping"]>;
export type Duty = z.output<typeof dutySchema>;
export type Envelope = z.output<typeof envelopeSchema>;
