/** Small labels that several pages share. */
import type { Severity } from "../api/types.ts";
import { ago, longTime, shortTime } from "./format.ts";
import { severities } from "./names.ts";

const bars: Readonly<Record<Severity, number>> = { unspecified: 0, low: 1, medium: 2, high: 3, critical: 4 };

/** Shows a severity by the number of bars, so that it can be told without colours. */
export function SeverityMark({ severity, named = false }: { severity: Severity; named?: boolean }) {
  const name = severity === "unspecified" ? "Unknown" : severities[severity];
  return (
    <span class={`severity ${severity}`} title={`Severity: ${name.toLowerCase()}`}>
      <svg viewBox="0 0 16 12" width="16" height="12" aria-hidden="true">
        {[0, 1, 2, 3].map((i) => (
          <rect
            key={i}
            x={i * 4}
            y={8 - i * 2.6}
            width="3"
            height={4 + i * 2.6}
            class={i < bars[severity] ? "on" : "off"}
          />
        ))}
      </svg>
      <span class={named ? "" : "hidden"}>{name}</span>
    </span>
  );
}

/** A state; `pending` says that a person can still undo it. */
export function StateLabel({
  state,
  name,
  pending = false,
}: {
  state: string;
  name: string;
  pending?: boolean;
}) {
  return <span class={`state ${state} ${pending ? "pending" : ""}`}>{name}</span>;
}

export function Time({ at, relative = false }: { at: string; relative?: boolean }) {
  return (
    <time dateTime={at} title={`${longTime(at)} (${ago(at)})`}>
      {relative ? ago(at) : shortTime(at)}
    </time>
  );
}
