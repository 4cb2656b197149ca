/** Keys of an operator: in a file, in an environment variable, or behind a program. */
import { execFileSync } from "node:child_process";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { SigningKeys } from "../../src/evidence/signing-keys.ts";
import { verifyBundle } from "../../src/verify/index.ts";
import { id } from "../store/fixtures.ts";
import { fill, folder, type Making, making } from "./made.ts";

let place: string;
const at = (name: string) => join(place, name);
const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: place, encoding: "utf8" });

beforeAll(() => {
  place = folder();
  for (const name of ["a", "b"]) {
    openssl("genpkey", "-algorithm", "ed25519", "-out", `${name}.key`);
    openssl("pkey", "-in", `${name}.key`, "-pubout", "-out", `${name}.pub`);
    chmodSync(at(`${name}.key`), 0o600);
  }
  openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "ec.key");
  openssl("pkey", "-in", "ec.key", "-pubout", "-out", "ec.pub");
  chmodSync(at("ec.key"), 0o600);
  writeFileSync(at("no.key"), readFileSync(at("a.pub")), { mode: 0o600 });
});

/** The client of a "hardware security module": a program that alone reads the key. OpenSSL signs no standard input. */
const module = (key: string) => [
  "sh",
  "-c",
  'cat > "$1.in" && openssl pkeyutl -sign -rawin -inkey "$1" -in "$1.in"',
  "sign",
  at(key),
];

async function bundleOf(made: Making): Promise<string> {
  await fill(made);
  return made.make({ anomaly: id(1) });
}

async function expectSignedBy(name: string, file: string): Promise<void> {
  const keys = [{ public_key: readFileSync(at(`${name}.pub`), "utf8") }];
  expect(await verifyBundle(file, { keys })).toMatchObject({ ok: true });
  const other = [{ public_key: readFileSync(at(name === "a" ? "b.pub" : "a.pub"), "utf8") }];
  expect(await verifyBundle(file, { keys: other })).toMatchObject({ ok: false });
}

describe("a bundle is signed", () => {
  afterEach(() => {
    delete process.env.DRIFTLOCK_TEST_KEY;
  });

  it("by the key of a file", async () => {
    await expectSignedBy("a", await bundleOf(await making({ signing: { key_file: at("a.key") } })));
  });

  it.each([
    ["with line breaks", (pem: string) => pem],
    ["in one line", (pem: string) => pem.replaceAll("\n", "\\n")],
  ])("by the key of an environment variable, %s", async (_, write) => {
    process.env.DRIFTLOCK_TEST_KEY = write(readFileSync(at("a.key"), "utf8"));
    await expectSignedBy("a", await bundleOf(await making({ signing: { key_env: "DRIFTLOCK_TEST_KEY" } })));
  });

  it.each([
    ["bytes", (command: string[]) => command],
    ["base64", ([sh, c, script, ...rest]: string[]) => [sh!, c!, `(${script}) | base64 -w 0; echo`, ...rest]],
  ])("by a program that prints %s", async (_, written) => {
    const signing = { command: written(module("a.key")), public_key_file: at("a.pub") };
    await expectSignedBy("a", await bundleOf(await making({ signing })));
  });
});

describe("a key of the operator is replaced", () => {
  it("and the one before stays valid for a while, but not for later bundles", async () => {
    const made = await making({ signing: { key_file: at("a.key") } });
    const before = await bundleOf(made);
    const config = configSchema.parse({
      data_dir: made.config.data_dir,
      evidence: { signing: { command: module("b.key"), public_key_file: at("b.pub") } },
    });
    const keys = new SigningKeys(config);
    const signer = await keys.current();
    const listed = await keys.list();
    expect(listed.map(({ public_key }) => public_key)).toEqual(
      ["a.pub", "b.pub"].map((name) => readFileSync(at(name), "utf8")),
    );
    expect(signer.keyId).toBe(listed[1]!.id);
    const [first, second] = listed;
    expect(Date.parse(first!.valid_until!) - Date.parse(second!.valid_from)).toBe(86_400_000);
    expect(await verifyBundle(before, { keys: listed })).toMatchObject({ ok: true });
    const ended = [{ ...first!, valid_until: first!.valid_from }, second!];
    ended[0]!.valid_until = "2026-01-01T00:00:00.000Z";
    const { checks } = await verifyBundle(before, { keys: ended });
    expect(checks.filter(({ ok }) => ok === false)).toEqual([
      {
        name: "key",
        ok: false,
        details: [expect.stringContaining("was not valid when the bundle was made")],
      },
    ]);
    await expect(keys.rotate(0)).rejects.toThrow("evidence.signing names the key; replace it there");
    // The same key again is no other one.
    await new SigningKeys(config).current();
    expect(await keys.list()).toEqual(listed);
  });
});

describe("nothing is signed, and the key of the configuration is named,", () => {
  const sign = async (signing: object) => {
    const config = configSchema.parse({ data_dir: folder(), evidence: { signing } });
    const signer = await new SigningKeys(config).current();
    return signer.sign(Buffer.from("what is signed"));
  };
  const program = (script: string, more: object = {}) => ({
    command: ["sh", "-c", script],
    public_key_file: at("a.pub"),
    ...more,
  });

  it.each<[string, () => object, string]>([
    ["if the file is missing", () => ({ key_file: at("none") }), "key_file: .*none: no such file"],
    [
      "if the file holds no key",
      () => ({ key_file: at("no.key") }),
      "key_file: .* holds no private key in PEM",
    ],
    [
      "if the file holds another kind",
      () => ({ key_file: at("ec.key") }),
      "key_file: .* must hold an Ed25519",
    ],
    ["if the variable is not set", () => ({ key_env: "NONE" }), "key_env: .* NONE is not set"],
    ["if the variable holds no key", () => ({ key_env: "PATH" }), "key_env: .* PATH holds no private key"],
    [
      "if the public key is of another kind",
      () => program("true", { public_key_file: at("ec.pub") }),
      "public_key_file: .* must hold an Ed25519 public key",
    ],
    [
      "if the public key is missing",
      () => program("true", { public_key_file: at("none") }),
      "public_key_file: .*none: no such file",
    ],
    [
      "if the program is missing",
      () => ({ command: [at("none")], public_key_file: at("a.pub") }),
      "command: .*none cannot be run: .*ENOENT",
    ],
    [
      "if the program signs with another key",
      () => ({ command: module("b.key"), public_key_file: at("a.pub") }),
      "command: sh printed no signature by the key of evidence.signing.public_key_file",
    ],
    ["if the program prints nothing", () => program("cat > /dev/null"), "command: sh printed no signature"],
    [
      "if the program prints garbage",
      () => program("head -c 64 /dev/zero"),
      "command: sh printed no signature",
    ],
    [
      "if the program prints without end",
      () => program("exec yes", { timeout: "300ms" }),
      "did not end within 300 ms",
    ],
    [
      "if the program fails, with what it says",
      () => program("echo the slot is locked >&2; exit 3"),
      "command: sh ended with exit code 3: the slot is locked",
    ],
    ["if the program is killed", () => program("kill -9 $$"), "command: sh ended with SIGKILL"],
    [
      "if the program hangs",
      () => program("exec sleep 60", { timeout: "300ms" }),
      "did not end within 300 ms",
    ],
    [
      "if the program ignores its end, and another one holds its output",
      () => program("trap '' TERM; sleep 5 & wait", { timeout: "300ms" }),
      "did not end within 300 ms",
    ],
  ])("%s", async (_, signing, message) => {
    await expect(sign(signing())).rejects.toThrow(new RegExp(`evidence\\.signing\\.?.*${message}`, "s"));
  });

  it("if others may read the file", async () => {
    writeFileSync(at("open.key"), readFileSync(at("a.key")));
    chmodSync(at("open.key"), 0o644);
    await expect(sign({ key_file: at("open.key") })).rejects.toThrow("is open to all users");
  });

  it("and the next bundle is made once the program works again", async () => {
    const script = at("sign.sh");
    const [, , sign] = module("a.key");
    const write = (text: string) => writeFileSync(script, text, { mode: 0o700 });
    write("#!/bin/sh\nexit 1\n");
    const made = await making({ signing: { command: [script, at("a.key")], public_key_file: at("a.pub") } });
    await fill(made);
    await expect(made.make({ anomaly: id(1) })).rejects.toThrow("sign.sh ended with exit code 1");
    expect((await made.store.evidence.list("acme")).items).toEqual([]);
    write(`#!/bin/sh\n${sign}\n`);
    await expectSignedBy("a", await made.make({ anomaly: id(1) }));
  });
});
