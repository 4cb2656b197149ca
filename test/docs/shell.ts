/** Runs the shell commands of a page as they are written. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { type Fence, fencesOf, root } from "./fences.ts";

/** Returns a page's blocks in one language. */
export function blocksOf(page: string, language: string): string[] {
  const fences = fencesOf(page, readFileSync(join(root, page), "utf8"));
  return fences.filter((fence: Fence) => fence.language === language).map(({ text }) => text);
}

/** The search path, with the project's own `driftlock`, `node` and Collector first. */
export const path = ["node_modules/.bin", "build/tools"]
  .map((folder) => join(root, folder))
  .concat(process.env.PATH!)
  .join(":");

/** @throws {Error} if a command fails. */
export async function shell(commands: string, cwd: string): Promise<string> {
  const options = { cwd, env: { PATH: path, HOME: process.env.HOME }, maxBuffer: 2 ** 26 };
  const { stdout } = await promisify(execFile)("bash", ["--norc", "-e", "-c", commands], options);
  return stdout;
}
