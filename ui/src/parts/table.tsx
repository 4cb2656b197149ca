/** A table in a frame of its own, in which it scrolls and which the keyboard reaches. */
import type { ComponentChildren } from "preact";

export interface Column<Row> {
  name: string;
  cell(row: Row): ComponentChildren;
  /** `number`: aligned to the right. `text`: long texts, which may be broken anywhere. */
  kind?: "number" | "text";
  /** Whether its name is for screen readers alone, because the cells speak for themselves. */
  unnamed?: true;
  /** What the name means. */
  title?: string;
}

interface Props<Row> {
  label: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  keyOf(row: Row): string;
  /** Classes of the frame beside `scroll`, such as `tall`. */
  frame?: string;
  /** Loads more rows; undefined if there are none. */
  more?: (() => void) | false | undefined;
}

const classes = { number: "number", text: "any" } as const;

export function Table<Row>({ label, columns, rows, keyOf, frame = "", more }: Props<Row>) {
  return (
    <div class={`scroll ${frame}`} tabindex={0} role="region" aria-label={label}>
      <table>
        <thead>
          <tr>
            {columns.map(({ name, kind, unnamed, title }, i) => (
              <th key={i} class={kind === "number" ? "number" : undefined} title={title}>
                {unnamed ? <span class="hidden">{name}</span> : name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map(({ cell, kind }, i) => (
                <td key={i} class={kind && classes[kind]}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {more && (
        <button type="button" onClick={more}>
          Show more
        </button>
      )}
    </div>
  );
}
