/** Reads the public keys that a person trusts. */
import { z } from "zod";
import type { TrustedKey } from "./verify.ts";

const listedKeys = z.array(
  z.object({
    public_key: z.string(),
    valid_from: z.string().nullish(),
    valid_until: z.string().nullish(),
  }),
);

/**
 * Returns the keys in a text: public keys in PEM, or the list that `driftlock keys signing list --json` prints. Undefined if it is
 * neither.
 */
export function readKeys(text: string): TrustedKey[] | undefined {
  const pems = text.match(/-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----/g);
  if (!text.trimStart().startsWith("[")) return pems?.map((public_key) => ({ public_key }));
  try {
    return listedKeys
      .parse(JSON.parse(text))
      .map(({ public_key, valid_from = null, valid_until = null }) => ({
        public_key,
        valid_from,
        valid_until,
      }));
  } catch {
    return undefined;
  }
}
