/** Reads the built-in templates and those of a directory. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import {
  resolveTemplates,
  type Template,
  TemplateError,
  type TemplateFile,
  templateFile,
} from "./template.ts";

const builtIn = fileURLToPath(new URL("../templates", import.meta.url));
const maxFiles = 100;
const maxSize = 256 * 1024;

async function readOne(path: string): Promise<TemplateFile> {
  if ((await stat(path)).size > maxSize)
    throw new TemplateError(`${path}: must have at most ${maxSize} bytes`);
  let value: unknown;
  try {
    const text = await readFile(path, "utf8");
    // The parser of YAML reads JSON too, and refuses names that are there twice. The JSON that the build writes has none.
    const built = path.startsWith(builtIn) && path.endsWith(".json");
    value = built ? JSON.parse(text) : parse(text, { maxAliasCount: 0 });
  } catch (error) {
    throw new TemplateError(`${path}: ${(error as Error).message.split("\n", 1)[0]}`);
  }
  const parsed = templateFile.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue!.path.length === 0 ? "" : `${issue!.path.map(String).join(".")}: `;
  throw new TemplateError(`${path}: ${where}${issue!.message}`);
}

async function readFolder(folder: string): Promise<TemplateFile[]> {
  let names: string[];
  try {
    names = (await readdir(folder)).filter((name) => /\.(ya?ml|json)$/.test(name)).sort();
  } catch (error) {
    throw new TemplateError(`evidence.templates: ${folder} cannot be read: ${(error as Error).message}`);
  }
  if (names.length > maxFiles) throw new TemplateError(`${folder}: must have at most ${maxFiles} templates`);
  return Promise.all(names.map((name) => readOne(join(folder, name))));
}

/**
 * Returns all templates by their ids, in order. One of the directory takes the place of a built-in one with the same id.
 * @throws {TemplateError} that names the file and the remedy.
 */
export async function loadTemplates(directory?: string): Promise<ReadonlyMap<string, Template>> {
  const own = directory === undefined ? [] : await readFolder(directory);
  const byId = new Map<string, TemplateFile>();
  for (const file of await readFolder(builtIn)) byId.set(file.id, file);
  const seen = new Set<string>();
  for (const file of own) {
    if (seen.has(file.id)) throw new TemplateError(`${directory}: ${file.id} is there twice`);
    seen.add(file.id);
    byId.set(file.id, file);
  }
  return resolveTemplates([...byId.values()]);
}
