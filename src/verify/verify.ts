/**
 * Verifies a bundle of evidence offline: its form, its signature, its digests, what it says of the audit log, and, given
 * `recompute`, the verdicts themselves. Nothing here depends on the server or on Node.js.
 */
import { canonicalJson, type Json } from "../base/canonical.ts";
import { type Bundle, bundleSchema } from "../evidence/bundle.ts";
import { readLines } from "../evidence/layout.ts";
import {
  payloadType,
  type Statement,
  signedBytes,
  statementSchema,
  subjectName,
} from "../evidence/statement.ts";
import { checkAudit } from "./audit.ts";
import { type Check, checkOf, failed, passed, unchecked } from "./checks.ts";
import { fromBase64, hexDigest, type PublicKey, readPublicKey } from "./crypto.ts";
import { checkIncidents } from "./incidents.ts";
import { checkRecordings, type RecomputeOptions } from "./recordings.ts";
import { checkReports, checkSettings } from "./reports.ts";
import { checkRetention } from "./retention.ts";
import { checkTimeStamp } from "./time-stamp.ts";

export type { Check } from "./checks.ts";

/** A key that the reader of the bundle knows to be the operator's, with the time for which it is valid. */
export interface TrustedKey {
  /** In PEM. */
  public_key: string;
  /** RFC 3339. */
  valid_from?: string | null;
  valid_until?: string | null;
}

export interface VerifyOptions extends RecomputeOptions {
  /** Without keys, a bundle is verified with the key that it names itself. */
  keys?: readonly TrustedKey[];
  /** The certificates of time-stamping authorities that are trusted, and lists of revoked ones, in PEM. */
  authorities?: string;
}

export interface Verdict {
  /** Whether no check failed. */
  ok: boolean;
  checks: Check[];
  /** What the bundle says that it is about; undefined if it cannot be read. */
  about?: {
    id: string;
    tenant: string;
    created_at: string;
    author: string;
    subject: Bundle["content"]["subject"];
    key_id: string;
  };
}

/** Verifies the text of a bundle's file. It never throws for what the file holds. */
export async function verifyBundle(file: string, options: VerifyOptions = {}): Promise<Verdict> {
  const read = readBundle(file);
  if ("faults" in read) return { ok: false, checks: [failed("layout", ...read.faults)] };
  const { bundle, content: contentLine } = read;
  const { content, envelope } = bundle;
  const [signature] = envelope.signatures;
  const payload = fromBase64(envelope.payload);
  const checks: Check[] = [passed("layout", "The file is an evidence bundle in canonical form.")];

  let key: PublicKey | undefined;
  try {
    key = await readPublicKey(content.signing.public_key);
  } catch (error) {
    checks.push(failed("signature", `The public key of the bundle ${(error as Error).message}.`));
  }
  if (key !== undefined) {
    checks.push(await checkSignature(bundle, key, payload));
    checks.push(await checkKey(key, content.created_at, options.keys));
  }
  const statement = readStatement(payload);
  if (statement === undefined) {
    checks.push(failed("statement", "The signed payload is no statement about an evidence bundle."));
  } else {
    checks.push(await checkDigest(statement, contentLine, content), checkStatement(statement, content));
  }
  checks.push(await checkSettings(content), await checkReports(content));
  checks.push(...(await checkAudit(content, key)), checkRetention(content));
  checks.push(checkTime(content), await checkTimeStamp(bundle, options.authorities));
  checks.push(await checkRecordings(content, options));
  const incidents = await checkIncidents(content);
  if (incidents !== undefined) checks.push(incidents);
  return {
    ok: checks.every(({ ok }) => ok !== false),
    checks,
    about: {
      id: content.id,
      tenant: content.tenant,
      created_at: content.created_at,
      author: content.author,
      subject: content.subject,
      key_id: signature!.keyid,
    },
  };
}

function readBundle(file: string): { bundle: Bundle; content: string } | { faults: string[] } {
  let members: ReturnType<typeof readLines>;
  try {
    members = readLines(file);
  } catch (error) {
    return { faults: [`The file is no evidence bundle: ${(error as Error).message}.`] };
  }
  const values: Record<string, unknown> = {};
  const faults: string[] = [];
  for (const [name, line] of Object.entries(members)) {
    try {
      values[name] = JSON.parse(line);
      if (canonicalJson(values[name] as Json) !== line)
        faults.push(`The member ${name} is not canonical JSON.`);
    } catch (error) {
      faults.push(`The member ${name} is not canonical JSON: ${(error as Error).message}.`);
    }
  }
  if (faults.length > 0) return { faults };
  const parsed = bundleSchema.safeParse(values);
  if (parsed.success) return { bundle: parsed.data, content: members.content };
  return {
    faults: parsed.error.issues.slice(0, 20).map(({ path, message }) => `${path.join(".")}: ${message}.`),
  };
}

function readStatement(payload: Uint8Array): Statement | undefined {
  try {
    return statementSchema.parse(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload)));
  } catch {
    return undefined;
  }
}

async function checkSignature(
  { content, envelope }: Bundle,
  key: PublicKey,
  payload: Uint8Array,
): Promise<Check> {
  const { keyid, sig } = envelope.signatures[0]!;
  const faults: string[] = [];
  if (envelope.payloadType !== payloadType) faults.push(`The payload type is not ${payloadType}.`);
  if (key.id !== content.signing.key_id)
    faults.push("The public key has another fingerprint than the content names.");
  if (key.id !== keyid) faults.push("The signature names another key than the content.");
  if (!(await key.verify(signedBytes(envelope.payloadType, payload), fromBase64(sig)))) {
    faults.push("The signature does not fit the statement and the key.");
  }
  return checkOf("signature", faults, `The statement is signed by the key ${key.id}.`);
}

async function checkKey(key: PublicKey, time: string, trusted: VerifyOptions["keys"]): Promise<Check> {
  if (trusted === undefined) {
    return unchecked(
      "key",
      `Nobody has said whose key ${key.id} is: compare it with what the operator has published.`,
    );
  }
  const ids = await Promise.all(trusted.map(async (each) => (await readPublicKey(each.public_key)).id));
  const own = trusted.filter((_, i) => ids[i] === key.id);
  if (own.length === 0) return failed("key", `The key ${key.id} is none of those that are trusted.`);
  const made = Date.parse(time);
  const valid = own.some(
    ({ valid_from, valid_until }) =>
      (valid_from == null || made >= Date.parse(valid_from)) &&
      (valid_until == null || made <= Date.parse(valid_until)),
  );
  return valid
    ? passed("key", "The key is trusted, and was valid when the bundle was made.")
    : failed("key", `The key was not valid when the bundle was made, at ${time}.`);
}

async function checkDigest(statement: Statement, line: string, content: Bundle["content"]): Promise<Check> {
  const digests = new Map(statement.subject.map(({ name, digest }) => [name, digest.sha256]));
  if (digests.get(subjectName()) === (await hexDigest(line))) {
    return passed("digest", "The content is the one that was signed.");
  }
  const members = Object.entries(content);
  const altered: string[] = [];
  for (const [member, value] of members) {
    if (digests.get(subjectName(member)) !== (await hexDigest(canonicalJson(value as Json))))
      altered.push(member);
  }
  const what = altered.length === 0 ? "its members are unaltered" : `altered: ${altered.join(", ")}`;
  return failed("digest", `The content is not the one that was signed; ${what}.`);
}

function checkStatement({ predicate }: Statement, content: Bundle["content"]): Check {
  const members = ["format", "id", "tenant", "created_at"] as const;
  const faults = members
    .filter((member) => predicate[member] !== content[member])
    .map((member) => `The statement and the content differ in ${member}.`);
  return checkOf("statement", faults, "The statement is about this bundle.");
}

function checkTime({ created_at, audit }: Bundle["content"]): Check {
  const later = audit.entries.filter(({ entry }) => Date.parse(entry.time) > Date.parse(created_at));
  const faults = later.map(({ entry }) => `Entry ${entry.seq} of the audit log is later than the bundle.`);
  if (Number.isNaN(Date.parse(created_at))) faults.push("The time of creation is no time.");
  return checkOf(
    "time",
    faults,
    `The bundle says that it was made at ${created_at}, and no entry of the audit log is later.`,
  );
}
