/** Renders the OpenAPI document as one page of HTML without scripts or external resources. */
import { createHash } from "node:crypto";

interface Schema {
  $ref?: string;
  type?: string | string[];
  format?: string;
  description?: string;
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  minimum?: number;
  maximum?: number;
  maxLength?: number;
  items?: Schema;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  required?: string[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
}

interface Content {
  [type: string]: { schema?: Schema };
}

interface Operation {
  tags?: string[];
  summary?: string;
  description?: string;
  security?: object[];
  parameters?: { name: string; in: string; required?: boolean; description?: string; schema?: Schema }[];
  requestBody?: { content: Content };
  responses: Record<string, { description?: string; content?: Content }>;
}

interface Document {
  info: { title: string; version: string; description?: string };
  tags?: { name: string; description?: string }[];
  paths: Record<string, Record<string, Operation>>;
  components?: { schemas?: Record<string, Schema> };
}

const style = `
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); --soft: color-mix(in srgb, currentColor 65%, transparent) }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1, h2, h3 { line-height: 1.2 } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line) }
details { border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; padding: .5rem .75rem }
summary { cursor: pointer } code, .method { font-family: ui-monospace, monospace; font-size: .9em }
.method { font-weight: 700; display: inline-block; min-width: 4em } .soft { color: var(--soft) }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 } th { text-align: left; font-weight: 600 }
th, td { border-top: 1px solid var(--line); padding: .25rem .75rem .25rem 0; vertical-align: top }
ul { margin: 0; padding-left: 1.25rem }
`;

/** A policy that permits nothing but the page's own style. */
export const docsPolicy = `default-src 'none'; frame-ancestors 'none'; style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'`;

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => entities[character]!);
}

/** Renders text that contains `code`. */
function prose(text = ""): string {
  return escapeHtml(text).replace(/`([^`]+)`/g, "<code>$1</code>");
}

function typeOf(schema: Schema): string {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.slice(schema.$ref.lastIndexOf("/") + 1);
    return `<a href="#schema-${name}">${name}</a>`;
  }
  const choices = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  const [list, one] = choices ?? [];
  if (one !== undefined && list?.type === "array" && typeOf(list.items ?? {}) === typeOf(one)) {
    return `${typeOf(one)}, once or several times`;
  }
  if (choices !== undefined) return choices.map(typeOf).join(" | ");
  if (schema.enum !== undefined)
    return schema.enum.map((value) => `<code>${escapeHtml(String(value))}</code>`).join(" | ");
  if (schema.const !== undefined) return `<code>${escapeHtml(JSON.stringify(schema.const))}</code>`;
  if (schema.type === "array") return `array of ${schema.items ? typeOf(schema.items) : "anything"}`;
  const name = [schema.type ?? "anything"].flat().join(" | ");
  return schema.format === undefined ? name : `${name} (${escapeHtml(schema.format)})`;
}

function limitsOf({ default: value, minimum, maximum, maxLength }: Schema): string {
  const safe = Number.MAX_SAFE_INTEGER;
  return [
    value === undefined ? "" : `default ${JSON.stringify(value)}`,
    minimum === undefined || minimum === -safe ? "" : `at least ${minimum}`,
    maximum === undefined || maximum === safe ? "" : `at most ${maximum}`,
    maxLength === undefined ? "" : `at most ${maxLength} characters`,
  ]
    .filter(Boolean)
    .join(", ");
}

function row(name: string, required: boolean, schema: Schema, description?: string): string {
  const limits = limitsOf(schema);
  const notes = [
    prose(description ?? schema.description),
    limits && `<span class="soft">${escapeHtml(limits)}</span>`,
  ];
  const inner = schema.properties ?? schema.items?.properties;
  return (
    `<tr><td><code>${escapeHtml(name)}</code>${required ? "" : ' <span class="soft">optional</span>'}</td>` +
    `<td>${typeOf(schema)}</td><td>${notes.filter(Boolean).join("<br>")}${inner ? fields(schema.items ?? schema) : ""}</td></tr>`
  );
}

function fields(schema: Schema): string {
  const { properties } = schema;
  if (properties === undefined) return `<p>${typeOf(schema)} ${prose(schema.description)}</p>`;
  const required = new Set(schema.required);
  const rows = Object.entries(properties).map(([name, each]) => row(name, required.has(name), each));
  return `<table>${rows.join("")}</table>`;
}

function content(parts: Content): string {
  return Object.entries(parts)
    .map(([type, { schema }]) => `<p><code>${escapeHtml(type)}</code></p>${schema ? fields(schema) : ""}`)
    .join("");
}

/** Returns whether a caller needs no key. */
function isOpen({ security = [] }: Operation): boolean {
  return security.length === 0 || security.some((scheme) => Object.keys(scheme).length === 0);
}

function operation(path: string, method: string, each: Operation): string {
  const parameters = (each.parameters ?? []).map(({ name, in: place, required, description, schema = {} }) =>
    row(`${name}${place === "query" ? "" : ` (${place})`}`, required ?? false, schema, description),
  );
  const responses = Object.entries(each.responses).map(([status, { description, content: parts = {} }]) => {
    const types = Object.entries(parts).map(
      ([type, { schema }]) => `<code>${escapeHtml(type)}</code>${schema ? ` ${typeOf(schema)}` : ""}`,
    );
    return `<tr><td><code>${status}</code></td><td>${prose(description)}</td><td>${types.join("<br>")}</td></tr>`;
  });
  return [
    `<details><summary><span class="method">${method.toUpperCase()}</span> <code>${escapeHtml(path)}</code>`,
    ` <span class="soft">${prose(each.summary)}${isOpen(each) ? " · open" : ""}</span></summary>`,
    `<p>${prose(each.description)}</p>`,
    parameters.length > 0 ? `<h3>Parameters</h3><table>${parameters.join("")}</table>` : "",
    each.requestBody ? `<h3>Body</h3>${content(each.requestBody.content)}` : "",
    `<h3>Answers</h3><table>${responses.join("")}</table></details>`,
  ].join("");
}

export function docsPage({ info, tags = [], paths, components }: Document): string {
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, each]) => ({ path, method, each })),
  );
  const groups = tags.map(({ name, description }) => {
    const own = operations.filter(({ each }) => each.tags?.includes(name));
    const list = own.map(({ path, method, each }) => operation(path, method, each)).join("");
    return `<h2>${escapeHtml(name)}</h2><p>${prose(description)}</p>${list}`;
  });
  const schemas = Object.entries(components?.schemas ?? {}).map(
    ([name, schema]) =>
      `<details id="schema-${name}"><summary><code>${name}</code> <span class="soft">${prose(schema.description)}</span></summary>${fields(schema)}</details>`,
  );
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
    `<title>${escapeHtml(info.title)} API</title><style>${style}</style></head><body>`,
    `<h1>${escapeHtml(info.title)} API <span class="soft">${escapeHtml(info.version)}</span></h1><p>${prose(info.description)}</p>`,
    '<p>The same for programs: <a href="/openapi.json"><code>/openapi.json</code></a> (OpenAPI 3.1).</p>',
    ...groups,
    `<h2>Schemas</h2>${schemas.join("")}</body></html>`,
  ].join("");
}
