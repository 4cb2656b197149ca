/**
 * The keys that sign evidence. The private key comes from a file, from an environment variable or stays in a program; by
 * default it is made in `data_dir/signing`. The public keys of all of them are listed there with the time for which they are
 * valid, so that what was signed before a rotation can be verified later.
 */
import { spawn } from "node:child_process";
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import type { Readable } from "node:stream";
import { z } from "zod";
import { fileFault } from "../base/file-fault.ts";
import { replaceFile } from "../base/replace-file.ts";
import { sha256 } from "../base/sha256.ts";
import { ConfigError } from "../config/problem.ts";
import type { Config } from "../config/schema.ts";
import type { Signer } from "./seal.ts";

/** How long the key before a rotation stays valid, for other processes that still sign with it. */
export const defaultOverlapMs = 86_400_000;
const signatureBytes = 64;
/** How much of what a program prints is read, in bytes. */
const maxPrinted = 1_024;

const listedSchema = z.array(
  z.strictObject({
    id: z.string().regex(/^[0-9a-f]{64}$/),
    public_key: z.string(),
    valid_from: z.string(),
    valid_until: z.string().nullable(),
  }),
);

/** A public key and the time for which it is valid, RFC 3339 in UTC. */
export type ListedKey = z.output<typeof listedSchema>[number];

type Signing = Pick<Config, "data_dir"> & { evidence: Pick<Config["evidence"], "signing"> };

function fault(key: string, message: string): ConfigError {
  return new ConfigError([{ key: `evidence.signing.${key}`, message }]);
}

/** Returns the 32 bytes of an Ed25519 key in PEM. */
export function rawKey(pem: string): Uint8Array {
  return createPublicKey(pem).export({ format: "der", type: "spki" }).subarray(-32);
}

const idOf = (publicKey: KeyObject) => sha256(publicKey.export({ format: "der", type: "spki" }));
const pemOf = (publicKey: KeyObject) => publicKey.export({ format: "pem", type: "spki" }) as string;

function privateKeyOf(pem: string, key: string, place: string): KeyObject {
  let made: KeyObject;
  try {
    made = createPrivateKey(pem);
  } catch {
    throw fault(
      key,
      `${place} holds no private key in PEM; make one with \`openssl genpkey -algorithm ed25519\``,
    );
  }
  if (made.asymmetricKeyType !== "ed25519") {
    throw fault(
      key,
      `${place} must hold an Ed25519 key; make one with \`openssl genpkey -algorithm ed25519\``,
    );
  }
  return made;
}

async function readKeyFile(file: string, key: string): Promise<string> {
  try {
    const { mode } = await stat(file);
    if (process.platform !== "win32" && (mode & 0o007) !== 0) {
      throw fault(key, `${file} is open to all users; take that away, such as with chmod o= ${file}`);
    }
    return await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw fault(key, `${file}: ${fileFault(error as NodeJS.ErrnoException)}`);
  }
}

function signerOf(privateKey: KeyObject): Signer {
  const publicKey = createPublicKey(privateKey);
  return {
    keyId: idOf(publicKey),
    publicKey: pemOf(publicKey),
    sign: async (bytes) => sign(null, bytes, privateKey),
  };
}

const failed = (program: string, reason: string) =>
  new Error(`evidence.signing.command: ${program} ${reason}`);

/** Keeps the first bytes of a stream, and reads the rest as well so that the program goes on. */
function firstOf(stream: Readable): () => Buffer {
  const parts: Buffer[] = [];
  let size = 0;
  stream.on("data", (part: Buffer) => {
    if (size < maxPrinted) parts.push(part);
    size += part.length;
  });
  return () => Buffer.concat(parts).subarray(0, maxPrinted);
}

/** Resolves to what the program prints. @throws {Error} if it fails or takes too long */
function run([program, ...args]: readonly string[], input: Uint8Array, timeout: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string) => reject(failed(program!, reason));
    const child = spawn(program!, args, { stdio: "pipe" });
    const [printed, complaint] = [firstOf(child.stdout), firstOf(child.stderr)];
    const timer = setTimeout(() => {
      fail(`did not end within ${timeout} ms`);
      child.kill("SIGKILL");
      // Programs that it has started may hold its output open.
      child.stdout.destroy();
      child.stderr.destroy();
    }, timeout);
    child.once("error", (error) => {
      clearTimeout(timer);
      fail(`cannot be run: ${error.message}`);
    });
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      if (code === 0) return resolve(printed());
      const words = complaint().toString().trim();
      fail(`ended with ${signal ?? `exit code ${code}`}${words === "" ? "" : `: ${words}`}`);
    });
    // A program that does not read ends with an error of its own.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}

function commandSigner(command: readonly string[], timeout: number, publicKey: KeyObject): Signer {
  return {
    keyId: idOf(publicKey),
    publicKey: pemOf(publicKey),
    async sign(bytes) {
      const printed = await run(command, bytes, timeout);
      const signature =
        printed.length === signatureBytes
          ? printed
          : Buffer.from(printed.toString("latin1").trim(), "base64");
      if (signature.length !== signatureBytes || !verify(null, bytes, publicKey, signature)) {
        throw failed(command[0]!, "printed no signature by the key of evidence.signing.public_key_file");
      }
      return signature;
    },
  };
}

export class SigningKeys {
  readonly #config: Signing;
  readonly #folder: string;
  #current: Signer | undefined;
  /** The latest choice, so that two at once do not make two keys. */
  #choosing: Promise<unknown> = Promise.resolve();

  constructor(config: Signing) {
    this.#config = config;
    this.#folder = join(config.data_dir, "signing");
  }

  /** Whether the private key is made and kept here. */
  get isOwn(): boolean {
    const { key_file, key_env, command } = this.#config.evidence.signing;
    return key_file === undefined && key_env === undefined && command === undefined;
  }

  /**
   * Returns the key that signs now. The first time, it is made and listed.
   * @throws {ConfigError} that names the key of the configuration and the remedy
   */
  async current(): Promise<Signer> {
    this.#choosing = this.#choosing.catch(() => {}).then(() => this.#choose());
    return this.#choosing as Promise<Signer>;
  }

  /** Lists the public keys, the oldest first. */
  async list(): Promise<ListedKey[]> {
    let text: string;
    try {
      text = await readFile(this.#list, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw new Error(`${this.#list}: ${fileFault(error as NodeJS.ErrnoException)}`);
    }
    try {
      return listedSchema.parse(JSON.parse(text));
    } catch {
      throw new Error(
        `${this.#list} is damaged; restore it from a backup, since it says which keys are yours`,
      );
    }
  }

  /**
   * Makes a new key, which signs from now on. The one before stays valid for a while.
   * @throws {Error} if the configuration names the key
   */
  async rotate(overlapMs: number): Promise<Signer> {
    if (!this.isOwn) {
      throw new Error(
        "evidence.signing names the key; replace it there, and the key before it is listed until it ends",
      );
    }
    return this.#make(await this.list(), overlapMs);
  }

  async #choose(): Promise<Signer> {
    const listed = await this.list();
    const latest = listed.at(-1);
    if (this.isOwn) {
      if (latest === undefined || !existsSync(this.#keyFile(latest.id))) return this.#make(listed);
      if (this.#current?.keyId !== latest.id) this.#current = await this.#read(latest.id);
      return this.#current;
    }
    this.#current ??= await this.#configured();
    if (latest?.id !== this.#current.keyId) await this.#add(listed, this.#current, defaultOverlapMs);
    return this.#current;
  }

  get #list(): string {
    return join(this.#folder, "keys.json");
  }

  #keyFile(id: string): string {
    return join(this.#folder, `${id.slice(0, 16)}.key`);
  }

  async #make(listed: readonly ListedKey[], overlapMs = defaultOverlapMs): Promise<Signer> {
    const { privateKey } = generateKeyPairSync("ed25519");
    const signer = signerOf(privateKey);
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const file = this.#keyFile(signer.keyId);
    const pem = privateKey.export({ format: "pem", type: "pkcs8" });
    await writeFile(file, pem, { mode: 0o600, flag: "wx", flush: true });
    await chmod(file, 0o600);
    await this.#add(listed, signer, overlapMs);
    this.#current = signer;
    return signer;
  }

  async #read(id: string): Promise<Signer> {
    const file = this.#keyFile(id);
    return signerOf(privateKeyOf(await readKeyFile(file, "key_file"), "key_file", file));
  }

  async #configured(): Promise<Signer> {
    const { key_file, key_env, command, public_key_file, timeout } = this.#config.evidence.signing;
    if (key_file !== undefined) {
      return signerOf(privateKeyOf(await readKeyFile(key_file, "key_file"), "key_file", key_file));
    }
    if (key_env !== undefined) {
      const pem = process.env[key_env];
      if (!pem) throw fault("key_env", `the environment variable ${key_env} is not set; set it to the key`);
      // Files of variables hold one line for each, so that line breaks stand there as \n.
      const lines = pem.replaceAll("\\n", "\n");
      return signerOf(privateKeyOf(lines, "key_env", `the environment variable ${key_env}`));
    }
    const text = await readFile(public_key_file!, "utf8").catch((error: NodeJS.ErrnoException) => {
      throw fault("public_key_file", `${public_key_file}: ${fileFault(error)}`);
    });
    let publicKey: KeyObject | undefined;
    try {
      publicKey = createPublicKey(text);
    } catch {}
    if (publicKey?.asymmetricKeyType !== "ed25519") {
      throw fault("public_key_file", `${public_key_file} must hold an Ed25519 public key in PEM`);
    }
    return commandSigner(command!, timeout, publicKey);
  }

  async #add(listed: readonly ListedKey[], { keyId, publicKey }: Signer, overlapMs: number): Promise<void> {
    const now = Date.now();
    const until = new Date(now + overlapMs).toISOString();
    const keys: ListedKey[] = [
      ...listed.map((key) => ({ ...key, valid_until: key.valid_until ?? until })),
      { id: keyId, public_key: publicKey, valid_from: new Date(now).toISOString(), valid_until: null },
    ];
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await replaceFile(this.#list, [`${JSON.stringify(keys, undefined, 2)}\n`]);
  }
}
