/** Computes what the stored excerpts of baseline and window reveal beyond the metrics of the report. */
import { type CodecName, native, type WindowMetrics } from "../../native.ts";

export interface Excerpts {
  baselineBytes: number;
  windowBytes: number;
  baselineEntropy: number;
  /** The metrics of the excerpts, computed anew. */
  metrics: WindowMetrics;
}

/** Maximum size of an excerpt, which is more than any window contains. */
const maxSize = 16 * 2 ** 20;

/** Decodes the excerpts. @throws {Error} if they are damaged, or if the codec's window is too small for them. */
export function readExcerpts(encoded: { baseline: string; window: string }, codec: string): Excerpts {
  const frame = (base64: string) => native.decompress("openzl", Buffer.from(base64, "base64"), maxSize);
  const baseline = frame(encoded.baseline);
  const window = frame(encoded.window);
  return {
    baselineBytes: baseline.length,
    windowBytes: window.length,
    baselineEntropy: native.entropy(baseline),
    metrics: native.windowMetrics(baseline, window, codec as CodecName),
  };
}
