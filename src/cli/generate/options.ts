import { isLoopback, parseTarget } from "../../base/address.ts";
import { url } from "../../config/schema/values.ts";
import type { AgentOptions } from "../../generate/agents/agent-telemetry.ts";
import { type AgentFaultSchedule, agentFaultNames } from "../../generate/agents/fault.ts";
import {
  type AnomalyName,
  anomalyKinds,
  anomalyNames,
  defaultDuration,
  defaultSchedule,
  type Schedule,
} from "../../generate/anomalies.ts";
import type { TelemetryOptions } from "../../generate/batch.ts";
import { type ShopOptions, scrapeInterval } from "../../generate/shop-telemetry.ts";
import { type FaultSchedule, faultNames } from "../../generate/topology/fault.ts";
import { faultKinds } from "../../generate/topology/fault-kinds.ts";
import type { TopologyOptions } from "../../generate/topology/topology-telemetry.ts";
import { type Signal, signals } from "../../otlp/protocol.ts";
import { UsageError } from "../shared/io.ts";
import { type Options, parseOptions } from "../shared/parse-options.ts";
import { choice, durationMs, number, wholeNumber } from "../shared/values.ts";

export interface GenerateOptions {
  /** What sends the telemetry. */
  source:
    | { kind: "shop"; options: ShopOptions }
    | { kind: "topology"; options: TopologyOptions }
    | { kind: "agents"; options: AgentOptions };
  /** The file for the truth about the anomalies or faults. */
  truth: string | undefined;
  to: { kind: "endpoint"; endpoint: string; protocol: "grpc" | "http" } | { kind: "files"; pattern: string };
}

/** Returns the milliseconds of a duration. */
function duration(option: string, text: string): number {
  const ms = durationMs(text);
  if (ms !== undefined) return ms;
  throw new UsageError(`${option} must be a duration such as 30s or 2h, is ${JSON.stringify(text)}`);
}

/** The signals of agents: the events in their logs repeat what their spans hold. */
const agentSignals = ["traces", "logs"] as const satisfies readonly Signal[];

function signalList(text: string | undefined, agents: boolean): Signal[] {
  if (text === undefined) return agents ? ["traces"] : [...signals];
  const names: readonly Signal[] = agents ? agentSignals : signals;
  const list = text.split(",").map((part) => choice("--signals", part.trim(), names));
  return signals.filter((signal) => list.includes(signal));
}

function startTime(text: string | undefined): bigint {
  const ms = text === undefined ? Date.now() : Date.parse(text);
  if (!(ms >= 0)) {
    throw new UsageError(`--start must be a time such as 2026-01-01T00:00:00Z, is ${JSON.stringify(text)}`);
  }
  return BigInt(ms) * 1_000_000n;
}

/** Parses `name@start` or `name@start+duration`. */
function anomaly(text: string, common: TelemetryOptions): Schedule {
  const at = text.indexOf("@");
  if (at < 0) throw new UsageError(`--anomaly must be like latency@90s+10s, is ${JSON.stringify(text)}`);
  const name: AnomalyName = choice("--anomaly", text.slice(0, at), anomalyNames);
  const shows = anomalyKinds[name].signals;
  if (!shows.some((signal) => common.signals.includes(signal))) {
    throw new UsageError(`--anomaly ${name} is visible only in ${shows.join(", ")}: add that to --signals`);
  }
  const [from = "", lasts] = text.slice(at + 1).split("+", 2);
  const start = duration(`start of --anomaly ${name}`, from);
  const length =
    lasts === undefined
      ? defaultDuration(name, common, scrapeInterval(common))
      : duration(`duration of --anomaly ${name}`, lasts);
  return { name, start, end: start + length };
}

/** Duration of a fault without one, in milliseconds. */
const faultMs = 600_000;

/** Parses `kind@start`, `kind@start+duration` and `kind@start+duration:size`. */
function fault<Kind extends string>(
  text: string,
  kinds: readonly Kind[],
): { kind: Kind; start: number; end: number; size: number } {
  const [, name, from, lasts, strength] = /^([^@]*)@([^+:]*)(?:\+([^:]*))?(?::(.*))?$/.exec(text) ?? [];
  if (name === undefined)
    throw new UsageError(`--fault must be like ${kinds[0]}@90m+10m, is ${JSON.stringify(text)}`);
  const kind = choice("--fault", name, kinds);
  const start = duration(`start of --fault ${kind}`, from!);
  const length = lasts === undefined ? faultMs : duration(`duration of --fault ${kind}`, lasts);
  const size = strength === undefined ? 1 : number(`size of --fault ${kind}`, strength, 0.01, 100);
  return { kind, start, end: start + length, size };
}

/** Parses the faults of a source, in the order of their starts. */
function faultSchedule<Kind extends string>(
  texts: readonly string[] | undefined,
  kinds: readonly Kind[],
  common: TelemetryOptions,
): ReturnType<typeof fault<Kind>>[] {
  const schedule = (texts ?? []).map((text) => fault(text, kinds)).sort((a, b) => a.start - b.start);
  check("--fault", common, schedule, ({ kind }) => kind);
  return schedule;
}

function topologyFaults(texts: readonly string[] | undefined, common: TelemetryOptions): FaultSchedule[] {
  const schedule = faultSchedule(texts, faultNames, common);
  for (const { kind } of schedule) {
    const shows = faultKinds[kind].signals;
    if (!shows.some((signal) => common.signals.includes(signal))) {
      throw new UsageError(`--fault ${kind} is visible only in ${shows.join(", ")}: add that to --signals`);
    }
  }
  return schedule;
}

/** Returns what the options inject, in the order of the starts. */
function sourceOf(common: TelemetryOptions, { lists, switches }: Options): GenerateOptions["source"] {
  const [anomalies, faults] = [lists.get("anomaly"), lists.get("fault")];
  const none = switches.has("no-anomalies");
  const other = (["topology", "agents"] as const).find((name) => switches.has(name));
  if (switches.has("topology") && switches.has("agents"))
    throw new UsageError("--topology and --agents exclude each other");
  if (other !== undefined && anomalies)
    throw new UsageError(`--${other} and --anomaly exclude each other: inject faults with --fault`);
  if (other === "topology")
    return { kind: other, options: { ...common, schedule: topologyFaults(faults, common) } };
  if (other === "agents") {
    const schedule: AgentFaultSchedule[] = faultSchedule(faults, agentFaultNames, common);
    return { kind: other, options: { ...common, schedule } };
  }
  if (faults) throw new UsageError("--fault needs --topology or --agents");
  if (none && anomalies) throw new UsageError("--no-anomalies and --anomaly exclude each other");
  if (none) return { kind: "shop", options: { ...common, schedule: [] } };
  if (anomalies === undefined) {
    const schedule = defaultSchedule(common, scrapeInterval(common), common.duration);
    return { kind: "shop", options: { ...common, schedule } };
  }
  const schedule = anomalies.map((text) => anomaly(text, common)).sort((a, b) => a.start - b.start);
  check("--anomaly", common, schedule, ({ name }) => name);
  return { kind: "shop", options: { ...common, schedule } };
}

/** @throws {UsageError} if one begins after the end. */
function check<T extends { start: number }>(
  option: string,
  { duration }: TelemetryOptions,
  schedule: readonly T[],
  name: (item: T) => string,
): void {
  const late = schedule.find(({ start }) => start >= duration);
  if (late) throw new UsageError(`${option} ${name(late)} begins after the end: raise --duration`);
}

function endpointOf(text: string, allowRemote: boolean): string {
  const [issue] = url.safeParse(text).error?.issues ?? [];
  if (issue !== undefined) {
    const rule = issue.code === "custom" ? issue.message : "must be a URL such as http://127.0.0.1:4317";
    throw new UsageError(`--endpoint ${rule}, is ${JSON.stringify(text)}`);
  }
  const { host } = parseTarget(text);
  if (!allowRemote && !isLoopback(host)) {
    throw new UsageError(
      `--endpoint ${host} is another machine: synthetic data does not belong in real telemetry; if you want it there, add --allow-remote`,
    );
  }
  return text;
}

/** Reads the options of the command. @throws {UsageError} if they are wrong or contradict one another. */
export function parseGenerateArgs(args: string[]): GenerateOptions {
  const read = parseOptions(args, {
    values: [
      ...["endpoint", "protocol", "out", "signals", "rate", "speed"],
      ...["duration", "start", "seed", "records-per-request", "truth"],
    ],
    lists: ["anomaly", "fault"],
    switches: ["allow-remote", "no-anomalies", "topology", "agents"],
  });
  const { values, switches } = read;
  const [out, lasts] = [values.get("out"), values.get("duration")];
  if (out !== undefined && lasts === undefined) {
    throw new UsageError("--out needs --duration, since a file has to end");
  }
  const pace = {
    signals: signalList(values.get("signals"), switches.has("agents")),
    rate: number("--rate", values.get("rate") ?? "500", 0.01, 10_000_000),
    speed: number("--speed", values.get("speed") ?? "1", 0.001, 1_000_000),
  };
  const common: TelemetryOptions = {
    ...pace,
    seed: values.get("seed") ?? "42",
    startUnixNano: startTime(values.get("start")),
    duration: lasts === undefined ? Number.POSITIVE_INFINITY : duration("--duration", lasts),
    recordsPerRequest: wholeNumber(
      "--records-per-request",
      values.get("records-per-request") ?? "100",
      1,
      100_000,
    ),
  };
  const source = sourceOf(common, read);
  const truth = values.get("truth");
  if (out !== undefined) {
    if (values.has("endpoint")) throw new UsageError("--out and --endpoint exclude each other");
    if (pace.signals.length > 1 && !out.includes("%s")) {
      throw new UsageError(
        "--out must hold %s for the signal, since each signal has a file; or choose one with --signals",
      );
    }
    return { source, truth, to: { kind: "files", pattern: out } };
  }
  const protocol = choice("--protocol", values.get("protocol") ?? "grpc", ["grpc", "http"] as const);
  const endpoint = endpointOf(
    values.get("endpoint") ?? `http://127.0.0.1:${protocol === "grpc" ? 4317 : 4318}`,
    switches.has("allow-remote"),
  );
  return { source, truth, to: { kind: "endpoint", endpoint, protocol } };
}
