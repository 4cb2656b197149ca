/** The reference of the configuration, read off its schema. */
import { z } from "zod";
import { otherVariables } from "../../src/config/env.ts";
import { type Key, root, type Section } from "../../src/config/keys.ts";
import { configSchema } from "../../src/config/schema.ts";
import { formatNumber } from "../../src/config/text.ts";
import { generatedFrom } from "./markdown.ts";

/** What JSON Schema says of a value after it was parsed. */
type JsonSchema = z.core.JSONSchema.JSONSchema & { exclusiveMinimum?: number };

const tree = z.toJSONSchema(configSchema, { io: "output", unrepresentable: "any" }) as JsonSchema;

function schemaOf({ path }: { path: readonly string[] }): JsonSchema {
  return path.reduce((schema, part) => schema.properties![part] as JsonSchema, tree);
}

function required(key: Key): boolean {
  const parent = schemaOf({ path: key.path.slice(0, -1) });
  return (parent.required?.includes(key.path.at(-1)!) ?? false) && schemaOf(key).default === undefined;
}

function shown(key: Key, value: unknown): string {
  if (typeof value === "number") return `\`${formatNumber(key, value)}\``;
  if (Array.isArray(value)) return `\`[${value.join(", ")}]\``;
  return `\`${typeof value === "object" ? JSON.stringify(value) : value}\``;
}

/** Bounds that tell more than that a size or duration is not negative. */
function bounds(key: Key): string[] {
  const { minimum, maximum, exclusiveMinimum, maxItems, type } = schemaOf(key);
  const above = type === "integer" ? undefined : exclusiveMinimum;
  const least =
    minimum ?? (above === undefined && exclusiveMinimum !== undefined ? exclusiveMinimum + 1 : undefined);
  const most = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  const number = (value: number) => formatNumber(key, value).toLocaleString("en-US");
  if (maxItems !== undefined) return [`at most ${maxItems} elements`];
  if (least !== undefined && most !== undefined) return [`from ${number(least)} to ${number(most)}`];
  const range = above === undefined ? [] : [`more than ${number(above)}`];
  if (least !== undefined && (key.unit === undefined || least > 1)) range.push(`at least ${number(least)}`);
  if (most !== undefined) range.push(`at most ${number(most)}`);
  return range;
}

function expectedOf(key: Key): string {
  const expected =
    key.choices.length > 0
      ? `one of ${key.choices.map((choice) => `\`${choice}\``).join(", ")}`
      : key.expected;
  return [expected, ...bounds(key), ...(key.secret ? ["never shown"] : [])].join(", ");
}

function defaultOf(key: Key): string {
  if (required(key)) return "none; the key is required if its section is present";
  const { default: value } = schemaOf(key);
  return value === undefined ? "not set" : shown(key, value);
}

function entry(key: Key): string {
  if (key.description === "") throw new Error(`${key.name} has no description in the schema`);
  const others = [...otherVariables].filter(([, name]) => name === key.name).map(([variable]) => variable);
  return `### \`${key.name}\`

${key.description}

- Value: ${expectedOf(key)}
- Default: ${defaultOf(key)}
- Environment variable: ${[key.env, ...others].map((name) => `\`${name}\``).join(", ")}
- Flag: \`--${key.name}\`
`;
}

function* sections(section: Section): Generator<string> {
  const children = [...section.children.values()];
  const own = children.filter((child) => child.kind === "key");
  if (section.name && (own.length > 0 || section.description)) {
    yield [
      `## ${section.name}\n`,
      ...(section.description ? [`${section.description}\n`] : []),
      ...own.map(entry),
    ].join("\n");
  }
  for (const child of children) if (child.kind === "section") yield* sections(child);
  // The top's own keys stand last, as in the file.
  if (!section.name) yield ["## Other keys\n", ...own.map(entry)].join("\n");
}

export function configurationPage(): string {
  return `# Configuration reference

${generatedFrom("src/config/schema.ts")}

Each key can be set in the configuration file, by an environment variable, and by a flag. Flags override environment
variables, which override the file, which overrides the defaults. A list or a map is replaced as a whole. Unknown keys,
variables and flags are errors.

- **File**: YAML, named by \`--config\`. \`\${env:NAME}\` and \`\${env:NAME:-default}\` insert environment variables; \`$$\`
  is a dollar sign.
- **Environment variables**: lists are written \`a, b\` and maps \`a=1, b=2\`. An empty variable counts as not set.
- **Flags**: written as environment variables are, for example \`--forward.queue.max_size 64MiB\`.
- **Sizes** are whole numbers of bytes, or numbers with \`B\`, \`KiB\`, \`MiB\` or \`GiB\`.
- **Durations** are whole numbers of milliseconds, or numbers with \`ms\`, \`s\`, \`m\`, \`h\` or \`d\`.

\`driftlock validate\` reports all errors with their places; \`driftlock validate --print\` prints the effective configuration.

${[...sections(root)].join("\n")}
## Variables that set no key

- \`DRIFTLOCK_VERSION\` overrides the version that Driftlock reports.
- \`DRIFTLOCK_API_KEY\` is the API key that commands of the API's clients, such as \`driftlock anomalies list\`, send.
- Other variables of the form \`OTEL_EXPORTER_OTLP_*\`, such as those for a single signal, have no effect; a warning names them.
`;
}
