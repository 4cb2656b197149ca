/**
 * The secret that the engine's hashes come from. Without it nobody can choose a text that is taken for a known one, or
 * records that all meet in one place of a table.
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

/** Of replays, and of the library, unless they are given a key. It is documented, so that anybody can repeat a replay. */
const publicHashKey = new Uint8Array(size);

/** Tells keys apart without revealing them. */
export function fingerprintOf(hashKey: Uint8Array): string {
  return native.chacha20(hashKey, 0, new Uint8Array(12), 8).toString("hex");
}

/** The key that `detect.key_file` names; the public one if it names none. @throws {ConfigError} */
export function configuredHashKey({ key_file }: Pick<DetectConfig, "key_file">): Uint8Array {
  return key_file === undefined ? publicHashKey : readKey(key_file);
}

/**
 * What `detect.key_file` names; else the installation's own key, in `data_dir`, which is made if there is none yet.
 * @throws {ConfigError}
 */
export function installationHashKey({ data_dir, detect }: Pick<Config, "data_dir" | "detect">): Uint8Array {
  if (detect.key_file !== undefined) return readKey(detect.key_file);
  const file = join(data_dir, "hash.key");
  try {
    makeKey(file);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ConfigError([
      {
        key: "data_dir",
        message: `${file} cannot be made (${code ?? message}); name a folder that can be written, or set ${key}`,
      },
    ]);
  }
  return readKey(file);
}

/**
 * Makes a file with a random key, for this user alone: whole, or not at all. Other processes are kept out of the folder.
 */
function makeKey(file: string): void {
  if (existsSync(file)) return;
  const folder = dirname(file);
  const temporary = `${file}.tmp`;
  const key = openSync(temporary, "w", 0o600);
  try {
    writeFileSync(key, `${randomBytes(size).toString("hex")}\n`);
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
