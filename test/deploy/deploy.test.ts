/** What deploy/ and the Dockerfile state about the sidecar is what the sidecar does. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { parse, stringify } from "yaml";
import { parseListen } from "../../src/base/address.ts";
import { loadConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/schema.ts";
import { kafkaRoles } from "../../src/kafka/index.ts";

const text = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const { version } = JSON.parse(text("package.json"));
const values = parse(text("deploy/helm/driftlock/values.yaml"));
const { services, networks } = parse(text("deploy/docker-compose.yml"));

/** Environment variables that the image sets. */
const env = { DRIFTLOCK_DATA_DIR: "/var/lib/driftlock", DRIFTLOCK_HEALTH_ENDPOINT: "127.0.0.1:13133" };
const dockerfile = text("Dockerfile");
const podTemplate = text("deploy/helm/driftlock/templates/_pod.tpl");
const schema = JSON.parse(text("deploy/helm/driftlock/values.schema.json"));

function chartConfig(more: object = {}): Config {
  const folder = mkdtempSync(join(tmpdir(), "driftlock-chart-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "driftlock.yaml");
  const { forward, ...others } = values.config;
  const config = { ...others, ...more, forward: { ...forward, endpoint: "http://collector:4317" } };
  writeFileSync(file, stringify(config));
  return loadConfig({ file, env }).config;
}

const composeConfig = (): Config =>
  loadConfig({
    file: fileURLToPath(new URL("../../deploy/compose/driftlock.yaml", import.meta.url)),
    env,
  }).config;

const ports = ({ receive, api }: Config) =>
  [receive.grpc, receive.http, api].map(({ endpoint }) => parseListen(endpoint).port);

it("the image is built from all that `make` builds, as it is released, with what computes verdicts again in browsers", () => {
  const ignored = text(".dockerignore").split("\n");
  for (const folder of ["cmake", "native", "proto", "scripts", "src", "ui"])
    expect(ignored).toContain(`!${folder}`);
  expect(dockerfile).toContain("make profile wasm build");
});

describe.each([
  ["the chart", () => chartConfig(), values.terminationGracePeriodSeconds],
  ["docker-compose.yml", composeConfig, Number.parseInt(services.driftlock.stop_grace_period, 10)],
])("%s", (_, configOf, graceSeconds) => {
  it("has a valid configuration that uses the image's ports and folder", () => {
    const config = configOf();
    expect(dockerfile).toContain(`EXPOSE ${ports(config).join(" ")}\n`);
    expect(dockerfile).toContain(`DRIFTLOCK_DATA_DIR=${config.data_dir} \\\n`);
    expect(dockerfile).toContain(`VOLUME ${config.data_dir}\n`);
  });

  it("has probes on a port of their own", () => {
    expect(dockerfile).toContain(`DRIFTLOCK_HEALTH_ENDPOINT=${configOf().health.endpoint}\n`);
    const { port } = parseListen(configOf().health.endpoint!);
    expect(podTemplate).toContain(`value: "0.0.0.0:${port}"\n`);
    expect(podTemplate).toContain(`- name: health\n          containerPort: ${port}\n`);
    expect([...podTemplate.matchAll(/^ {10}port: (\w+)$/gm)].map(([, name]) => name)).toEqual([
      "health",
      "health",
    ]);
  });

  it("lets nobody in without a key whom it does not name", () => {
    expect(configOf().auth.enabled).toBe(true);
  });

  it("leaves the time to stop", () => {
    expect(graceSeconds * 1000).toBeGreaterThan(configOf().shutdown_timeout);
  });
});

it("names the package's version in the chart, docker-compose.yml and docs/guides/containers.md", () => {
  const chart = parse(text("deploy/helm/driftlock/Chart.yaml"));
  expect(chart).toMatchObject({ version, appVersion: version });
  expect(services.driftlock.image).toBe(`driftlock:${version}`);
  const told = [...text("docs/guides/containers.md").matchAll(/driftlock:(\d\S+)/g)].map(([, tag]) => tag);
  expect(new Set(told)).toEqual(new Set([version]));
});

interface Schema {
  $ref?: string;
  properties?: Record<string, Schema>;
}

it("has each value of the chart in its schema, which refuses others", () => {
  const compare = ({ $ref, properties }: Schema, value: Record<string, unknown>, path: string) => {
    if ($ref) compare(schema.definitions[$ref.split("/").at(-1)!], value, path);
    if (!properties) return;
    expect(Object.keys(properties).sort(), path).toEqual(Object.keys(value).sort());
    for (const [name, inner] of Object.entries(properties)) {
      compare(inner, value[name] as Record<string, unknown>, `${path}.${name}`);
    }
  };
  // Those of charts that this one is a part of.
  compare(schema, { ...values, enabled: true, global: {} }, "values");
});

it("has a Deployment in the chart for each role, with a valid configuration", () => {
  expect(Object.keys(values.roles)).toEqual([...kafkaRoles]);
  const partials = text("deploy/helm/driftlock/templates/_helpers.tpl");
  const { kafka } = chartConfig({ kafka: { brokers: ["kafka:9092"] } });
  expect(partials).toContain(`default ${kafka.partitions} .root.Values.config.kafka.partitions`);
  expect(text("deploy/helm/driftlock/templates/autoscaling.yaml")).toContain(
    `dig "topic_prefix" "${kafka.topic_prefix}" $kafka`,
  );
});

it("has a service in docker-compose.kafka.yml for each role, with a valid configuration", () => {
  const compose = parse(text("deploy/docker-compose.kafka.yml"), { merge: true });
  for (const role of kafkaRoles) {
    expect(compose.services[role]).toMatchObject({
      image: services.driftlock.image,
      command: ["run", "--roles", role, "--config", "/etc/driftlock/driftlock.yaml"],
    });
  }
  const file = fileURLToPath(new URL("../../deploy/compose/kafka.yaml", import.meta.url));
  const { config } = loadConfig({ file, env: { ...env, POSTGRES_PASSWORD: "secret" } });
  expect(config.kafka).toMatchObject({ brokers: ["kafka:9092"], replication: 1 });
  expect(config.auth.trusted_proxies).toEqual([compose.services.edge.networks.telemetry.ipv4_address]);
  const graceSeconds = Number.parseInt(compose.services.router.stop_grace_period, 10);
  expect(graceSeconds * 1000).toBeGreaterThan(config.shutdown_timeout);
});

it("runs as the same user in the chart as in the image", () => {
  const { runAsUser, runAsGroup, fsGroup } = values.podSecurityContext;
  expect(dockerfile).toContain(`USER ${runAsUser}:${runAsGroup}\n`);
  expect(fsGroup).toBe(runAsGroup);
});

it("believes the edge Collector of docker-compose.yml alone, not the gateway that published ports come from", () => {
  const edge = services.edge.networks.telemetry.ipv4_address;
  expect(composeConfig().auth.trusted_proxies).toEqual([edge]);
  const { exporters } = parse(text("deploy/compose/edge.yaml"));
  expect(Object.keys(exporters.otlp_grpc.headers)).toEqual([composeConfig().auth.tenant_header]);
  const [{ subnet, ip_range }] = networks.telemetry.ipam.config;
  const network = (cidr: string) => cidr.split(".").slice(0, 3).join(".");
  expect([network(edge), network(ip_range)]).toEqual([network(subnet), network(subnet)]);
});
