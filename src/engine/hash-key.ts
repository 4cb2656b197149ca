/**
 * The secret that the engine's hashes derive from. Nobody without it can choose a text that is taken for a known one, or records
 * that all collide in one place of a table.
 */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { ConfigError } from "../config/problem.ts";
import type { Config, DetectConfig } from "../config/schema.ts";
import { native } from "../native.ts";

const size = 32;
const key = "detect.key_file";
const remedy = "make one with `openssl rand -hex 32`";

/** The key of replays and of the library by default. It is documented, so that anyone can repeat a replay. */
const publicHashKey = new Uint8Array(size);

/** Whether this is the key that everybody knows. */
export function isPublic(hashKey: Uint8Array): boolean {
  return Buffer.compare(hashKey, publicHashKey) === 0;
}

/** Returns a new random key. */
export function newHashKey(): Uint8Array {
  return randomBytes(size);
}

/** Returns a fingerprint that tells keys apart without revealing them. */
export function fingerprintOf(hashKey: Uint8Array): string {
  return native.chacha20(hashKey, 0, new Uint8Array(12), 8).toString("hex");
}

/** Returns the key in `detect.key_file`, or the public one if that is not set. @throws {ConfigError} */
export function configuredHashKey({ key_file }: Pick<DetectConfig, "key_file">): Uint8Array {
  return key_file === undefined ? publicHashKey : readKey(key_file);
}

type Installation = Pick<Config, "data_dir" | "detect">;

/** The file with the installation's own key. */
function hashKeyFile({ data_dir }: Pick<Config, "data_dir">): string {
  return join(data_dir, "hash.key");
}

/**
 * Returns the key in `detect.key_file`, or the installation's own key in `data_dir`; undefined if that does not exist yet.
 * @throws {ConfigError}
 */
export function existingHashKey(config: Installation): Uint8Array | undefined {
  const { key_file } = config.detect;
  if (key_file !== undefined) return readKey(key_file);
  const file = hashKeyFile(config);
  return existsSync(file) ? readKey(file) : undefined;
}

/**
 * Returns the key in `detect.key_file`, or the installation's own key in `data_dir`, which is created if it does not exist.
 * @throws {ConfigError}
 */
export function installationHashKey(config: Installation): Uint8Array {
  const existing = existingHashKey(config);
  if (existing !== undefined) return existing;
  const made = newHashKey();
  writeHashKey(config, made);
  return made;
}

/**
 * Makes this the installation's own key. The file can be read by this user only, and is written whole or not at all. The lock
 * of the folder keeps other processes out.
 * @throws {ConfigError}
 */
export function writeHashKey(config: Pick<Config, "data_dir">, hashKey: Uint8Array): void {
  const file = hashKeyFile(config);
  try {
    replaceKey(file, hashKey);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ConfigError([
      {
        key: "data_dir",
        message: `${file} cannot be made (${code ?? message}); name a folder that can be written, or set ${key}`,
      },
    ]);
  }
}

function replaceKey(file: string, hashKey: Uint8Array): void {
  const folder = dirname(file);
  const temporary = `${file}.tmp`;
  const key = openSync(temporary, "w", 0o600);
  try {
    writeFileSync(key, `${Buffer.from(hashKey).toString("hex")}\n`);
    fsyncSync(key);
  } finally {
    closeSync(key);
  }
  renameSync(temporary, file);
  if (process.platform === "win32") return;
  const directory = openSync(folder, "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

function readKey(file: string): Uint8Array {
  const why = (reason: string) => new ConfigError([{ key, message: `${file}: ${reason}` }]);
  let text: string;
  try {
    const { mode } = statSync(file);
    if (process.platform !== "win32" && (mode & 0o007) !== 0) {
      throw why(
        `is open to all users (mode ${(mode & 0o777).toString(8)}); take that away, such as with chmod o= ${file}`,
      );
    }
    text = readFileSync(file, "utf8").trim();
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") throw why(`does not exist; ${remedy}`);
    if (code === "EACCES") throw why("may not be read by this user; change its permissions");
    throw why(`cannot be read (${code})`);
  }
  if (!/^[0-9a-f]{64}$/i.test(text)) {
    throw why(`must hold 64 hexadecimal digits and nothing else, has ${text.length} characters; ${remedy}`);
  }
  return Buffer.from(text, "hex");
}
