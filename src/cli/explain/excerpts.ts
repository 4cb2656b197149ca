/** What the kept excerpts of baseline and window tell beyond the report's figures. */
import { type CodecName, native, type WindowMetrics } from "../../native.ts";

export interface Excerpts {
  baselineBytes: number;
  windowBytes: number;
  baselineEntropy: number;
  /** Computed again. */
  metrics: WindowMetrics;
}

/** More than any window holds as text. */
const maxSize = 16 * 2 ** 20;

/** @throws {Error} where the excerpts are damaged, or the codec does not reach across them. */
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
