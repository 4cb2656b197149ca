/** The sidecar as users run it: the built CLI, in a process of its own, with a configuration file. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { Program } from "./programs.ts";

const built = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

export interface Driftlock {
  program: Program;
  /** host:port of each listener. */
  grpc: string;
  http: string;
  api: string;
  /** host:port of `health.endpoint`, if the configuration has it. */
  health: string | undefined;
  /** Sums up a metric's samples whose labels include `labels`. */
  metric(name: string, labels?: Record<string, string>): Promise<number>;
}

const section = (value: unknown) => value as Record<string, Record<string, unknown>> | undefined;

/** Starts the sidecar. `config` has the keys that matter to the caller; endpoints are free ports on loopback. */
export async function startDriftlock(
  config: Record<string, unknown>,
  { nodeOptions = [] as string[], env = {} as Record<string, string>, main = built } = {},
): Promise<Driftlock> {
  const folder = await mkdtemp(join(tmpdir(), "driftlock-e2e-"));
  const receive = section(config.receive);
  const file = join(folder, "driftlock.yaml");
  const anyPort = { endpoint: "127.0.0.1:0" };
  await writeFile(
    file,
    stringify({
      api: anyPort,
      data_dir: folder,
      ...config,
      receive: {
        ...receive,
        grpc: { ...anyPort, ...receive?.grpc },
        http: { ...anyPort, ...receive?.http },
      },
    }),
  );
  const program = new Program(process.execPath, [...nodeOptions, main, "run", "--config", file], env);
  program.exit.finally(() => rm(folder, { recursive: true, force: true }));
  const [, addresses] = await program.said(/"addresses":(\{[^}]*\})/);
  const { grpc, http, api, health } = JSON.parse(addresses!);
  return {
    program,
    grpc,
    http,
    api,
    health,
    async metric(name, labels = {}) {
      const text = await (await fetch(`http://${api}/metrics`)).text();
      let sum = 0;
      for (const line of text.split("\n")) {
        const sample = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
        if (sample?.[1] !== name) continue;
        const matches = Object.entries(labels).every(([key, value]) =>
          sample[2]?.includes(`${key}="${value}"`),
        );
        if (matches) sum += Number(sample[3]);
      }
      return sum;
    },
  };
}
