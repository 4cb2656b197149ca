/** The texts that the window of an anomaly's first report was measured on, which are stored as OpenZL frames. */
import { native } from "../native.ts";
import type { AnomalyDetail } from "../store/index.ts";

/** One record per line, oldest first. Personal and secret values in them are masked as in everything that is stored. */
export interface ExcerptTexts {
  baseline: string;
  window: string;
}

/** Null if there are none. @throws {Error} if they are damaged, or one has more bytes than this */
export async function excerptTexts(
  { first }: Pick<AnomalyDetail, "first">,
  maxBytes: number,
): Promise<ExcerptTexts | null> {
  const excerpts = first?.message.excerpts;
  if (excerpts === undefined) return null;
  const text = async (frame: Uint8Array) =>
    frame.length === 0 ? "" : (await native.decompressAsync("openzl", frame, maxBytes)).toString();
  return { baseline: await text(excerpts.baseline), window: await text(excerpts.window) };
}
