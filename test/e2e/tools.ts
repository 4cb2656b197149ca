/** The OpenTelemetry programs that Driftlock is tested with: how they are built and started. */
import { execFile, spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Signal } from "../../src/otlp/protocol.ts";
import { freePort, Program } from "./programs.ts";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

const binaries = path("../../build/tools");
export const otelload = join(binaries, "otelload");
export const telemetrygen = join(binaries, "telemetrygen");
const otelcol = join(binaries, "otelcol");

export const toolsAvailable = spawnSync("go", ["version"]).status === 0;
export const missingTools =
  "Go is missing, with which tools/build.sh builds the Collector and telemetrygen: install it from go.dev";

/** Builds what has changed. @throws {Error} that names what is missing, or holds the compiler's output. */
export async function buildTools(): Promise<void> {
  if (!toolsAvailable) throw new Error(missingTools);
  try {
    await promisify(execFile)(path("../../tools/build.sh"));
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    throw new Error(`tools/build.sh failed: ${stderr ?? error}`, { cause: error });
  }
}

export interface Collector {
  program: Program;
  /** host:port of the OTLP/gRPC receiver. */
  grpc: string;
  http: string;
}

/**
 * Starts a Collector. `config` is a file of this folder, which reads the variables GRPC and HTTP (where to listen) and
 * `env`.
 */
export async function startCollector(config: string, env: Record<string, string>): Promise<Collector> {
  const grpc = `127.0.0.1:${await freePort()}`;
  const http = `127.0.0.1:${await freePort()}`;
  const file = fileURLToPath(new URL(config, import.meta.url));
  const program = new Program(otelcol, ["--config", file], { GRPC: grpc, HTTP: http, ...env });
  await program.said(/Everything is ready/);
  return { program, grpc, http };
}

export interface Sink {
  program: Program;
  /** host:port of the sink. */
  address: string;
  /** Stops the sink and resolves to what it received, by signal. */
  totals(): Promise<Partial<Record<Signal, { requests: number; records: number }>>>;
}

/** Starts a cheap OTLP/gRPC back end that counts; `otelload sink -h` lists `args`. */
export async function startSink(args: string[] = [], address = "127.0.0.1:0"): Promise<Sink> {
  const program = new Program(otelload, ["sink", "-addr", address, ...args]);
  const [, bound] = await program.said(/sink on (\S+)/);
  return {
    program,
    address: bound!,
    async totals() {
      program.kill("SIGTERM");
      return JSON.parse(await program.succeeded()).signals;
    },
  };
}

export interface Load {
  requests: number;
  records: number;
  seconds: number;
  /** Failed requests by gRPC status. */
  errors: Record<string, number>;
  latency_ms?: { p50: number; p95: number; p99: number; max: number };
  bytes_per_record: number;
}

/** Sends requests to host:port; `otelload gen -h` lists `args`. Resolves when it is done, with or without failures. */
export async function sendLoad(target: string, args: string[]): Promise<Load> {
  const program = new Program(otelload, ["gen", "-target", target, ...args]);
  await program.exit;
  if (program.stdout === "") throw new Error(`otelload gen: ${program.stderr}`);
  return { errors: {}, ...JSON.parse(program.stdout) };
}
