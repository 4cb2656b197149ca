/** Checks the time stamp of a bundle. */
import type { Bundle } from "../evidence/bundle.ts";
import { readAuthorities, readToken, type Token } from "../evidence/token.ts";
import { type Check, checkOf, failed, unchecked } from "./checks.ts";
import { fromBase64 } from "./crypto.ts";

/** How far the times of the operator and of the authority may be apart: clocks differ, and an answer takes time. */
const toleranceMs = 300_000;

/** What is said of revocation, by which certificates have a list. */
const revocations = {
  all: "; none of its certificates was revoked",
  some: "; whether each of its certificates was revoked is not known, because a revocation list is missing",
  none: "; whether its certificates were revoked is not known, because there is no revocation list of after that time",
} as const;

/** @param authorities certificates and revocation lists in PEM; without them, it is not checked whether the authority is trusted. */
export async function checkTimeStamp(
  { content, envelope, timestamp }: Bundle,
  authorities: string | undefined,
): Promise<Check> {
  const { timestamping = null, created_at } = content;
  if (timestamping === null || timestamping.missing !== null) {
    if (timestamp !== null) return failed("timestamp", "The bundle has a time stamp that it does not name.");
    const reason = timestamping && `: the authority ${timestamping.authority} ${timestamping.missing}`;
    return unchecked("timestamp", `The bundle has no time stamp${reason ?? ", and none was asked for"}.`);
  }
  const { authority, nonce, policy } = timestamping;
  if (timestamp === null) return failed("timestamp", `The time stamp of ${authority} is missing.`);
  const named = authorities === undefined ? undefined : await readAuthorities(authorities);
  const trusted = named !== undefined && named.certificates.length > 0 ? named : undefined;
  const data = fromBase64(envelope.signatures[0]!.sig);
  let token: Token;
  try {
    token = await readToken(fromBase64(timestamp), { data, nonce, policy }, trusted);
  } catch (error) {
    return failed("timestamp", `The time stamp ${(error as Error).message}.`);
  }
  const time = token.time.toISOString();
  const faults = token.faults.map((fault) => `The time stamp does not fit. ${fault}`);
  if (Math.abs(token.time.getTime() - Date.parse(created_at)) > toleranceMs) {
    faults.push(`The bundle says that it was made at ${created_at}, and its time stamp that it was ${time}.`);
  }
  const confirmed = `${token.authority} confirms that the bundle was signed at ${time}`;
  const revoked = token.revocation && revocations[token.revocation];
  if (faults.length > 0 || trusted !== undefined)
    return checkOf("timestamp", faults, `${confirmed}${revoked}.`);
  return unchecked("timestamp", `${confirmed}; nobody has said whether that authority is trusted.`);
}
