/** Whom the person trusts. It is kept until the page is closed. */
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import "./no-eval.ts";
import {
  type PublicKey,
  readAuthorities,
  readKeys,
  readPublicKey,
  type TrustedKey,
} from "../../../src/verify/index.ts";
import { plural } from "../parts/format.ts";

/** What is undefined was not entered. */
export interface Trusted {
  keys: readonly TrustedKey[] | undefined;
  /** Certificates of time-stamping authorities and revocation lists, in PEM. */
  authorities: string | undefined;
}

const nobody: Trusted = { keys: undefined, authorities: undefined };
export const trusted = signal(nobody);
/** What was entered, by names that people can compare. */
const names = signal<readonly string[]>([]);

const maxBytes = 2 ** 20;

/** @throws {Error} that says what is wrong with the text. */
async function trust(text: string): Promise<void> {
  const keys = readKeys(text) ?? [];
  const authorities = /-----BEGIN (CERTIFICATE|X509 CRL)-----/.test(text) ? text : undefined;
  if (keys.length === 0 && authorities === undefined) {
    throw new Error(
      "this is neither a public key, a certificate or a revocation list in PEM nor the list of `driftlock keys signing list --json`",
    );
  }
  const { certificates = [], revocations = [] } =
    authorities === undefined ? {} : await readAuthorities(authorities);
  const read = await Promise.all(
    keys.map(({ public_key }) =>
      readPublicKey(public_key).catch((): PublicKey => {
        throw new Error("one of the keys is no Ed25519 public key in PEM");
      }),
    ),
  );
  const before = trusted.value;
  trusted.value = {
    keys: keys.length === 0 ? before.keys : [...(before.keys ?? []), ...keys],
    authorities:
      authorities === undefined ? before.authorities : `${before.authorities ?? ""}\n${authorities}`,
  };
  const added = [
    ...read.map(({ id }) => `key ${id}`),
    ...(certificates.length === 0 ? [] : [plural(certificates.length, "certificate")]),
    ...(revocations.length === 0 ? [] : [plural(revocations.length, "revocation list")]),
  ];
  names.value = [...new Set([...names.value, ...added])];
}

function forget(): void {
  names.value = [];
  trusted.value = nobody;
}

export function TrustedKeys({ own }: { own: string | undefined }) {
  const [problem, setProblem] = useState<string>();
  useEffect(() => {
    // What reads certificates is loaded before it is needed, so that the page works without a network from then on.
    readAuthorities("").catch(() => {});
  }, []);
  const take = (text: string) => {
    setProblem(undefined);
    trust(text).catch((error: Error) => setProblem(error.message));
  };
  return (
    <section class="card">
      <h2>Whom you trust</h2>
      <p class="hint">
        Enter the public keys that the operator has published, from a source that you trust: not from this
        page, nor from whoever gave you the file. <code>driftlock keys signing export</code> prints them. If
        the bundle has a time stamp, enter the root certificate of its authority as well, and the revocation
        lists (CRLs) of its chain if you have them.
      </p>
      {names.value.length > 0 && (
        <>
          <ul class="plain">
            {names.value.map((name) => (
              <li key={name}>
                <code>{name}</code>
              </li>
            ))}
          </ul>
          <p>
            <button type="button" onClick={forget}>
              Forget them
            </button>
          </p>
        </>
      )}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          take(String(new FormData(event.currentTarget).get("keys")));
        }}
      >
        <label>
          Public keys, certificates and revocation lists in PEM
          <textarea
            class="code"
            id="keys"
            name="keys"
            rows={4}
            required
            spellcheck={false}
            placeholder="-----BEGIN PUBLIC KEY-----"
          />
        </label>
        {problem && (
          <p class="problems" role="alert">
            Nothing is added: {problem}.
          </p>
        )}
        <div class="actions">
          <button type="submit">Trust these</button>
          <label class="button">
            Choose a file
            <input
              class="hidden"
              type="file"
              accept=".pem,.crt,.crl,.pub,.json,.txt"
              onChange={({ currentTarget }) => {
                const file = currentTarget.files?.[0];
                if (file === undefined) return;
                if (file.size > maxBytes) setProblem(`${file.name} is too large for a list of keys`);
                else void file.text().then(take);
                currentTarget.value = "";
              }}
            />
          </label>
        </div>
      </form>
      {own && (
        <details>
          <summary>The key that this bundle names as its own</summary>
          <pre class="record">{own}</pre>
          <p class="hint">It proves nothing by itself: whoever makes a bundle can put any key into it.</p>
        </details>
      )}
    </section>
  );
}
