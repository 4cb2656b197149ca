/**
 * Time-stamp tokens (RFC 3161): what is asked of an authority, and whether its token says what was asked. Nothing here depends
 * on the server. The library is loaded with the first token.
 */
import type * as Asn1 from "asn1js";
import type * as Pki from "pkijs";
import { fromHex, toHex } from "../base/hex.ts";

/** The largest token, in bytes. Common ones have 2 to 8 KiB. */
export const maxTokenBytes = 64 * 2 ** 10;

/** What a token must confirm. */
export interface Asked {
  /** The bytes that were stamped. */
  data: Uint8Array;
  /** In hex. */
  nonce: string;
  /** The policy that was asked for; null for the authority's own choice. */
  policy: string | null;
}

/** A token that was read. */
export interface Token {
  /** The time that the authority has confirmed. */
  time: Date;
  policy: string;
  /** The name of the authority, by its certificate. */
  authority: string;
  /** What does not fit, in sentences. */
  faults: string[];
  /** Whether revocation lists were given for all of its certificates, for some, or for none; undefined if the chain was not checked. */
  revocation: "all" | "some" | "none" | undefined;
}

const oids = {
  commonName: "2.5.4.3",
  contentType: "1.2.840.113549.1.9.3",
  extendedKeyUsage: "2.5.29.37",
  reasonCode: "2.5.29.21",
  sha256: "2.16.840.1.101.3.4.2.1",
  signedData: "1.2.840.113549.1.7.2",
  signingCertificate: "1.2.840.113549.1.9.16.2.12",
  signingCertificateV2: "1.2.840.113549.1.9.16.2.47",
  timeStamping: "1.3.6.1.5.5.7.3.8",
  tstInfo: "1.2.840.113549.1.9.16.1.4",
};
/** Chains of public authorities have at most four certificates; whoever forges a token could let the search go in circles. */
const maxIssuers = 32;

interface Libraries {
  asn1: typeof Asn1;
  pki: typeof Pki;
}

async function load(): Promise<Libraries> {
  const [asn1, pki] = await Promise.all([import("asn1js"), import("pkijs")]);
  return { asn1, pki };
}

async function digest(bytes: Uint8Array, algorithm = "SHA-256"): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await globalThis.crypto.subtle.digest(algorithm, Uint8Array.from(bytes)));
}

/** Returns a new nonce in hex: 8 bytes that are a positive number without leading zeros. */
export function newNonce(): string {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(8));
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return toHex(bytes);
}

/** Returns the request for a token, a TimeStampReq in DER. */
export async function requestOf({ data, nonce, policy }: Asked): Promise<Uint8Array<ArrayBuffer>> {
  const { asn1, pki } = await load();
  const request = new pki.TimeStampReq({
    version: 1,
    messageImprint: new pki.MessageImprint({
      hashAlgorithm: new pki.AlgorithmIdentifier({
        algorithmId: oids.sha256,
        algorithmParams: new asn1.Null(),
      }),
      hashedMessage: new asn1.OctetString({ valueHex: (await digest(data)).buffer }),
    }),
    ...(policy === null ? {} : { reqPolicy: policy }),
    nonce: new asn1.Integer({ valueHex: fromHex(nonce).buffer }),
    certReq: true,
  });
  return new Uint8Array(request.toSchema().toBER());
}

/**
 * Returns the token in an answer, a TimeStampResp in DER, as it stands there.
 * @throws {Error} that completes "the authority"
 */
export async function tokenIn(answer: Uint8Array): Promise<Uint8Array> {
  const { asn1, pki } = await load();
  let status: Pki.PKIStatusInfo;
  let members: { valueBeforeDecodeView: Uint8Array }[];
  try {
    const { offset, result } = asn1.fromBER(Uint8Array.from(answer));
    if (offset !== answer.length) throw new Error();
    status = new pki.TimeStampResp({ schema: result }).status;
    members = (result as Asn1.Sequence).valueBlock.value;
  } catch {
    throw new Error("sent no answer of RFC 3161");
  }
  // "granted", and "granted with modifications".
  if (status.status !== 0 && status.status !== 1) {
    const reason = status.statusStrings?.map(({ valueBlock }) => valueBlock.value).join(" ");
    throw new Error(`refused, with the status ${status.status}${reason ? ` (${reason.slice(0, 200)})` : ""}`);
  }
  const token = members[1]?.valueBeforeDecodeView;
  if (token === undefined) throw new Error("sent no token");
  return token;
}

/** Whom a person trusts to confirm times. */
export interface Authorities {
  certificates: Pki.Certificate[];
  /** Lists of certificates that were revoked. */
  revocations: Pki.CertificateRevocationList[];
}

/** Returns the certificates and revocation lists in a text in PEM. @throws {Error} if one cannot be read, or there is none. */
export async function readAuthorities(text: string): Promise<Authorities> {
  const { pki } = await load();
  const read = <T>(label: string, what: string, fromBER: (bytes: Uint8Array<ArrayBuffer>) => T): T[] =>
    [...text.matchAll(new RegExp(`-----BEGIN ${label}-----([^-]+)-----END ${label}-----`, "g"))].map(
      ([, body]) => {
        try {
          return fromBER(Uint8Array.from(atob(body!.replace(/\s/g, "")), (c) => c.charCodeAt(0)));
        } catch {
          throw new Error(`holds a ${what} that cannot be read`);
        }
      },
    );
  const certificates = read("CERTIFICATE", "certificate", (bytes) => pki.Certificate.fromBER(bytes));
  const revocations = read("X509 CRL", "revocation list", (bytes) =>
    pki.CertificateRevocationList.fromBER(bytes),
  );
  if (certificates.length + revocations.length === 0) throw new Error("holds no certificate in PEM");
  return { certificates, revocations };
}

/**
 * Reads a token and compares it with what was asked: imprint, nonce, policy, signature, and that its certificate may
 * sign time stamps and is the one that the signature names.
 * @param trusted the authorities that are trusted; without their certificates, the chain is not checked
 * @throws {Error} if it is no token
 */
export async function readToken(token: Uint8Array, asked: Asked, trusted?: Authorities): Promise<Token> {
  const { asn1, pki } = await load();
  const { signed, info, signer } = parse({ asn1, pki }, token);
  const faults: string[] = [];
  const fault = (condition: boolean, text: string) => void (condition && faults.push(text));

  const { hashAlgorithm, hashedMessage } = info.messageImprint;
  const imprint = toHex(hashedMessage.valueBlock.valueHexView);
  const fits = hashAlgorithm.algorithmId === oids.sha256 && imprint === toHex(await digest(asked.data));
  fault(!fits, "It is about something else than the signature.");
  const nonce = info.nonce && toHex(info.nonce.valueBlock.valueHexView);
  fault(nonce !== asked.nonce, `Its nonce is ${nonce ?? "missing"} instead of ${asked.nonce}.`);
  fault(
    asked.policy !== null && info.policy !== asked.policy,
    `Its policy is ${info.policy} instead of ${asked.policy}.`,
  );
  fault(!mayStamp(signer), "Its certificate is not one for time stamps alone.");
  const attributes = signed.signerInfos[0]!.signedAttrs?.attributes ?? [];
  fault(!(await isNamed(asn1, signer, attributes)), "Its signature does not name its certificate.");
  const data = Uint8Array.from(asked.data).buffer;
  // This compares the imprint as well.
  fault(
    fits && !(await signed.verify({ signer: 0, data }).catch(() => false)),
    "Its signature does not fit.",
  );
  let revocation: Token["revocation"];
  if (trusted !== undefined) {
    const sent = (signed.certificates ?? []).filter((each) => each instanceof pki.Certificate);
    // The last one is that whose chain is searched.
    const reason = await chainFault(pki, { signed, info, signer }, [...sent, signer], trusted.certificates);
    fault(reason !== undefined, `Its certificate does not lead to an authority that is trusted: ${reason}.`);
    const path = pathOf(signer, [...trusted.certificates, ...sent]);
    const found = await revocationOf(path, info.genTime, trusted.revocations);
    faults.push(...found.faults);
    revocation = found.covered;
  }
  const time = info.genTime;
  return { time, policy: info.policy, authority: nameOf(signer), faults, revocation };
}

interface Parsed {
  signed: Pki.SignedData;
  info: Pki.TSTInfo;
  /** The certificate that the signature names. */
  signer: Pki.Certificate;
}

function parse({ asn1, pki }: Libraries, token: Uint8Array): Parsed {
  if (token.length > maxTokenBytes) throw new Error("is larger than a token can be");
  try {
    const { offset, result } = asn1.fromBER(Uint8Array.from(token));
    const content = new pki.ContentInfo({ schema: result });
    if (offset !== token.length) throw new Error();
    if (content.contentType !== oids.signedData) throw new Error();
    const signed = new pki.SignedData({ schema: content.content });
    const { eContentType, eContent } = signed.encapContentInfo;
    const [signature, ...others] = signed.signerInfos;
    if (eContentType !== oids.tstInfo || !eContent || !signature || others.length > 0) throw new Error();
    const info = pki.TSTInfo.fromBER(eContent.getValue());
    const signer = signed.certificates?.find(
      (each): each is Pki.Certificate =>
        each instanceof pki.Certificate &&
        signature.sid instanceof pki.IssuerAndSerialNumber &&
        each.issuer.isEqual(signature.sid.issuer) &&
        each.serialNumber.isEqual(signature.sid.serialNumber),
    );
    if (signer === undefined || Number.isNaN(info.genTime.getTime())) throw new Error();
    return { signed, info, signer };
  } catch {
    throw new Error("cannot be read, or lacks the certificate of its authority");
  }
}

/** Whether the only purpose of a certificate is to sign time stamps, as RFC 3161 demands (2.3). */
function mayStamp({ extensions }: Pki.Certificate): boolean {
  const usage = extensions?.find(({ extnID }) => extnID === oids.extendedKeyUsage);
  const { keyPurposes } = (usage?.parsedValue ?? {}) as Partial<Pki.ExtKeyUsage>;
  return usage?.critical === true && keyPurposes?.length === 1 && keyPurposes[0] === oids.timeStamping;
}

/** The digests that name certificates, by their length in bytes. */
const digestNames = new Map([
  [20, "SHA-1"],
  [32, "SHA-256"],
  [48, "SHA-384"],
  [64, "SHA-512"],
]);

/** Whether the signed attributes name the certificate by its digest (RFC 5035), so that no other one can take its place. */
async function isNamed(
  asn1: typeof Asn1,
  signer: Pki.Certificate,
  attributes: readonly Pki.Attribute[],
): Promise<boolean> {
  const value = (...oids: string[]) => attributes.find(({ type }) => oids.includes(type))?.values[0];
  const type = value(oids.contentType);
  if (!(type instanceof asn1.ObjectIdentifier) || type.getValue() !== oids.tstInfo) return false;
  // A sequence, whose first member lists certificates, of which the first is the signer's: its digest, and how that is made.
  const first = (block: unknown) => (block instanceof asn1.Sequence ? block.valueBlock.value : []);
  const [list] = first(value(oids.signingCertificateV2, oids.signingCertificate));
  const hash = first(first(list)[0]).find((each) => each instanceof asn1.OctetString);
  if (!(hash instanceof asn1.OctetString)) return false;
  const named = hash.valueBlock.valueHexView;
  const algorithm = digestNames.get(named.length);
  if (algorithm === undefined) return false;
  return toHex(await digest(new Uint8Array(signer.toSchema().toBER()), algorithm)) === toHex(named);
}

/** Returns why no chain leads from a certificate to an authority that is trusted; undefined if one does. */
async function chainFault(
  pki: typeof Pki,
  { info }: Parsed,
  certificates: readonly Pki.Certificate[],
  anchors: readonly Pki.Certificate[],
): Promise<string | undefined> {
  let searched = 0;
  const engine = new pki.CertificateChainValidationEngine({
    trustedCerts: [...anchors],
    certs: [...certificates],
    checkDate: info.genTime,
    findIssuer(certificate, own, crypto) {
      searched += 1;
      if (searched > maxIssuers) throw new Error("too many certificates");
      return own.defaultFindIssuer(certificate, own, crypto);
    },
  });
  // Revocation is checked apart: what a certificate has signed before may remain valid.
  const { result, resultMessage } = await engine.verify({ passedWhenNotRevValues: true });
  return result ? undefined : resultMessage;
}

/** Returns the certificates of a chain that leads to an authority that is trusted, the signer's first. */
function pathOf(signer: Pki.Certificate, others: readonly Pki.Certificate[]): Pki.Certificate[] {
  const path = [signer];
  for (let last = signer; !last.subject.isEqual(last.issuer) && path.length < maxIssuers; ) {
    const { issuer } = last;
    const next = others.find(({ subject }) => subject.isEqual(issuer));
    if (next === undefined) break;
    path.push(next);
    last = next;
  }
  return path;
}

/** Reasons for which what was signed before the revocation remains valid: RFC 3161, 4. Without a reason, nothing does. */
const harmless: ReadonlySet<unknown> = new Set([0, 3, 4, 5]);

/** Returns what revocation lists say against the certificates of a chain, the signer's first. */
async function revocationOf(
  path: readonly Pki.Certificate[],
  time: Date,
  lists: readonly Pki.CertificateRevocationList[],
): Promise<{ faults: string[]; covered: Token["revocation"] }> {
  const faults: string[] = [];
  let covered = 0;
  for (const [i, certificate] of path.slice(0, -1).entries()) {
    const issuer = path[i + 1]!;
    let current = false;
    for (const list of lists.filter((each) => each.issuer.isEqual(certificate.issuer))) {
      if (!(await list.verify({ issuerCertificate: issuer }).catch(() => false))) {
        faults.push(`The revocation list of ${nameOf(issuer)} is not signed by it.`);
        continue;
      }
      // A list of before says nothing about the time of the token. Lists have whole seconds.
      current ||= list.thisUpdate.value.getTime() + 1_000 > time.getTime();
      const entry = list.revokedCertificates?.find(({ userCertificate }) =>
        userCertificate.isEqual(certificate.serialNumber),
      );
      if (entry === undefined) continue;
      const reason = entry.crlEntryExtensions?.extensions.find(({ extnID }) => extnID === oids.reasonCode);
      const code = (reason?.parsedValue as Asn1.Enumerated | undefined)?.valueBlock.valueDec;
      if (entry.revocationDate.value <= time || !harmless.has(code)) {
        faults.push(
          `Its certificate of ${nameOf(certificate)} was revoked at ${entry.revocationDate.value.toISOString()}.`,
        );
      }
    }
    if (current) covered += 1;
  }
  return { faults, covered: covered === 0 ? "none" : covered === path.length - 1 ? "all" : "some" };
}

/** Returns the common name of a certificate's subject, or all of it. */
function nameOf({ subject }: Pki.Certificate): string {
  const parts = subject.typesAndValues;
  const named = parts.filter(({ type }) => type === oids.commonName);
  return (named.length > 0 ? named : parts).map(({ value }) => value.valueBlock.value).join(", ");
}
