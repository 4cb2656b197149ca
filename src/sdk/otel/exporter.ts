import { type Driftlock, intakeOf } from "../driftlock.ts";
import { sharedDriftlock } from "../shared.ts";
import { overlay } from "./overlay.ts";
import { encode, type Telemetry } from "./telemetry.ts";

/** The code of an `ExportResult` that says that the export failed. */
const failed = 1;

/** The result of an export, as the SDK has it. */
export interface ExportResultLike {
  /** 0 if the export succeeded, 1 if it failed. */
  code: number;
  /** Why it failed. */
  error?: Error;
}

/** An exporter of spans, log records or metrics. */
export interface ExporterLike {
  /** Exports telemetry, and calls `done` with the result. */
  // biome-ignore lint/suspicious/noExplicitAny: exporters of three signals have three types of telemetry.
  export(telemetry: any, done: (result: ExportResultLike) => void): void;
  /** Resolves once everything is exported. */
  forceFlush?(): Promise<void>;
  /** Ends the exporter. */
  shutdown(): Promise<void>;
}

/**
 * Returns an exporter that lets Driftlock judge spans, log records or metrics, gives those that are flagged their `cbad.*` attributes,
 * and passes everything on to `exporter`. What cannot be judged is passed on as it is, and counted by `stats`.
 * @param driftlock the instance that judges; by default one that all parts of the SDK share
 */
export function withDriftlock<E extends ExporterLike>(
  exporter: E,
  driftlock: Driftlock = sharedDriftlock(),
): E {
  const intake = intakeOf(driftlock);
  const running = new Set<Promise<void>>();

  async function judgeAndExport(
    telemetry: Telemetry,
    done: (result: ExportResultLike) => void,
  ): Promise<void> {
    let judged = telemetry;
    try {
      const encoded = encode(telemetry);
      if (encoded !== undefined) {
        const { signal, request, records } = encoded;
        const verdict = await intake.judge(signal, request, records, true);
        if (verdict && verdict.annotations.size > 0) judged = encoded.annotated(verdict.annotations);
      }
    } catch (error) {
      intake.fail(error);
    }
    try {
      exporter.export(judged, done);
    } catch (error) {
      done({ code: failed, error: error as Error });
    }
  }

  const settled = async () => {
    await Promise.all(running);
  };
  return overlay(exporter, {
    export(telemetry: Telemetry, done: (result: ExportResultLike) => void): void {
      const run = judgeAndExport(telemetry, done)
        .catch((error) => intake.fail(error))
        .finally(() => running.delete(run));
      running.add(run);
    },
    async forceFlush(): Promise<void> {
      await settled();
      await exporter.forceFlush?.();
    },
    async shutdown(): Promise<void> {
      await settled();
      await exporter.shutdown();
    },
  });
}
