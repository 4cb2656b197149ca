/** A record with what is new in it, above the record of the baseline that is most like it. */
import type { ComponentChildren } from "preact";
import type { Report } from "../api/types.ts";
import { align, divide, type Pair, printable } from "../parts/text.ts";

interface Range {
  start: number;
  end: number;
}

/** Novel ranges in characters of the text. */
function novelRanges(text: string, novel: readonly Range[]): Range[] {
  let at = 0;
  return divide(text, novel).flatMap((piece) => {
    const start = at;
    at += piece.text.length;
    return piece.novel ? [{ start, end: at }] : [];
  });
}

/** A part of the text, from `offset`, with its novel characters marked. */
function marked(part: string, offset: number, novel: readonly Range[]): ComponentChildren[] {
  const shown: ComponentChildren[] = [];
  let at = 0;
  for (const { start, end } of novel) {
    const from = Math.max(at, start - offset);
    const to = Math.min(part.length, end - offset);
    if (to <= from) continue;
    if (from > at) shown.push(printable(part.slice(at, from)));
    shown.push(<mark key={from}>{printable(part.slice(from, to))}</mark>);
    at = to;
  }
  if (at < part.length) shown.push(printable(part.slice(at)));
  return shown;
}

/** Whether most of the shorter text is in the longer one, so that it helps to see one above the other word by word. */
function isAlike(pairs: readonly Pair[], first: string, second: string): boolean {
  const same = pairs.reduce((sum, pair) => sum + (pair.same ? pair.first.length : 0), 0);
  return same >= 0.4 * Math.min(first.length, second.length);
}

export function RecordText({ record }: { record: NonNullable<Report["record"]> }) {
  return <pre class="record">{marked(record.text, 0, novelRanges(record.text, record.novel))}</pre>;
}

export function RecordView({ report }: { report: Report }) {
  const { record, expected } = report;
  if (record === null || record.text === "") return null;
  const nearest = expected?.nearest ?? "";
  const novel = novelRanges(record.text, record.novel);
  const fresh = record.novel.reduce((sum, { start, end }) => sum + end - start, 0);
  const pairs = nearest !== "" && !/\n/.test(record.text + nearest) ? align(record.text, nearest) : undefined;
  const together = pairs !== undefined && isAlike(pairs, record.text, nearest);
  let offset = 0;
  return (
    <section class="card wide">
      <h2>Record</h2>
      {together ? (
        <div class="aligned">
          {pairs.map((pair, i) => {
            const start = offset;
            offset += pair.first.length;
            return (
              <span key={i} class={pair.same ? "pair" : "pair other"}>
                <span>{marked(pair.first, start, novel)}</span>
                <span class="nearest">{printable(pair.second)}</span>
              </span>
            );
          })}
        </div>
      ) : (
        <>
          <RecordText record={record} />
          {nearest !== "" && (
            <>
              <h3>Most similar normal record</h3>
              <pre class="record nearest">{printable(nearest)}</pre>
            </>
          )}
        </>
      )}
      <p class="hint">
        {fresh > 0 && (
          <>
            <mark>Marked</mark> is what nothing in the baseline explains.{" "}
          </>
        )}
        {together && "Below each part is what the most similar normal record has in its place."}
      </p>
    </section>
  );
}
