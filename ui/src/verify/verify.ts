/** Verifies a bundle in this browser. Nothing of it is sent anywhere. */
import "./no-eval.ts";
import { version } from "../../../package.json";
import { decodeReport, type Report } from "../../../src/anomaly/report.ts";
import { type ReportJson, reportJson } from "../../../src/json/report.ts";
import { type Bundle, type Verdict, verifyBundle } from "../../../src/verify/index.ts";
import { loadRecompute, type Recompute } from "../../../src/verify/wasm.ts";
import type { Trusted } from "./trusted.tsx";

/** The module that computes verdicts again, if the build had a compiler for it. */
const [moduleUrl] = Object.values(
  import.meta.glob<string>("../../../build/wasm/driftlock-verify.wasm", {
    eager: true,
    query: "?url",
    import: "default",
  }),
);

/** Whether this installation can compute verdicts again in browsers. */
export const hasModule = moduleUrl !== undefined;

/** @throws {Error} that says why the module could not be loaded. */
export async function loadModule(): Promise<Recompute> {
  const response = await fetch(moduleUrl!);
  if (!response.ok) throw new Error(`it was answered with ${response.status}`);
  return loadRecompute(new Uint8Array(await response.arrayBuffer()));
}

/** What a verdict says, and what was computed again from its recording. */
export interface Computed {
  anomaly: string;
  stated: ReportJson;
  computed: ReportJson;
}

export interface Outcome {
  verdict: Verdict;
  /** The public key that the bundle names as its own, in PEM; undefined if it cannot be read. */
  publicKey: string | undefined;
  computed: Computed[];
}

export interface Input {
  file: string;
  trusted: Trusted;
  /** Undefined if there is no module. */
  recompute: Recompute | undefined;
  /** Called with the number of verdicts that have been computed again. */
  onProgress(computed: number): void;
}

/** Lets the browser draw. */
const frame = () => new Promise((resolve) => setTimeout(resolve));

export async function verify({ file, trusted, recompute, onProgress }: Input): Promise<Outcome> {
  const again = new Map<string, ReportJson>();
  const compute = async (recording: Uint8Array): Promise<Report> => {
    const report = decodeReport(recompute!(recording));
    again.set(report.message.id, reportJson(report.message));
    onProgress(again.size);
    await frame();
    return report;
  };
  await frame();
  const verdict = await verifyBundle(file, {
    ...(trusted.keys !== undefined && { keys: trusted.keys }),
    ...(trusted.authorities !== undefined && { authorities: trusted.authorities }),
    ...(recompute !== undefined && { recompute: compute, version }),
  });
  if (verdict.about === undefined) return { verdict, publicKey: undefined, computed: [] };
  const { content } = JSON.parse(file) as Bundle;
  return {
    verdict,
    publicKey: content.signing.public_key,
    computed: content.anomalies.flatMap(({ id, reports }) => {
      const stated = reports.find(({ roles }) => roles.includes("first"))?.report;
      const computed = again.get(id);
      return stated && computed ? [{ anomaly: id, stated, computed }] : [];
    }),
  };
}
