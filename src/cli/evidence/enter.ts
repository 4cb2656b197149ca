/** Enters what only people know about the reports of an incident. */
import type { ApiClient } from "../shared/api-client.ts";
import { UsageError } from "../shared/io.ts";
import type { Options } from "../shared/parse-options.ts";

/** The options that enter something. */
export const entering = {
  lists: ["set", "unset", "submitted", "moment"],
  switches: ["replace"],
} as const;

/** Divides `NAME=VALUE`. @throws {UsageError} if there is no such sign. */
function divide(option: string, text: string): [name: string, value: string] {
  const at = text.indexOf("=");
  if (at < 1) throw new UsageError(`--${option} must be NAME=VALUE, and not ${JSON.stringify(text)}`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** Values of a field that is set several times are a list. */
function fieldsOf(
  set: readonly string[],
  unset: readonly string[],
): Record<string, string | string[] | null> {
  const values = new Map<string, string[]>();
  for (const text of set) {
    const [number, value] = divide("set", text);
    values.set(number, [...(values.get(number) ?? []), value]);
  }
  const both = unset.find((number) => values.has(number));
  if (both !== undefined) throw new UsageError(`--set and --unset both name the field ${both}`);
  return {
    ...Object.fromEntries([...values].map(([number, all]) => [number, all.length === 1 ? all[0]! : all])),
    ...Object.fromEntries(unset.map((number) => [number, null])),
  };
}

/**
 * Enters what the options say.
 * @param path that of the reports of the incident
 * @returns whether anything was entered
 */
export async function enter(
  { values, lists, switches }: Pick<Options, "values" | "lists" | "switches">,
  path: string,
  client: ApiClient,
): Promise<boolean> {
  const of = (name: (typeof entering.lists)[number]) => lists.get(name) ?? [];
  if (entering.lists.every((name) => of(name).length === 0)) return false;
  const template = values.get("template");
  const fields = fieldsOf(of("set"), of("unset"));
  const ofTemplate = Object.keys(fields).length > 0 || of("submitted").length > 0;
  if (ofTemplate && template === undefined) {
    throw new UsageError("--set, --unset and --submitted need --template, which names the report");
  }
  const times = of("moment").map((text) => divide("moment", text));
  await client.patch(path, {
    ...(times.length > 0 && {
      moments: Object.fromEntries(times.map(([name, time]) => [name, time === "" ? null : time])),
    }),
    ...(Object.keys(fields).length > 0 && { fields: { [template!]: fields } }),
    ...(of("submitted").length > 0 && {
      submissions: { [template!]: of("submitted").filter((time) => time !== "") },
    }),
    ...(switches.has("replace") && { replace: true }),
  });
  return true;
}
