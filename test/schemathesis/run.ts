/**
 * `make test-api STORE=sqlite|postgres`: runs schemathesis against the whole sidecar, by the OpenAPI document that it
 * serves. No answer may be a 5xx that the document does not have, or violate its schema. The stream of live events is
 * left out, because it never ends. Further arguments are passed to `schemathesis run`.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { configSchema } from "../../src/config/schema.ts";
import { startSidecar } from "../../src/sidecar/index.ts";
import { openStore, scopes } from "../../src/store/index.ts";
import { startDownstream } from "../forward/downstream.ts";
import { id, midnight, options, report, silent } from "../store/fixtures.ts";
import { Postgres } from "../store/postgres.ts";

const root = join(import.meta.dirname, "..", "..");
const venv = join(root, "build", "schemathesis");
const tenant = "acme";

/** Installs the pinned version once, and returns its path. */
function schemathesis(): string {
  const program = join(venv, "bin", "schemathesis");
  if (existsSync(program)) return program;
  const requirements = join(import.meta.dirname, "requirements.txt");
  for (const args of [
    ["python3", "-m", "venv", venv],
    [join(venv, "bin", "pip"), "install", "--quiet", "--requirement", requirements],
  ]) {
    const { status } = spawnSync(args[0]!, args.slice(1), { stdio: "inherit" });
    if (status !== 0)
      throw new Error(`${args.join(" ")} failed; Python with venv and pip is needed (Debian: python3-venv)`);
  }
  return program;
}

const [kind = "sqlite", ...more] = process.argv.slice(2);
if (kind !== "sqlite" && kind !== "postgres") throw new Error(`STORE must be sqlite or postgres, is ${kind}`);

const program = schemathesis();
const undo: (() => unknown)[] = [];
let code = 1;
try {
  const data_dir = mkdtempSync(join(tmpdir(), "driftlock-schemathesis-"));
  undo.push(() => rmSync(data_dir, { recursive: true, force: true }));
  const server = kind === "postgres" ? await Postgres.start() : undefined;
  undo.push(() => server?.remove());
  const downstream = await startDownstream("grpc");
  undo.push(() => downstream.close());
  const anyPort = { endpoint: "127.0.0.1:0" };
  const config = configSchema.parse({
    receive: { grpc: anyPort, http: anyPort },
    api: anyPort,
    forward: { endpoint: downstream.endpoint },
    auth: { enabled: true },
    store: server ? { url: server.url(await server.createDatabase()) } : {},
    data_dir,
  });

  const store = await openStore(config, options());
  await store.anomalies.record(
    Array.from({ length: 50 }, (_, n) =>
      report({ tenant, id: id(n), startTimeUnixNano: midnight + BigInt(n), occurrence: BigInt(n % 3) + 1n }),
    ),
  );
  const { secret } = await store.keys.create(tenant, { name: "schemathesis", scopes }, "test");
  await store.close();

  const sidecar = await startSidecar(config, { log: silent });
  undo.push(() => sidecar.close());
  const url = `http://${sidecar.addresses.api}`;
  console.log(`schemathesis against ${url} on ${kind}`);
  const args = [
    `--config-file=${join(import.meta.dirname, "schemathesis.toml")}`,
    "run",
    `${url}/openapi.json`,
    `--header=Authorization: Bearer ${secret}`,
    "--exclude-path=/v1/stream/anomalies",
    "--checks=all",
    "--continue-on-failure",
    ...more,
  ];
  const child = spawn(program, args, { stdio: "inherit", cwd: data_dir });
  [code] = (await once(child, "exit")) as [number];
} finally {
  for (const each of undo.reverse()) await each();
}
process.exitCode = code;
