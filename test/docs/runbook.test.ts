/** The alert rules use metrics that exist, and the runbook has an entry for each of them and for each component of /readyz. */
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { configSchema } from "../../src/config/schema.ts";
import { type Sidecar, startSidecar } from "../../src/sidecar/index.ts";
import { definitions } from "../../src/telemetry/definitions.ts";

interface Rule {
  alert: string;
  expr: string;
  annotations: { summary: string; runbook: string };
}

const text = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const rules: Rule[] = parse(text("deploy/observability/driftlock.rules.yaml")).groups.flatMap(
  (group: { rules: Rule[] }) => group.rules,
);
const runbook = text("docs/guides/runbook.md");
const headings = [...runbook.matchAll(/^### (.+)$/gm)].map(([, heading]) => heading!);

let folder: string;
let sidecar: Sidecar;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "driftlock-docs-"));
  const anyPort = { endpoint: "127.0.0.1:0" };
  const config = configSchema.parse({
    receive: { grpc: anyPort, http: anyPort },
    // Neither endpoint answers: the test reads the list of components, not their state.
    forward: { endpoint: "http://127.0.0.1:9" },
    limits: { store: "redis://127.0.0.1:9", requests_per_second: 1 },
    api: anyPort,
    telemetry: { stream_metrics: 1 },
    data_dir: folder,
  });
  sidecar = await startSidecar(config, { log: pino({ level: "silent" }) });
});
afterAll(async () => {
  await sidecar?.close();
  rmSync(folder, { recursive: true });
});

const get = (path: string) => fetch(`http://${sidecar.addresses.api}${path}`);

describe.each(rules)("$alert", ({ alert, expr, annotations }) => {
  it("has an entry in the runbook, to which it links", () => {
    expect(headings).toContain(alert);
    expect(annotations.runbook).toBe(`docs/guides/runbook.md#${alert.toLowerCase()}`);
  });

  it("asks for metrics that exist", async () => {
    const shown = (await (await get("/metrics")).text()).match(/^# TYPE \S+/gm)!;
    // Only processes with roles have these.
    const ofRoles = Object.values(definitions.kafka).map(({ name }) => `# TYPE ${name}`);
    const metrics = [...shown, ...ofRoles];
    for (const [name] of expr.matchAll(/driftlock_[a-z_]+/g)) {
      expect(metrics).toContain(`# TYPE ${name.replace(/_count$/, "")}`);
    }
  });
});

it("has no entry for an alert that is gone", () => {
  expect(headings.filter((heading) => /^Driftlock[A-Z]/.test(heading)).sort()).toEqual(
    rules.map(({ alert }) => alert).sort(),
  );
});

it("explains every component of /readyz", async () => {
  const { components } = (await (await get("/readyz")).json()) as { components: { name: string }[] };
  expect(components.length).toBeGreaterThan(5);
  expect(headings).toEqual(expect.arrayContaining(components.map(({ name }) => name)));
});

it("quotes reasons of /readyz as the sources have them", () => {
  const section = runbook.slice(runbook.indexOf("\n## Readyz"), runbook.indexOf("\n## Alerts"));
  const quoted = [...section.matchAll(/^\| (.+?) \|/gm)].flatMap(([, cell]) => [
    ...cell!.matchAll(/`([^`]+)`/g),
  ]);
  // Variable parts are written as an ellipsis or a capital; words in capitals are codes of the network, of HTTP and of
  // gRPC.
  const fragments = quoted
    .map(([, reason]) => reason!)
    .filter((reason) => !/[A-Z]{3,}_?[A-Z]/.test(reason.replaceAll("SIGNAL", "…")))
    .flatMap((reason) => reason.split(/…|\b[NM]\b|SIGNAL/))
    .map((fragment) => fragment.trim())
    .filter((fragment) => /\w{2}/.test(fragment));
  expect(fragments.length).toBeGreaterThan(15);
  const sources = globSync("src/**/*.ts", { cwd: new URL("../../", import.meta.url) });
  const code = sources.map((source) => text(source)).join("\n");
  expect(fragments.filter((fragment) => !code.includes(fragment))).toEqual([]);
});
