/** The figures of verdicts as the bundle states them, beside those that were computed again. */
import type { Report } from "../api/types.ts";
import { number, plural, sentence } from "../parts/format.ts";
import { Table } from "../parts/table.tsx";
import { printable } from "../parts/text.ts";
import type { Computed } from "./verify.ts";

const figures: Readonly<Record<string, (report: Report) => string>> = {
  Sentence: ({ explanation }) => sentence(printable(explanation)),
  Severity: ({ severity }) => severity,
  Channel: ({ channel }) => channel,
  Time: ({ time }) => time,
  Score: ({ score }) => number(score, 17),
  Limit: ({ limit }) => number(limit, 17),
  Probability: ({ p_value }) => number(p_value, 17),
  "Times rarer than needed": ({ margin }) => number(margin, 17),
  "Surprise, bits": ({ surprise_bits }) => number(surprise_bits, 17),
};

interface Figure {
  name: string;
  stated: string;
  computed: string;
}

export function Figures({ anomaly, stated, computed }: Computed) {
  const rows = Object.entries(figures).map(
    ([name, of]): Figure => ({ name, stated: of(stated), computed: of(computed) }),
  );
  const different = rows.filter((row) => row.stated !== row.computed).length;
  return (
    <details open={different > 0}>
      <summary>
        {different === 0 ? "The same" : plural(different, "figure differs", "figures differ")}:{" "}
        {sentence(printable(stated.explanation))}
      </summary>
      <p class="hint">
        Anomaly <code>{anomaly}</code>
      </p>
      <Table
        label={`Figures of anomaly ${anomaly}`}
        frame="tall"
        rows={rows}
        keyOf={({ name }) => name}
        columns={[
          { name: "Figure", cell: ({ name }) => name },
          { name: "Stated in the bundle", kind: "text", cell: ({ stated }) => stated },
          {
            name: "Computed again",
            kind: "text",
            cell: ({ stated, computed }) => (stated === computed ? computed : <mark>{computed}</mark>),
          },
        ]}
      />
    </details>
  );
}
