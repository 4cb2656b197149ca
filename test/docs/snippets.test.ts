/**
 * The fenced blocks of all pages. JSON and YAML are parsed, Driftlock's configurations are validated, programs are run,
 * and shell commands are parsed and must name commands, options and targets that exist. A block under `<!-- run -->` is
 * also run. A block under `<!-- not checked: REASON -->` is skipped.
 */
import { execFile } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, parseAllDocuments, stringify } from "yaml";
import { keyByName, keys } from "../../src/config/keys.ts";
import { loadConfig } from "../../src/config/load.ts";
import { driftlock } from "../cli/driftlock.ts";
import { allFences, type Fence, root } from "./fences.ts";
import { shell } from "./shell.ts";

const fences = allFences();
const sections = new Set(keys.map(({ name }) => name.split(".")[0]!));
/** Values of the Helm chart, which have Driftlock's configuration in `config`. */
const chartValues = parse(readFileSync(join(root, "deploy/helm/driftlock/values.yaml"), "utf8"));
type Section = Record<string, unknown>;
const isSection = (value: unknown): value is Section => value?.constructor === Object;
/** Returns a section of values with those that replace some of them, as Helm does. */
function merged(given: Section, more: Section): Section {
  const both = (name: string) =>
    isSection(given[name]) && isSection(more[name]) ? merged(given[name], more[name]) : more[name];
  return { ...given, ...Object.fromEntries(Object.keys(more).map((name) => [name, both(name)])) };
}
/** Languages of blocks that are input of no program, or of none that is available here. */
const prose = new Set(["", "text", "ini", "cpp"]);

let folder: string;
/** A folder inside the project, so that programs can import the package by its name. */
const programs = join(root, "build/docs");
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "driftlock-docs-"));
  mkdirSync(programs, { recursive: true });
  copyFileSync(join(root, "docs/guides/driftlock.yaml"), join(folder, "driftlock.yaml"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function checkJson({ text }: Fence): void {
  JSON.parse(text);
}

/** Checks that YAML of Driftlock or of its chart is a valid configuration, and that YAML of other programs can be parsed. */
function checkYaml({ text }: Fence): void {
  const documents = parseAllDocuments(text);
  for (const { errors } of documents) expect(errors).toEqual([]);
  const document = documents[0]!.toJS();
  const names = Object.keys(document);
  const ofChart = names.every((name) => name in chartValues);
  if (!ofChart && !names.every((name) => sections.has(name))) {
    // A misspelt section must not pass as another program's.
    expect(text).toMatch(/^(receivers|processors|exporters|rule_files|scrape_configs|groups):/m);
    return;
  }
  const file = join(folder, "snippet.yaml");
  writeFileSync(file, ofChart ? stringify(merged(chartValues.config, document.config)) : text);
  loadConfig({
    file,
    env: {
      REDIS_PASSWORD: "secret",
      PGPASSWORD: "secret",
      STRIPE_API_KEY: "secret",
      STRIPE_WEBHOOK_SECRET: "secret",
    },
  });
}

/** The command lines of a block, each as its words, without comments, redirections and quoted text. */
function commandsOf(text: string): string[][] {
  return text
    .replaceAll(/\\\n/g, " ")
    .replaceAll(/<<'?(\w+)'?.*?^\1$/gms, "")
    .replaceAll(/'[^']*'|"(?:\\.|[^"\\])*"/gs, "QUOTED")
    .replaceAll(/(^|\s)#.*$/gm, "$1")
    .split(/\n|\||&&|;/)
    .map((line) => line.split(/\s+/).filter((word) => word !== "" && !/^\w+=/.test(word)))
    .filter((words) => words.length > 0);
}

/** Returns the arguments of `driftlock` in a command line, however it is called. */
function argumentsOf(words: readonly string[]): string[] | undefined {
  const at = words.findIndex((word) => /^([\w./$-]*\/)?driftlock$/.test(word));
  const called = at === 0 || ["npx", "exec", "--", "--no-install"].includes(words[at - 1] ?? "");
  return at >= 0 && called ? words.slice(at + 1) : undefined;
}

const help = new Map<string, Promise<string>>();
function helpOf(command: string): Promise<string> {
  const known = help.get(command) ?? driftlock([command, "--help"]).then(({ out }) => out);
  help.set(command, known);
  return known;
}

const targets = new Set(
  Array.from(readFileSync(join(root, "Makefile"), "utf8").matchAll(/^([\w-]+):/gm), ([, name]) => name),
);

async function checkShell({ text }: Fence): Promise<void> {
  await promisify(execFile)("bash", ["-n", "-c", text]);
  for (const words of commandsOf(text)) {
    if (words[0] === "make") {
      const named = words.slice(1).filter((word) => !word.includes("="));
      expect(named.filter((target) => !targets.has(target))).toEqual([]);
    }
    const [command, ...rest] = argumentsOf(words) ?? [];
    if (command === undefined) continue;
    const options = rest.filter((word) => word.startsWith("--")).map((word) => word.slice(2).split("=")[0]!);
    const page = await helpOf(command);
    expect(page, `driftlock ${command}`).toMatch(/^Usage: driftlock /);
    for (const option of options) {
      const known = page.includes(`--${option}`) || keyByName.has(option);
      expect(known, `driftlock ${command} --${option}`).toBe(true);
    }
    const [action] = rest;
    const actions = /^Actions:\n((?: {2}.*\n)+)/m.exec(page)?.[1];
    if (actions !== undefined) expect(actions).toMatch(new RegExp(`^  ${action} `, "m"));
  }
}

/** Runs a program after the command that its comment names, and compares what it prints with the page. */
async function checkProgram(fence: Fence): Promise<void> {
  const made = /(driftlock generate .*)$/m.exec(fence.text)?.[1];
  if (made !== undefined) await shell(made, folder);
  const file = join(programs, "snippet.mjs");
  writeFileSync(file, fence.text);
  const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd: folder });
  const next = fences[fences.indexOf(fence) + 1];
  const after = readFileSync(join(root, fence.page), "utf8").split(fence.text)[1]!;
  const said = /^```\s*[^`]*?prints `([^`]+)`/.exec(after)?.[1];
  expect(stdout).toBe(said === undefined ? next!.text : `${said}\n`);
}

const checks: Record<string, (fence: Fence) => void | Promise<void>> = {
  json: checkJson,
  yaml: checkYaml,
  sh: checkShell,
  js: checkProgram,
};

describe("a block is refused", () => {
  const block = (language: string, text: string): Fence => ({ ...fences[0]!, language, text });
  it.each([
    ["JSON that is not", block("json", "{ a: 1 }")],
    ["YAML that is not", block("yaml", "forward: [")],
    ["a key that does not exist", block("yaml", "forward: { endpiont: http://127.0.0.1:1 }")],
    ["a value that is not allowed", block("yaml", "forward: { mode: some }")],
    ["a section that does not exist", block("yaml", "foward: { mode: all }")],
    [
      "a configuration in the chart's values that is not valid",
      block("yaml", "config: { forward: { mode: some } }"),
    ],
    ["a quote that does not end", block("sh", "echo 'a")],
    ["a target that does not exist", block("sh", "make tset STORE=sqlite")],
    ["a command that does not exist", block("sh", "driftlock replya x")],
    [
      "an option that does not exist",
      block("sh", "cat x | node_modules/.bin/driftlock replay --formt lines -"),
    ],
    [
      "an action that does not exist",
      block("sh", "kubectl exec driftlock-0 -- driftlock keys make --name a"),
    ],
    ["a program that fails", block("js", "import { nothing } from 'driftlock';")],
  ])("for %s", async (_, fence) => {
    await expect((async () => checks[fence.language]!(fence))()).rejects.toThrow();
  });
});

it("every block has a language that can be checked", () => {
  const strange = fences.filter(({ language }) => !prose.has(language) && checks[language] === undefined);
  expect(strange.map(({ place, language }) => `${place} ${language}`)).toEqual([]);
});

describe.each(Object.keys(checks))("blocks of %s", (language) => {
  const own = fences.filter((fence) => fence.language === language && fence.unchecked === undefined);
  it.each(own)(
    "$place",
    async (fence) => {
      await checks[language]!(fence);
      if (fence.run) await shell(fence.text, folder);
    },
    120_000,
  );
});
