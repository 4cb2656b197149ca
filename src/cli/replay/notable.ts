/** What a replay says at its end: how many anomalies there were, and what came closest without being one. */
import { printable } from "../../base/printable.ts";
import type { EngineStats, Judged } from "../../engine/index.ts";
import { type Anomaly, State } from "../../gen/driftlock/v1/anomaly_pb.js";

/** Number of findings that are listed. */
const most = 5;
const maxText = 160;

const cut = (text: string) => (text.length > maxText ? `${text.slice(0, maxText)}…` : text);

/** Keeps the strangest findings that were not flagged, one per stream. */
export class NotableFindings {
  readonly #strangest = new Map<string, Anomaly>();
  readonly #anomalies = new Set<string>();

  add({ anomalies, notable }: Judged): void {
    for (const { id, state } of anomalies) if (state === State.OPEN) this.#anomalies.add(id);
    for (const { message: finding } of notable) {
      const key = `${finding.stream}\n${finding.instance}`;
      if (finding.margin > (this.#strangest.get(key)?.margin ?? 0)) this.#strangest.set(key, finding);
    }
  }

  /** Returns the summary, in several lines. */
  text({ streams, learning }: EngineStats): string {
    const count = this.#anomalies.size;
    const anomalies =
      count === 0 ? "nothing crossed its limit" : `${count} ${count === 1 ? "anomaly" : "anomalies"}`;
    const found =
      learning === 0
        ? anomalies
        : `${anomalies}, and ${learning} of ${streams} ${streams === 1 ? "stream" : "streams"} still learned at the end`;
    const strangest = [...this.#strangest.values()].sort((a, b) => b.margin - a.margin).slice(0, most);
    if (strangest.length === 0) return found;
    const lines = strangest.map(({ timeUnixNano, stream, explanation, record }) => {
      const ms = Number(timeUnixNano / 1_000_000n);
      const when = ms > 0 ? `${new Date(ms).toISOString()}  ` : "";
      const text = record === undefined ? "" : `\n    ${printable(cut(record.text))}`;
      return `  ${when}${printable(stream)}: ${printable(explanation)}${text}`;
    });
    // Without times, the number of days that a file covers is an assumption.
    if (strangest.some(({ margin, timeUnixNano }) => margin >= 1 && timeUnixNano === 0n))
      lines.push(
        "  A budget per day withheld some of these. The records carry no times: --rate says how many there are per second.",
      );
    const were = count === 0 ? "the strangest were" : "the strangest of what was not flagged";
    return `${found}; ${were}:\n${lines.join("\n")}`;
  }
}
