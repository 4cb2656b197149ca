import { expect, test } from "vitest";
import { ConfigError } from "../../src/config/problem.ts";
import { privacy } from "../../src/config/schema/privacy.ts";
import { native } from "../../src/native.ts";
import { canonicalPolicy, enginePrivacy, policyHash } from "../../src/privacy/policy.ts";

test("the default masks everything but what is judged and forwarded", () => {
  expect(canonicalPolicy(privacy.parse({}))).toBe(
    '{"evidence":"mask","forwarded":"flag","logs":"mask","rules":[],"scoring":"flag","stored":"mask","version":1}',
  );
});

test("the hash depends on what the policy does, not on how it is written", () => {
  const hash = (config: unknown) => policyHash(privacy.parse(config));
  const rule = { match: { detectors: ["card"], tenant: "acme" }, forwarded: "mask" };
  expect(hash({ rules: [rule] })).toBe(
    hash({ rules: [{ forwarded: "mask", match: { tenant: "acme", detectors: ["card"] } }], stored: "mask" }),
  );
  expect(hash({ rules: [rule] })).not.toBe(hash({}));
  expect(hash({ key_file: "/tmp/key" })).toBe(hash({}));
});

const key = new Uint8Array(32);

test("users' detectors and allow-lists are part of the policy", () => {
  const config = privacy.parse({
    detectors: [{ name: "employee_id", pattern: "EMP-[0-9]{6}" }],
    allow: [{ detectors: ["email", "employee_id"], values: ["EMP-000001", "info@shop.eu"] }],
    rules: [{ match: { detectors: ["employee_id"] }, logs: "drop" }],
  });
  const masked = (place: "stored" | "logs") =>
    native.textMask(enginePrivacy(config, key), place)("EMP-123456, EMP-000001, info@shop.eu, a@shop.eu");
  expect(masked("stored")).toBe("[employee_id], EMP-000001, info@shop.eu, [email]");
  expect(masked("logs")).toBe(", EMP-000001, info@shop.eu, [email]");
  expect(canonicalPolicy(config)).toContain('"detectors":[{"name":"employee_id","pattern":"EMP-[0-9]{6}"}]');
  expect(policyHash(config)).not.toBe(policyHash(privacy.parse({})));
});

test.each([
  [
    { detectors: [{ name: "a", pattern: "x{33}" }] },
    "privacy.detectors[0].pattern: repeats something up to 33 times",
  ],
  [{ detectors: [{ name: "a", pattern: "(" }] }, "privacy.detectors[0].pattern: is not valid: missing )"],
  [{ allow: [{ pattern: "[\\pL\\pN]{30,32}" }] }, "privacy.allow[0].pattern: is too large"],
  [
    { allow: [{ detectors: ["no"], values: ["x"] }] },
    'privacy.allow[0].detectors[0]: names a detector that does not exist: "no"',
  ],
  [
    { rules: [{ match: { detectors: ["card", "no"] } }] },
    "privacy.rules[0].match.detectors[1]: names a detector that does not exist",
  ],
])("a policy that cannot be used is refused by its key: %j", (config, message) => {
  expect(() => enginePrivacy(privacy.parse(config), key)).toThrow(ConfigError);
  expect(() => enginePrivacy(privacy.parse(config), key)).toThrow(message);
});

test.each([
  [{ detectors: [{ name: "email", pattern: "x" }] }, "must not be that of a built-in detector"],
  [{ detectors: [{ name: "Own", pattern: "x" }] }, "must consist of at most 32"],
  [{ detectors: ["x", "y"].map((pattern) => ({ name: "own", pattern })) }, "must not be used twice"],
  [{ allow: [{ detectors: ["email"] }] }, "must have `values` or a `pattern`"],
])("the configuration refuses %j", (config, message) => {
  expect(privacy.safeParse(config).error?.issues[0]?.message).toContain(message);
});
