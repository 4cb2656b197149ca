/** Says what a recording gives of the findings of its privacy policy: it is not computed again. */
import { detectors as builtIn } from "../base/detectors.ts";
import { plural } from "../base/plural.ts";
import type { Recording } from "../gen/driftlock/v1/recording_pb.js";

/** Undefined if all is computed again. */
export function givenText({ privacy }: Pick<Recording, "privacy">): string | undefined {
  const { findings = [], allowed = [], detectors = [] } = privacy ?? {};
  const kinds = new Set(findings.flatMap(({ parts }) => parts.map(({ kind }) => kind)));
  // The kinds of built-in detectors come first.
  const own = detectors.filter((_, i) => kinds.has(builtIn.length + i));
  const given = [
    ...(own.length > 0 ? [`what the operator's own detectors found (${own.join(", ")})`] : []),
    ...([...kinds].some((kind) => kind < builtIn.length)
      ? ["which kinds of values were found where they are masked now"]
      : []),
    ...(allowed.length > 0
      ? [`${plural(allowed.length, "value")} that the operator's allow-list permits`]
      : []),
  ];
  if (given.length === 0) return undefined;
  return `Taken from the bundle, and not computed again: ${given.join("; ")}.`;
}
