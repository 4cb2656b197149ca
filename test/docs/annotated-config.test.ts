/** docs/guides/driftlock.yaml is valid, shows the defaults, and has every key. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import selfsigned from "selfsigned";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parse } from "yaml";
import { keys } from "../../src/config/keys.ts";
import { loadConfig } from "../../src/config/load.ts";
import { driftlock } from "../cli/driftlock.ts";

const path = fileURLToPath(new URL("../../docs/guides/driftlock.yaml", import.meta.url));
const text = readFileSync(path, "utf8");
const uncommented = text.replaceAll(/^( *)#(?=( {2})*[a-z_]+:)/gm, "$1");

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "driftlock-docs-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function names(value: unknown, at: string[] = []): string[] {
  if (keys.some(({ name }) => name === at.join("."))) return [at.join(".")];
  return Object.entries(value as object).flatMap(([name, inner]) => names(inner, [...at, name]));
}

it("is valid, and shows the defaults", async () => {
  expect(await driftlock(["validate", "--config", path])).toEqual({ code: 0, out: "OK\n", err: "" });
  expect(loadConfig({ file: path, env: {} }).config).toEqual(loadConfig({ env: {} }).config);
});

it("has every key once", () => {
  const found = names(parse(uncommented));
  expect(found.sort()).toEqual(keys.map(({ name }) => name).sort());
});

it("has examples that are valid", async () => {
  const { cert, private: key } = await selfsigned.generate();
  for (const [name, content] of Object.entries({
    "hash.key": "0".repeat(64),
    "evidence.key": key,
    "tls/tls.crt": cert,
    "tls/tls.key": key,
    "tls/ca.crt": cert,
    "tls/client.crt": cert,
    "tls/client.key": key,
  })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content, { mode: 0o600 });
  }
  mkdirSync(join(folder, "templates"));
  const file = join(folder, "driftlock.yaml");
  writeFileSync(
    file,
    uncommented
      .replaceAll("/etc/driftlock", folder)
      .replace("auth:\n  enabled: false", "auth:\n  enabled: true")
      // At most one key signs.
      .replace(/^ {4}(key_env|command|public_key_file):.*\n/gm, "")
      // Either a password or a token authenticates.
      .replace(/^ {4}token_file: .*kafka.token.*\n/m, "")
      .replace("trusted_proxies: []", "trusted_proxies: [10.0.0.0/8]")
      .replace("endpoint: http://127.0.0.1:14317 ", "endpoint: https://127.0.0.1:14317 "),
  );
  const secrets = [
    "PGPASSWORD",
    "REDIS_PASSWORD",
    "OIDC_SECRET",
    "KAFKA_PASSWORD",
    "STRIPE_API_KEY",
    "STRIPE_WEBHOOK_SECRET",
  ];
  const env = Object.fromEntries(secrets.map((name) => [name, "secret"]));
  expect(await driftlock(["validate", "--config", file], env)).toMatchObject({ code: 0, out: "OK\n" });
});
