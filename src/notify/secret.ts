import { readFileSync } from "node:fs";
import process from "node:process";
import type { Secret } from "../config/schema/notify.ts";

const maxSize = 8_192;

/**
 * Reads a secret from its place. It is read whenever it is used, so that a file may be replaced.
 * @throws {Error} that names the place and never the secret
 */
export function readSecret({ file, env }: Secret): string {
  if (env !== undefined) {
    const value = process.env[env]?.trim();
    if (!value) throw new Error(`the environment variable ${env} is not set; set it to the secret`);
    return checked(value, `the environment variable ${env}`);
  }
  let value: string;
  try {
    value = readFileSync(file!, "utf8").trim();
  } catch (error) {
    throw new Error(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  if (value === "") throw new Error(`${file} is empty; write the secret into it`);
  return checked(value, file!);
}

function checked(value: string, place: string): string {
  if (value.length > maxSize) throw new Error(`${place} has more than ${maxSize} characters`);
  return value;
}
