import type { AnomalyDocument } from "./read.ts";
import { renderAnomaly } from "./render.ts";

/** Explains an anomaly in words and numbers. `onFault` receives why its excerpts cannot be shown. */
export async function explainAnomaly(
  anomaly: AnomalyDocument,
  onFault: (reason: string) => void,
): Promise<string> {
  const { excerpts, first } = anomaly;
  if (!excerpts || !first?.window) return renderAnomaly(anomaly);
  // The addon is loaded only if there is something to compute.
  const { readExcerpts } = await import("./excerpts.ts");
  try {
    return renderAnomaly(anomaly, readExcerpts(excerpts, first.window.codec));
  } catch (error) {
    onFault(`its excerpts cannot be shown: ${(error as Error).message}`);
    return renderAnomaly(anomaly);
  }
}
