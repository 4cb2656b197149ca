/** Collects what is known about an anomaly or an incident, and signs it as a bundle. */
import { randomBytes } from "node:crypto";
import { sha256 } from "../base/sha256.ts";
import type { Config } from "../config/schema.ts";
import { Unrecorded } from "../gen/driftlock/v1/anomaly_pb.js";
import { basisSchema } from "../incidents/basis.ts";
import { anomalyJson, eventsJson } from "../json/anomaly.ts";
import { incidentDetailJson } from "../json/incident.ts";
import { reportJson } from "../json/report.ts";
import { formatMs } from "../json/time.ts";
import type { AnomalyDetail, IncidentDetail, KeptReport, Store } from "../store/index.ts";
import type { Versions } from "../version.ts";
import { proveAudit } from "./audit-proof.ts";
import {
  type BundleAnomaly,
  type BundleContent,
  type BundleIncident,
  type BundleRecording,
  bundleFormat,
  maxBundleBytes,
} from "./bundle.ts";
import { excerptTexts } from "./excerpts.ts";
import { methodLimits } from "./limits.ts";
import { EvidenceRefused } from "./refused.ts";
import { type Signer, seal } from "./seal.ts";
import type { SigningKeys } from "./signing-keys.ts";
import { NoToken, type TimeStamper } from "./time-stamper.ts";

/** What a bundle is about. */
export type Subject = { anomaly: string } | { incident: string };

/** What a bundle is to be made of. */
export interface Asked {
  tenant: string;
  subject: Subject;
  author: string;
  /** The privacy policy and what it has found. */
  privacy: BundleContent["privacy"];
}

/** A bundle that is signed and not stored yet. */
export interface Composed {
  id: string;
  /** The file. */
  bytes: Uint8Array<ArrayBuffer>;
  /** What it says of the audit log, whose entries are `size`. */
  checkpoint: { size: number; note: string };
}

export interface ComposerOptions {
  config: Pick<Config, "evidence" | "store">;
  store: Pick<Store, "anomalies" | "audit" | "auditTree" | "evidence" | "incidents" | "recordings">;
  keys: SigningKeys;
  versions: Versions;
  /** The number of the format of snapshots. */
  snapshotFormat: number;
  /** Without it, bundles have no time stamp. */
  stamper?: TimeStamper | undefined;
  /** Returns the reports to authorities, as far as the content fills them in. */
  duties?: (content: BundleContent) => Promise<BundleContent["duties"]>;
}

/** Bounds of one bundle, besides its size: what its anomalies may take of that, and their recordings. */
const maxAnomalies = 200;
const maxAnomalyBytes = 0.75 * maxBundleBytes;
const maxRecordingBytes = 16 * 2 ** 20;
const maxBasisBytes = 4 * 2 ** 20;
const maxExcerptBytes = 4 * 2 ** 20;
const noRoom = "The bundle has no room for more.";
const tooLarge = () =>
  new EvidenceRefused(
    `the bundle would have more than ${maxBundleBytes / 2 ** 20} MiB, which none may have`,
    false,
  );

export class Composer {
  readonly #options: ComposerOptions;

  constructor(options: ComposerOptions) {
    this.#options = options;
  }

  /**
   * Resolves to undefined if the tenant has no such anomaly or incident.
   * @throws {EvidenceRefused}
   */
  async compose({ tenant, subject, author, privacy }: Asked): Promise<Composed | undefined> {
    const { store, keys } = this.#options;
    const found =
      "anomaly" in subject ? { ids: [subject.anomaly] } : await this.#incident(tenant, subject.incident);
    if (found === undefined) return undefined;
    const details: AnomalyDetail[] = [];
    const leftOut: BundleContent["left_out"] = [];
    for (const id of found.ids) {
      const full = details.length >= maxAnomalies;
      const detail = full ? undefined : await store.anomalies.get(tenant, id);
      if (detail !== undefined) details.push(detail);
      else
        leftOut.push({
          anomaly: id,
          reason: full ? noRoom : "It is no longer stored.",
        });
    }
    if ("anomaly" in subject && details.length === 0) return undefined;
    const signer = await keys.current();
    const id = randomBytes(16).toString("hex");
    const about = { id, author, privacy, signer, ...found, details, leftOut };
    const { content, size } = await this.#content(tenant, about);
    const bytes = new TextEncoder().encode(await this.#seal(content, signer));
    if (bytes.length > maxBundleBytes) throw tooLarge();
    return { id, bytes, checkpoint: { size, note: content.audit.checkpoint } };
  }

  /** Signs the content, and has the signature stamped. If there is no token, the content says why. */
  async #seal(content: BundleContent, signer: Signer): Promise<string> {
    const { stamper } = this.#options;
    if (stamper === undefined) return seal({ ...content, timestamping: null }, signer);
    const timestamping = stamper.ask();
    try {
      return await seal({ ...content, timestamping }, signer, (signature) =>
        stamper.stamp(timestamping, signature),
      );
    } catch (error) {
      if (!(error instanceof NoToken)) throw error;
      return seal({ ...content, timestamping: { ...timestamping, missing: error.message } }, signer);
    }
  }

  async #incident(
    tenant: string,
    id: string,
  ): Promise<{ ids: string[]; incident: BundleIncident } | undefined> {
    const detail = await this.#options.store.incidents.get(tenant, id);
    if (detail === undefined) return undefined;
    const { anomalies: _, ...incident } = incidentDetailJson(detail, []);
    const formed_from = await this.#basis(tenant, detail);
    return { ids: detail.anomalyIds, incident: { ...incident, formed_from } };
  }

  async #basis(
    tenant: string,
    { message: { id, revision } }: IncidentDetail,
  ): Promise<BundleIncident["formed_from"]> {
    const found = await this.#options.store.recordings.basis(tenant, id);
    const missing = (reason: string) => ({ kept: false as const, reason });
    if (found === "gone") return missing("What it was formed from is no longer kept.");
    if (found === undefined) return missing("What it was formed from was not kept.");
    if (found.length > maxBasisBytes) return missing("The bundle has no room for what it was formed from.");
    const basis = basisSchema.parse(JSON.parse(Buffer.from(found).toString()));
    if (basis.revision !== revision) return missing("It has changed while the bundle was made.");
    return { kept: true, basis };
  }

  async #content(
    tenant: string,
    about: {
      id: string;
      author: string;
      privacy: BundleContent["privacy"];
      signer: Signer;
      ids: string[];
      incident?: BundleIncident;
      details: AnomalyDetail[];
      leftOut: BundleContent["left_out"];
    },
  ): Promise<{ content: BundleContent; size: number }> {
    const { config, store, versions, snapshotFormat, duties } = this.#options;
    const { signer, incident } = about;
    const targets = [...about.ids, ...(incident ? [incident.id] : [])];
    const place = { installation: config.evidence.origin, tenant, targets };
    const { audit, size, deletions } = await proveAudit(store.auditTree, place, signer);
    const settings = new Map<string, Record<string, unknown>>();
    const anomalies: BundleAnomaly[] = [];
    const room = { all: maxAnomalyBytes, recordings: maxRecordingBytes };
    for (const detail of about.details) {
      const anomaly = await this.#anomaly(tenant, detail, room.recordings);
      room.all -= Buffer.byteLength(JSON.stringify(anomaly));
      if (room.all < 0) {
        if (incident === undefined) throw tooLarge();
        about.leftOut.push({ anomaly: detail.id, reason: noRoom });
        continue;
      }
      const recordings = [anomaly.recording, ...anomaly.reports.map(({ recording }) => recording)];
      for (const recording of recordings) room.recordings -= sizeOf(recording);
      for (const { hash, body } of detail.settings) settings.set(hash, JSON.parse(body));
      anomalies.push(anomaly);
    }
    const kept = await store.evidence.kept(tenant);
    const time = (ms: number | undefined) => (ms === undefined ? null : formatMs(ms));
    const { retention } = config.store;
    const { recordings } = config.evidence;
    const content: BundleContent = {
      format: bundleFormat,
      id: about.id,
      tenant,
      subject: {
        anomalies: incident === undefined ? about.ids : [],
        incidents: incident === undefined ? [] : [incident.id],
      },
      created_at: formatMs(store.evidence.now()),
      author: about.author,
      signing: { algorithm: "Ed25519", key_id: signer.keyId, public_key: signer.publicKey },
      versions: {
        driftlock: versions.version,
        node: versions.node,
        codecs: { ...versions.codecs },
        snapshot_format: snapshotFormat,
      },
      seeds: seedsOf([...settings.values()]),
      settings: [...settings].map(([hash, body]) => ({ hash, body })),
      incidents: incident === undefined ? [] : [incident],
      anomalies,
      left_out: about.leftOut,
      retention: {
        max_age_ms: retention.max_age,
        max_bytes: retention.max_size,
        recordings: { max_age_ms: recordings.max_age, max_bytes: recordings.max_size },
        oldest_anomaly: time(kept.oldestAnomaly),
        audit_since: kept.auditSince ?? null,
        audit_entries: size,
        deletions,
        missing: await store.audit.missing(tenant),
      },
      audit,
      privacy: about.privacy,
      limits: [...methodLimits],
      duties: [],
    };
    return { content: { ...content, duties: (await duties?.(content)) ?? [] }, size };
  }

  async #anomaly(tenant: string, detail: AnomalyDetail, room: number): Promise<BundleAnomaly> {
    const { anomalies, recordings } = this.#options.store;
    const reports = await anomalies.reports(tenant, detail.id);
    const { report: _, ...shown } = anomalyJson(detail);
    const recording = await this.#recording(tenant, detail, room);
    const later = await recordings.later(tenant, detail.id);
    return {
      ...shown,
      reports: keptReports(reports, later, room - sizeOf(recording)),
      events: eventsJson(detail),
      excerpts: await excerptTexts(detail, maxExcerptBytes),
      recording,
    };
  }

  async #recording(tenant: string, { id, first }: AnomalyDetail, room: number): Promise<BundleRecording> {
    const found = await this.#options.store.recordings.get(tenant, id);
    return recordingJson(found, first?.message.unrecorded, room);
  }
}

function recordingJson(
  found: Uint8Array | "gone" | undefined,
  why: Unrecorded = Unrecorded.UNSPECIFIED,
  room = 0,
): BundleRecording {
  const missing = (reason: string) => ({ kept: false as const, reason });
  if (found === "gone") return missing("Its recording is no longer kept.");
  if (found === undefined) return missing(unrecorded[why]);
  if (found.length > room) return missing("The bundle has no room for its recording.");
  return { kept: true, data: Buffer.from(found).toString("base64"), sha256: sha256(found) };
}

const sizeOf = (recording: BundleRecording | undefined) =>
  recording?.kept ? recording.data.length * 0.75 : 0;

const unrecorded: Readonly<Record<Unrecorded, string>> = {
  [Unrecorded.UNSPECIFIED]: "It was not recorded.",
  [Unrecorded.GROUP]:
    "It was not recorded, because it is about several streams together and belongs to the anomaly of one of them.",
  [Unrecorded.MANY]: "It was not recorded, because its request began too many anomalies.",
  [Unrecorded.LARGE]: "It was not recorded, because the record or the state of the stream is too large.",
  [Unrecorded.OTHER]: "It was not recorded, because something else was strange at the same time.",
  [Unrecorded.MASKED]:
    "It was not recorded, because it depends on personal or secret values, which are not kept or must not be in evidence.",
};

function seedsOf(settings: readonly Record<string, unknown>[]): number[] {
  const seeds = settings.map(({ detect }) => (detect as { seed?: unknown } | undefined)?.seed);
  return [...new Set(seeds.filter((seed) => typeof seed === "number"))];
}

/**
 * @param reports by occurrence
 * @param later the recordings of those after the first, by their hash
 */
function keptReports(
  reports: readonly KeptReport[],
  later: ReadonlyMap<string, Uint8Array | "gone">,
  room: number,
): BundleAnomaly["reports"] {
  let left = room;
  const strongest = reports.reduce((best, { strength }) => Math.max(best, strength), 0);
  const at = reports.findIndex(({ strength }) => strength === strongest);
  return reports.map((report, i) => {
    const roles: BundleAnomaly["reports"][number]["roles"] = [
      ...(i === 0 ? (["first"] as const) : []),
      ...(i === at ? (["strongest"] as const) : []),
      ...(i === reports.length - 1 ? (["latest"] as const) : []),
    ];
    const { news, occurrence } = report.message;
    const isLater = news && occurrence > 1n;
    const recording = isLater ? recordingJson(later.get(report.hash), undefined, left) : undefined;
    left -= sizeOf(recording);
    return {
      roles: roles.length === 0 ? ["example"] : roles,
      settings: report.settingsHash,
      message: Buffer.from(report.bytes).toString("base64"),
      sha256: report.hash,
      report: reportJson(report.message),
      ...(recording && { recording }),
    };
  });
}
