/**
 * Verifies bundles of evidence, offline. It depends neither on the server nor on the addon. To compute verdicts again, pass
 * `recompute` of `driftlock/engine`, or what `loadRecompute` makes of driftlock-verify.wasm.
 */
export type { Report } from "../anomaly/report.ts";
export type { Bundle, BundleContent } from "../evidence/bundle.ts";
export { readAuthorities } from "../evidence/token.ts";
export { isSignedBy } from "./audit.ts";
export type { Check } from "./checks.ts";
export { type PublicKey, readPublicKey } from "./crypto.ts";
export { readKeys } from "./keys.ts";
export type { RecomputeOptions } from "./recordings.ts";
export { type TrustedKey, type Verdict, type VerifyOptions, verifyBundle } from "./verify.ts";
export { loadRecompute, type Recompute, RecomputeError } from "./wasm.ts";
