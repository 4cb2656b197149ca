/** Installs the real packages, once for the same versions, and runs the agents that use them. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const sources = fileURLToPath(new URL(".", import.meta.url));
const built = fileURLToPath(new URL("../../../build/instrumentations", import.meta.url));
const python = join(built, "python/bin/python");

export const skipInstrumentations = process.env.DRIFTLOCK_SKIP_INSTRUMENTATIONS === "1";

/** Calls `install` in a new folder, unless that was done before with the same lock file. */
async function once(name: string, lock: string, install: (folder: string) => Promise<void>): Promise<void> {
  const folder = join(built, name);
  const stamp = join(folder, ".installed");
  const version = createHash("sha256").update(readFileSync(lock)).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === version) return;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await install(folder).catch((cause) => {
    const remedy = "set DRIFTLOCK_SKIP_INSTRUMENTATIONS=1 to do without";
    throw new Error(`The ${name} packages of instrumentations cannot be installed; ${remedy}`, { cause });
  });
  writeFileSync(stamp, version);
}

export type Language = "js" | "python";

/** Installs the packages of a language. Those of Python need Python 3 with venv (Debian: python3-venv). */
export const install: Record<Language, () => Promise<void>> = {
  async js() {
    const js = join(sources, "js");
    await once("js", join(js, "package-lock.json"), async (cwd) => {
      for (const name of ["package.json", "package-lock.json"]) cpSync(join(js, name), join(cwd, name));
      await run("npm", ["ci", "--prefer-offline", "--no-audit", "--no-fund"], { cwd });
    });
    // Packages are found from the program's own folder.
    cpSync(join(js, "agent.cjs"), join(built, "js/agent.cjs"));
  },
  async python() {
    const requirements = join(sources, "python/requirements.txt");
    await once("python", requirements, async (folder) => {
      await run("python3", ["-m", "venv", folder]);
      await run(python, ["-m", "pip", "install", "--quiet", "--requirement", requirements]);
    });
  },
};

/** Runs an agent to its end, and returns what it prints. */
export async function runAgent(
  language: Language,
  settings: object,
  env: Record<string, string>,
): Promise<string> {
  const [command, program] =
    language === "js"
      ? [process.execPath, join(built, "js/agent.cjs")]
      : [python, join(sources, "python/agent.py")];
  const { stdout } = await run(command, [program, JSON.stringify(settings)], {
    env: { ...process.env, ...env },
    maxBuffer: 64 << 20,
  });
  return stdout;
}
