/** What a verification has found. */
import type { Check } from "../../../src/verify/index.ts";
import { plural } from "../parts/format.ts";
import { StateLabel, Time } from "../parts/labels.tsx";
import { printable } from "../parts/text.ts";
import { Figures } from "./figures.tsx";
import type { Outcome as Found } from "./verify.ts";
import { words } from "./words.ts";

/** More faults than this say nothing new. */
const maxDetails = 20;

const marks = {
  true: { state: "active", name: "Passed" },
  false: { state: "failed", name: "Failed" },
  null: { state: "pending", name: "Not checked" },
} as const;

function CheckItem({ check: { name, ok, details } }: { check: Check }) {
  const { title, remedy } = words[name];
  const left = details.length - maxDetails;
  return (
    <li>
      <StateLabel {...marks[`${ok}`]} />
      <div>
        <h3>{title}</h3>
        {details.slice(0, maxDetails).map((detail) => (
          <p key={detail}>{printable(detail)}</p>
        ))}
        {left > 0 && <p>There are {plural(left, "more finding", "more findings")} of this kind.</p>}
        {ok === false && <p class="remedy">{remedy}</p>}
      </div>
    </li>
  );
}

const isTrusted = ({ checks }: Pick<Found["verdict"], "checks">) =>
  checks.find(({ name }) => name === "key")?.ok === true;

function conclusion({ ok, checks }: Found["verdict"]): { title: string; text: string } {
  const failed = checks.filter((check) => check.ok === false).length;
  if (!ok) {
    return {
      title: failed === 1 ? "A check failed" : `${failed} checks failed`,
      text: "The bundle is not as it was made, or it says something that is not so.",
    };
  }
  if (!isTrusted({ checks })) {
    return {
      title: "No check failed, but nobody has said whose key it is",
      text: "The bundle is whole. Whether the operator made it, only the operator's public key can show.",
    };
  }
  return {
    title: "No check failed",
    text: "The bundle is whole, and made by the holder of a key that you trust.",
  };
}

function About({ about }: { about: NonNullable<Found["verdict"]["about"]> }) {
  const { id, tenant, created_at, author, subject, key_id } = about;
  const subjects = [
    ...subject.incidents.map((each) => `incident ${each}`),
    ...subject.anomalies.map((each) => `anomaly ${each}`),
  ];
  return (
    <dl class="pairs">
      <dt>Bundle</dt>
      <dd>
        <code>{id}</code>
      </dd>
      <dt>About</dt>
      <dd>{printable(subjects.join(", "))}</dd>
      <dt>Made</dt>
      <dd>
        <Time at={created_at} /> by {printable(author)}, tenant {printable(tenant)}
      </dd>
      <dt>Signed by the key</dt>
      <dd>
        <code>{key_id}</code>
      </dd>
    </dl>
  );
}

export function Outcome({ file, outcome }: { file: string; outcome: Found }) {
  const { verdict, computed } = outcome;
  const { title, text } = conclusion(verdict);
  return (
    <>
      <section class={`card conclusion ${verdict.ok ? "" : "failed"}`} role="status">
        <h2>{title}</h2>
        <p>
          {text} <span class="muted">{printable(file)}</span>
        </p>
        {verdict.about && <About about={verdict.about} />}
        {verdict.about && !isTrusted(verdict) && (
          <button type="button" onClick={() => document.getElementById("keys")?.focus()}>
            Enter the operator's key
          </button>
        )}
      </section>
      <section class="card">
        <h2>Checks</h2>
        <ol class="verification">
          {verdict.checks.map((check) => (
            <CheckItem key={check.name} check={check} />
          ))}
        </ol>
      </section>
      {computed.length > 0 && (
        <section class="card">
          <h2>Stated and computed figures</h2>
          <p class="hint">
            Each verdict was computed in this browser from the recording in the bundle: the state of the
            stream before the record, the record and the settings.
          </p>
          {computed.map((each) => (
            <Figures key={each.anomaly} {...each} />
          ))}
        </section>
      )}
    </>
  );
}
