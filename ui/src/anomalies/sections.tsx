/** The parts of what is known about an anomaly. */
import type { AnomalyDetail, Report } from "../api/types.ts";
import { number, plural, sentence } from "../parts/format.ts";
import { SeverityMark, Time } from "../parts/labels.tsx";
import { channels } from "../parts/names.ts";
import { RangeBar } from "../parts/range-bar.tsx";
import { printable } from "../parts/text.ts";
import { headline } from "./explanation.ts";
import { RecordText } from "./record.tsx";
import { rangeOf } from "./value.ts";

/** What the stream's history made likely instead. */
export function Expected({ report }: { report: Report }) {
  const value = rangeOf(report);
  const next = report.expected?.next ?? [];
  if (next.length === 0 && value === undefined) return null;
  return (
    <section class="card">
      <h2>{value === undefined ? "Expected instead" : `Value against what is usual`}</h2>
      {value && <RangeBar {...value} />}
      {next.length > 0 && (
        <>
          <p>Usually next, likeliest first:</p>
          <ol class="next">
            {next.map((text) => (
              <li key={text}>
                <code>{printable(text)}</code>
              </li>
            ))}
          </ol>
        </>
      )}
    </section>
  );
}

/** Why this is an anomaly: its score, limit, probability and bits. */
export function Score({ report }: { report: Report }) {
  const { score, limit, p_value, margin, surprise_bits, baseline_bits, channel, field, withheld } = report;
  const times = score !== null && limit !== null && limit > 0 ? score / limit : undefined;
  return (
    <section class="card">
      <h2>Why it was flagged</h2>
      {times !== undefined && (
        <div class="meter" role="img" aria-label={`The score is ${number(times)} times the limit`}>
          <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
            <rect class="track" width="100" height="10" />
            <rect
              class="fill"
              width={Math.min(100, Math.max(times * (100 / Math.max(times, 2)), 0))}
              height="10"
            />
            <rect class="limit" x={100 / Math.max(times, 2) - 0.4} width="0.8" height="10" />
          </svg>
        </div>
      )}
      <dl class="pairs">
        <dt>Score</dt>
        <dd>
          {number(score, 4)}, with a limit of {number(limit, 4)}
          {times !== undefined && ` (${number(times)} times the limit)`}
        </dd>
        <dt>Probability</dt>
        <dd>
          {number(p_value, 2)} in normal data
          {margin !== null && margin > 1 && `, ${number(margin)} times rarer than it must be`}
        </dd>
        {surprise_bits !== null && surprise_bits > 0 && (
          <>
            <dt>Bits</dt>
            <dd>
              {number(surprise_bits, 4)}
              {(baseline_bits ?? 0) > 0 || channel === "content"
                ? `, usually ${number(baseline_bits, 4)}`
                : ""}
            </dd>
          </>
        )}
        {channel !== "unspecified" && (
          <>
            <dt>Channel</dt>
            <dd>
              {channel}: {channels[channel]}
            </dd>
          </>
        )}
        {field !== "" && (
          <>
            <dt>Field</dt>
            <dd>
              <code>{field}</code>
            </dd>
          </>
        )}
        {report.trace_id !== "" && (
          <>
            <dt>Trace</dt>
            <dd>
              <code>{report.trace_id}</code>
              {report.span_id !== "" && (
                <>
                  , span <code>{report.span_id}</code>
                </>
              )}
            </dd>
          </>
        )}
        {withheld && (
          <>
            <dt>Withheld</dt>
            <dd>
              {plural(withheld.count, "alarm")} of this stream since the previous one, because the budget was
              spent; the strangest at <Time at={withheld.time} /> by {withheld.channel}
            </dd>
          </>
        )}
      </dl>
    </section>
  );
}

/** What each new field of the record costs. */
export function FieldCosts({ report }: { report: Report }) {
  const { field_costs: costs } = report;
  if (costs.length === 0) return null;
  const most = Math.max(...costs.map(({ bits }) => bits));
  return (
    <section class="card">
      <h2>Bits per field</h2>
      <table class="bars">
        <tbody>
          {costs.map(({ field, bits }) => (
            <tr key={field}>
              <th scope="row">
                <code>{printable(field)}</code>
              </th>
              <td>
                <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
                  <rect width={(100 * bits) / most} height="10" rx="1" />
                </svg>
              </td>
              <td class="number">{number(bits, 4)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="hint">What is new to the stream, by the field that it is in.</p>
    </section>
  );
}

/** For a resource group: the streams that were strange together. */
export function Members({ report }: { report: Report }) {
  if (report.members.length === 0) return null;
  return (
    <section class="card wide">
      <h2>Streams that were unusual together</h2>
      <table>
        <thead>
          <tr>
            <th>Stream</th>
            <th>Channel</th>
            <th class="number">Probability</th>
            <th>Time</th>
          </tr>
        </thead>
        <tbody>
          {report.members.map((member) => (
            <tr key={`${member.stream} ${member.instance}`}>
              <td class="any">
                {member.stream}
                {member.instance && <span class="muted"> {member.instance.replace(/^.*?=/, "")}</span>}
              </td>
              <td>{member.channel}</td>
              <td class="number">{number(member.p_value, 2)}</td>
              <td>
                <Time at={member.time} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** The window that ends with the record, against the baseline. */
export function WindowMeasures({ report }: { report: Report }) {
  const { window } = report;
  if (window === null) return null;
  const rows: [string, string, string][] = [
    ["Compression ratio", number(window.compression_ratio), "compressed size by raw size"],
    ["Delta bits", number(window.delta_bits), "bits per byte that the window costs less than the baseline"],
    ["Entropy", number(window.entropy), "bits per byte"],
    ["NCD", number(window.ncd), "distance from the baseline by compression, from 0 to 1"],
    [
      "NCD, size-matched",
      number(window.ncd_size_matched),
      "against a part of the baseline of the same length",
    ],
  ];
  if (window.permutations > 0) {
    rows.push([
      "Permutation test",
      `p = ${number(window.p_value, 2)}`,
      plural(window.permutations, "permutation"),
    ]);
  }
  return (
    <section class="card">
      <h2>Window against baseline</h2>
      <table class="measures">
        <tbody>
          {rows.map(([name, value, meaning]) => (
            <tr key={name}>
              <th scope="row">
                {name}
                <small>{meaning}</small>
              </th>
              <td class="number">{value}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="hint">
        {plural(window.records, "record")}, {plural(window.raw_bytes, "byte")}, {window.codec || "no codec"}.
        These measures explain; they raise no alarm.
      </p>
    </section>
  );
}

/** What else the anomaly showed: its first report, and others with records of their own. */
export function Other({ anomaly }: { anomaly: AnomalyDetail }) {
  const { report, first, examples } = anomaly;
  const key = ({ time, occurrence }: Report) => `${time} ${occurrence}`;
  const seen = new Set(report ? [key(report)] : []);
  const others = [...(first ? [first] : []), ...examples].filter((each) => {
    if (seen.has(key(each))) return false;
    seen.add(key(each));
    return true;
  });
  if (others.length === 0) return null;
  return (
    <section class="card wide">
      <h2>What else it showed</h2>
      <ol class="reports">
        {others.map((each) => (
          <li key={key(each)}>
            <p>
              <SeverityMark severity={each.severity} /> <Time at={each.time} />
              {each === first && <span class="tag">first report</span>}
              <span class="tag">{each.channel}</span> {sentence(headline(each))}
            </p>
            {each.record && <RecordText record={each.record} />}
          </li>
        ))}
      </ol>
    </section>
  );
}

/** The settings and versions that the verdict was computed with. */
export function Settings({ anomaly }: { anomaly: AnomalyDetail }) {
  if (anomaly.settings.length === 0) return null;
  return (
    <section class="card wide">
      <details>
        <summary>
          <h2>Settings and versions that it was computed with</h2>
        </summary>
        {anomaly.settings.map(({ hash, body }) => (
          <div key={hash}>
            <p class="hint">
              SHA-256 <code class="break">{hash}</code>
            </p>
            <pre class="record">{JSON.stringify(body, null, 2)}</pre>
          </div>
        ))}
      </details>
    </section>
  );
}
