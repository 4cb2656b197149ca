/** What deploy/observability ships: checked by Prometheus's own tools, and run with a real Prometheus and Alertmanager. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pino from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { grafanaDashboard } from "../../scripts/reference/dashboard.ts";
import { loadConfig } from "../../src/config/load.ts";
import { configSchema } from "../../src/config/schema.ts";
import { type Sidecar, startSidecar } from "../../src/sidecar/index.ts";
import { startDownstream } from "../forward/downstream.ts";
import { freePort } from "../free-port.ts";
import { skipAlertmanager, startAlertmanager } from "../notify/alertmanager.ts";
import { startReceiver } from "../notify/receiver.ts";
import { promtool, skipPrometheus, startPrometheus } from "./prometheus.ts";

const folder = "deploy/observability";
const text = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const rules = parse(text(`${folder}/driftlock.rules.yaml`));

/** A panel, or a row, as far as the tests read it. */
interface Panel {
  type: string;
  title: string;
  description?: string;
  targets?: { expr: string }[];
}

const dashboardFile = text(`${folder}/grafana/driftlock.json`);
const panels: Panel[] = JSON.parse(dashboardFile).panels;
const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

describe.skipIf(skipPrometheus)("promtool", () => {
  it("accepts the configuration and the rules", async () => {
    expect(await promtool("check", "config", `${folder}/prometheus.yml`)).toContain("SUCCESS");
    expect(await promtool("check", "rules", "--lint-fatal", `${folder}/driftlock.rules.yaml`)).toContain(
      "SUCCESS",
    );
  }, 300_000);

  it("sees each alert fire, and not before", async () => {
    expect(await promtool("test", "rules", `${folder}/driftlock.rules.test.yaml`)).toContain("SUCCESS");
  });
});

it("has a test of each rule", () => {
  const { tests } = parse(text(`${folder}/driftlock.rules.test.yaml`));
  const tested = tests.map(({ name }: { name: string }) => name);
  const alerts = rules.groups.flatMap(({ rules }: { rules: { alert: string }[] }) =>
    rules.map(({ alert }) => alert),
  );
  expect(tested).toEqual(expect.arrayContaining(alerts));
});

it("differs from the configuration of docker-compose.yml by metrics of streams and notifications alone", () => {
  const configOf = (path: string) =>
    loadConfig({ file: fileURLToPath(new URL(`../../${path}`, import.meta.url)), env: {} }).config;
  const { telemetry, notify, ...rest } = configOf(`${folder}/driftlock.yaml`);
  const { telemetry: _, notify: __, ...plain } = configOf("deploy/compose/driftlock.yaml");
  expect(rest).toEqual(plain);
  expect(telemetry.stream_metrics).toBeGreaterThan(0);
  expect(notify.alertmanager).toHaveLength(1);
});

describe("the Grafana dashboard", () => {
  it("is what Grafana's builders make of its definition", () => {
    expect(JSON.parse(dashboardFile)).toEqual(JSON.parse(JSON.stringify(grafanaDashboard())));
  });

  it("says what each panel shows", () => {
    for (const { type, title, description } of panels) {
      expect(title).toMatch(/^[A-Z]/);
      if (type !== "row") expect(description, title).toMatch(/\.$/);
    }
  });

  it("is provisioned with the data source that it asks", () => {
    const { datasources } = parse(text(`${folder}/grafana/datasources.yaml`));
    expect(datasources.map(({ type }: { type: string }) => type)).toContain("prometheus");
    const { services } = parse(text("deploy/docker-compose.observability.yml"));
    const [{ options }] = parse(text(`${folder}/grafana/dashboards.yaml`)).providers;
    const targets = services.grafana.configs.map(({ target }: { target: string }) => target);
    expect(targets).toContain(`${options.path}/driftlock.json`);
  });
});

describe.skipIf(skipPrometheus || skipAlertmanager)("a real Prometheus and Alertmanager", () => {
  let dataDir: string;
  let downstreamPort: number;
  let sidecar: Sidecar;
  let receiver: Awaited<ReturnType<typeof startReceiver>>;
  let alertmanager: Awaited<ReturnType<typeof startAlertmanager>>;
  let prometheus: Awaited<ReturnType<typeof startPrometheus>>;

  beforeAll(async () => {
    dataDir = mkdtempSync(join(tmpdir(), "driftlock-observability-"));
    downstreamPort = await freePort();
    const anyPort = { endpoint: "127.0.0.1:0" };
    const config = configSchema.parse({
      receive: { grpc: anyPort, http: anyPort },
      forward: { endpoint: `http://127.0.0.1:${downstreamPort}` },
      api: anyPort,
      data_dir: dataDir,
      telemetry: { stream_metrics: 10 },
    });
    sidecar = await startSidecar(config, { log: pino({ level: "silent" }) });
    receiver = await startReceiver();

    const { receivers: _, ...routing } = parse(text(`${folder}/alertmanager.yml`));
    const soon = { group_wait: "10ms", group_interval: "20ms" };
    alertmanager = await startAlertmanager(
      receiver.url,
      stringify({
        ...routing,
        route: { ...routing.route, ...soon },
        receivers: [{ name: "none", webhook_configs: [{ url: receiver.url, send_resolved: true }] }],
      }),
    );

    const shipped = parse(text(`${folder}/prometheus.yml`));
    const [job] = shipped.scrape_configs;
    const files = {
      "prometheus.yml": stringify({
        ...shipped,
        global: { scrape_interval: "200ms", scrape_timeout: "200ms", evaluation_interval: "200ms" },
        alerting: {
          alertmanagers: [{ static_configs: [{ targets: [alertmanager.url.replace("http://", "")] }] }],
        },
        scrape_configs: [{ ...job, static_configs: [{ targets: [sidecar.addresses.api] }] }],
      }),
      // As shipped, but nobody waits for two minutes.
      "driftlock.rules.yaml": text(`${folder}/driftlock.rules.yaml`).replaceAll(/ for: .+/g, " for: 1s"),
    };
    prometheus = await startPrometheus(files);
  }, 300_000);
  afterAll(async () => {
    await prometheus?.close();
    await alertmanager?.close();
    await receiver?.close();
    await sidecar?.close();
    rmSync(dataDir, { recursive: true, force: true });
  });

  it("see an alert fire and resolved", async () => {
    const firing = 'ALERTS{alertname="DriftlockDownstreamDown",alertstate="firing"}';
    await expect.poll(async () => (await prometheus.query(firing)).data.result).toHaveLength(1);
    await expect
      .poll(() => receiver.arrived.map(({ json }) => json))
      .toContainEqual(
        expect.objectContaining({
          status: "firing",
          groupLabels: { alertname: "DriftlockDownstreamDown", instance: sidecar.addresses.api },
        }),
      );
    const [alert] = receiver.arrived.find(({ json }) => json.status === "firing")!.json.alerts;
    expect(alert).toMatchObject({
      labels: { severity: "critical" },
      annotations: {
        summary: `The downstream of ${sidecar.addresses.api} does not answer, or refuses.`,
        runbook: "docs/guides/runbook.md#driftlockdownstreamdown",
      },
    });

    const downstream = await startDownstream("grpc", () => ({}), { port: downstreamPort });
    try {
      await expect.poll(async () => (await prometheus.query(firing)).data.result).toEqual([]);
      await expect
        .poll(() => receiver.arrived.map(({ json }) => json))
        .toContainEqual(
          expect.objectContaining({
            status: "resolved",
            groupLabels: { alertname: "DriftlockDownstreamDown", instance: sidecar.addresses.api },
          }),
        );
    } finally {
      await downstream.close();
    }
  }, 120_000);

  it("answer every query of the dashboard, about metrics that exist", async () => {
    const names = new Set(
      (await (await fetch(`http://${sidecar.addresses.api}/metrics`)).text()).match(/^# TYPE \S+/gm),
    );
    // Processes with roles alone have these.
    for (const [, name] of text("docs/reference/metrics.md").matchAll(/`(driftlock_kafka_[a-z_]+)`/g)) {
      names.add(`# TYPE ${name}`);
    }
    expect(queries.length).toBeGreaterThan(40);
    for (const query of queries) {
      const expr = query
        .replaceAll(/\$__(rate_interval|range)/g, "5m")
        .replaceAll(/"\$(instance|tenant|service)"/g, '".*"');
      expect(expr).not.toContain("$");
      expect(await prometheus.query(expr), expr).toMatchObject({ status: "success" });
      for (const [name] of expr.matchAll(/\b(driftlock|process|nodejs)_[a-z0-9_]+/g)) {
        expect(names, expr).toContain(`# TYPE ${name.replace(/_(bucket|count)$/, "")}`);
      }
    }
  });

  it("show the panels of the process", async () => {
    const shown = ["Instances", "Downstream", "Store", "Queue", "Memory", "Event loop delay"];
    for (const title of shown) {
      const { targets } = panels.find((panel) => panel.title === title)!;
      for (const { expr } of targets!) {
        const all = expr.replaceAll('"$instance"', '".*"');
        // CPU and rates need two scrapes; these need one.
        await expect
          .poll(async () => (await prometheus.query(all)).data.result, { message: all })
          .not.toEqual([]);
      }
    }
  });
});
