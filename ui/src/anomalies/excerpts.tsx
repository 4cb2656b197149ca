/** The texts that the first report's window was measured on. */
import type { AnomalyDetail } from "../api/types.ts";
import { plural } from "../parts/format.ts";
import { printable } from "../parts/text.ts";

type Excerpt = NonNullable<AnomalyDetail["excerpt_texts"]>["window"];

function Lines({ excerpt: { lines, left_out }, caption }: { excerpt: Excerpt; caption: string }) {
  const count = plural(lines.length, "record");
  return (
    <figure class="excerpt">
      <figcaption>
        <strong>{caption}</strong>{" "}
        <span class="muted">
          {left_out > 0 ? `the latest ${count}; ${left_out} earlier ones are not shown` : count}
        </span>
      </figcaption>
      <ol class="record" tabindex={0} aria-label={caption}>
        {lines.map((line, i) => (
          <li key={i}>{printable(line)}</li>
        ))}
      </ol>
    </figure>
  );
}

export function Excerpts({ anomaly: { excerpt_texts: texts } }: { anomaly: AnomalyDetail }) {
  if (texts === null || texts.window.lines.length === 0) return null;
  return (
    <section class="card wide">
      <details>
        <summary>
          <h2>Texts that were compared</h2>
        </summary>
        <p class="hint">
          The measures of the first report compare its window, the latest records of the stream until then,
          with a window of the stream's baseline. Oldest first; personal and secret values are masked as in
          everything that is stored.
        </p>
        <div class="excerpts">
          <Lines excerpt={texts.window} caption="The window" />
          <Lines excerpt={texts.baseline} caption="The baseline" />
        </div>
      </details>
    </section>
  );
}
