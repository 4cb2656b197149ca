/** The reference of the metrics, read off their definitions. */
import { type Definition, definitions } from "../../src/telemetry/definitions.ts";
import { generatedFrom, table } from "./markdown.ts";

const titles: Readonly<Record<keyof typeof definitions, string>> = {
  receiver: "Receivers",
  engine: "Engine",
  stream: "Single streams",
  incidents: "Incidents",
  notify: "Notifications",
  forward: "Forwarding",
  store: "Store and data directory",
  api: "API and live events",
  kafka: "Topics of Kafka, in processes with roles",
  process: "Process and shared limits",
};

/** Labels whose values are explained once, before the tables. */
const common = {
  signal: definitions.engine.flagged.labels.signal,
  transport: definitions.receiver.bytes.labels.transport,
  code: definitions.forward.attempts.labels.code,
  channel: definitions.engine.reports.labels.channel,
  state: definitions.engine.reports.labels.state,
};

const quoted = (values: readonly string[]) => values.map((value) => `\`${value}\``).join(", ");

function label([name, values]: [string, readonly string[]]): string {
  return name in common || values.length === 0 ? `\`${name}\`` : `\`${name}\` (${quoted(values)})`;
}

function row({ name, type, unit, labels, help }: Definition): string[] {
  return [`\`${name}\``, type, unit, Object.entries(labels).map(label).join(", "), help];
}

export function metricsPage(): string {
  const tables = Object.entries(definitions).map(
    ([group, members]) =>
      `## ${titles[group as keyof typeof definitions]}\n\n${table(
        ["Name", "Type", "Unit", "Labels", "Description"],
        Object.values(members as Record<string, Definition>).map(row),
      )}\n`,
  );
  return `# Metrics reference

${generatedFrom("src/telemetry/definitions.ts")}

\`/metrics\` on the API's port (\`api.endpoint\`) and at \`health.endpoint\` serves these metrics in the Prometheus text format, together with those of
the Node.js process (\`process_*\`, \`nodejs_*\`). Counters count from the start of the process. No label names a tenant or a
stream, so that the number of series is bounded; the metrics of streams are off by default, and \`telemetry.stream_metrics\`
limits their number.

Labels with the same values everywhere:

${Object.entries(common)
  .map(([name, values]) => `- \`${name}\`: ${quoted(values)}`)
  .join("\n")}

${tables.join("\n")}`;
}
