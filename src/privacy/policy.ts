/** The privacy policy: as the engine reads it, and as evidence states it, with its canonical form, its hash, and what was found. */
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { canonicalJson, type Json } from "../base/canonical.ts";
import { sha256 } from "../base/sha256.ts";
import { ConfigError } from "../config/problem.ts";
import { type Action, type Place, type PrivacyConfig, places } from "../config/schema/privacy.ts";
import { type EnginePrivacy, native } from "../native.ts";

/** How many values each detector has found, by the place where they would have been seen. What was not found is left out. */
export type PrivacyCounts = { readonly [place in Place]?: { readonly [detector: string]: number } };

/** The fewest bytes of a secret for pseudonyms. */
const shortestKey = 32;

/**
 * Returns the policy as canonical JSON (RFC 8785): `version`, the action at each place, the rules, and the detectors and allow-lists
 * of the configuration, if there are any. Paths of key files are no part of it.
 */
export function canonicalPolicy(config: PrivacyConfig): string {
  const { rules, detectors, allow } = config;
  const policy = {
    version: 1,
    ...Object.fromEntries(places.map((place) => [place, config[place]])),
    ...(JSON.parse(
      JSON.stringify({
        rules,
        ...(detectors.length > 0 && { detectors }),
        ...(allow.length > 0 && { allow }),
      }),
    ) as { [name: string]: Json }),
  };
  return canonicalJson(policy);
}

/** Returns the SHA-256 of the canonical policy, in hex. */
export function policyHash(config: PrivacyConfig): string {
  return sha256(canonicalPolicy(config));
}

/** Returns what happens to the values of a detector at a place, by the rules that are for all sources alike. */
export function actionOf(config: PrivacyConfig, place: Place, detector: string): Action {
  for (const { match, ...decided } of config.rules) {
    const { detectors, ...sources } = match;
    const action = decided[place];
    const general = Object.values(sources).every((pattern) => pattern === undefined);
    if (general && action !== undefined && (detectors?.includes(detector) ?? true)) return action;
  }
  return config[place];
}

/** Returns what evidence states about the policy: its hash, itself, and how many values were found, by detector and place. */
export function policyStatement(
  config: PrivacyConfig,
  counts: PrivacyCounts,
): {
  hash: string;
  policy: { [name: string]: Json };
  counts: { kind: string; place: string; count: number }[];
} {
  const text = canonicalPolicy(config);
  return {
    hash: sha256(text),
    policy: JSON.parse(text) as { [name: string]: Json },
    counts: Object.entries(counts).flatMap(([place, kinds]) =>
      Object.entries(kinds).map(([kind, count]) => ({ kind, place, count })),
    ),
  };
}

/**
 * Returns the policy as the engine reads it.
 * @param installation the key of the engine's hashes, from which the secret of pseudonyms derives if no file has one
 * @throws {ConfigError} if `privacy.key_file` or a pattern cannot be used, or a detector is named that does not exist.
 */
export function enginePrivacy(config: PrivacyConfig, installation: Uint8Array): EnginePrivacy {
  const { scoring, forwarded, stored, logs, evidence, rules, detectors, allow, key_file } = config;
  const policy = {
    scoring,
    forwarded,
    stored,
    logs,
    evidence,
    rules: rules.map(({ match, ...decided }) => defined({ ...match, ...decided })),
    detectors,
    allow: allow.map(defined),
    key: key_file === undefined ? derived(installation) : readKey(key_file),
  };
  try {
    native.textMask(policy, "logs");
  } catch (error) {
    throw new ConfigError([problemOf(error as Error)]);
  }
  return policy;
}

/** What is wrong with a policy, by its key in the configuration. */
function problemOf({ message }: Error): { key: string; message: string } {
  const [, name = "", fault = message] = /^policy\.(\S+) (.*)$/s.exec(message) ?? [];
  return {
    key: `privacy.${name.replace(/^(rules\[\d+\])\.detectors/, "$1.match.detectors")}`,
    message: fault,
  };
}

function derived(installation: Uint8Array): Buffer {
  return createHmac("sha256", installation).update("driftlock privacy pseudonyms").digest();
}

function readKey(path: string): Buffer {
  let fault: string;
  try {
    const key = readFileSync(path);
    if (key.length >= shortestKey) return key;
    fault = `must name a file of at least ${shortestKey} bytes, ${path} has ${key.length}`;
  } catch (error) {
    fault = `names a file that cannot be read: ${(error as Error).message}`;
  }
  throw new ConfigError([{ key: "privacy.key_file", message: fault }]);
}

/** Leaves out what is undefined. */
function defined<T extends object>(object: T): { [name in keyof T]: Exclude<T[name], undefined> } {
  const entries = Object.entries(object).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [name in keyof T]: Exclude<T[name], undefined> };
}
