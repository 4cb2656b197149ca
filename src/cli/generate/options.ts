import { parseArgs } from "node:util";
import { isLoopback, parseTarget } from "../../base/address.ts";
import { nearest } from "../../base/nearest.ts";
import {
  type AnomalyName,
  anomalyKinds,
  anomalyNames,
  defaultDuration,
  defaultSchedule,
  type Schedule,
} from "../../generate/anomalies.ts";
import { type ShopOptions, scrapeInterval } from "../../generate/shop-telemetry.ts";
import { type Signal, signals } from "../../otlp/protocol.ts";
import { UsageError } from "../shared/io.ts";

export interface GenerateOptions {
  shop: ShopOptions;
  to: { kind: "endpoint"; endpoint: string; protocol: "grpc" | "http" } | { kind: "files"; pattern: string };
}

const unitMs = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5 } as const;

/** Milliseconds. */
function duration(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  if (!match)
    throw new UsageError(`${option} must be a duration such as 30s or 2h, is ${JSON.stringify(text)}`);
  return Number(match[1]) * unitMs[match[2] as keyof typeof unitMs];
}

function number(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= least && value <= most)) {
    throw new UsageError(`${option} must be a number from ${least} to ${most}, is ${JSON.stringify(text)}`);
  }
  return value;
}

function whole(option: string, text: string, least: number, most: number): number {
  const value = number(option, text, least, most);
  if (!Number.isInteger(value)) throw new UsageError(`${option} must be a whole number, is ${text}`);
  return value;
}

function choice<T extends string>(option: string, text: string, choices: readonly T[]): T {
  const found = choices.find((each) => each === text);
  if (found !== undefined) return found;
  const guess = nearest(text, choices);
  throw new UsageError(
    `${option} must be ${guess ? `one of ${choices.join(", ")}; did you mean ${guess}?` : `one of ${choices.join(", ")}, is ${JSON.stringify(text)}`}`,
  );
}

function signalList(text: string): Signal[] {
  const list = text.split(",").map((part) => choice("--signals", part.trim(), signals));
  return signals.filter((signal) => list.includes(signal));
}

function startTime(text: string | undefined): bigint {
  const ms = text === undefined ? Date.now() : Date.parse(text);
  if (!(ms >= 0)) {
    throw new UsageError(`--start must be a time such as 2026-01-01T00:00:00Z, is ${JSON.stringify(text)}`);
  }
  return BigInt(ms) * 1_000_000n;
}

type Shop = Omit<ShopOptions, "schedule">;

/** `name@start` or `name@start+duration`. */
function anomaly(text: string, shop: Shop): Schedule {
  const at = text.indexOf("@");
  if (at < 0) throw new UsageError(`--anomaly must be like latency@90s+10s, is ${JSON.stringify(text)}`);
  const name: AnomalyName = choice("--anomaly", text.slice(0, at), anomalyNames);
  const shows = anomalyKinds[name].signals;
  if (!shows.some((signal) => shop.signals.includes(signal))) {
    throw new UsageError(`--anomaly ${name} shows in ${shows.join(", ")}: add that to --signals`);
  }
  const [from = "", lasts] = text.slice(at + 1).split("+", 2);
  const start = duration(`start of --anomaly ${name}`, from);
  const length =
    lasts === undefined
      ? defaultDuration(name, shop, scrapeInterval(shop))
      : duration(`duration of --anomaly ${name}`, lasts);
  return { name, start, end: start + length };
}

function endpointOf(text: string, allowRemote: boolean): string {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {}
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(
      `--endpoint must be a URL such as http://127.0.0.1:4317, is ${JSON.stringify(text)}`,
    );
  }
  const { host } = parseTarget(text);
  if (!allowRemote && !isLoopback(host)) {
    throw new UsageError(
      `--endpoint ${host} is another machine: synthetic data does not belong into real telemetry; if it does, add --allow-remote`,
    );
  }
  return text;
}

/** @throws {UsageError} */
export function parseGenerateArgs(args: string[]): GenerateOptions {
  const { values } = parseArgs({
    args,
    options: {
      endpoint: { type: "string" },
      protocol: { type: "string", default: "grpc" },
      "allow-remote": { type: "boolean", default: false },
      out: { type: "string" },
      signals: { type: "string", default: signals.join(",") },
      rate: { type: "string", default: "500" },
      speed: { type: "string", default: "1" },
      duration: { type: "string" },
      start: { type: "string" },
      seed: { type: "string", default: "42" },
      "records-per-request": { type: "string", default: "100" },
      anomaly: { type: "string", multiple: true },
      "no-anomalies": { type: "boolean", default: false },
      label: { type: "boolean", default: false },
    },
  });
  const { out } = values;
  if (out !== undefined && values.duration === undefined) {
    throw new UsageError("--out needs --duration: a file has to end");
  }
  const pace = {
    signals: signalList(values.signals),
    rate: number("--rate", values.rate, 0.01, 10_000_000),
    speed: number("--speed", values.speed, 0.001, 1_000_000),
  };
  const shop: Shop = {
    ...pace,
    seed: values.seed,
    startUnixNano: startTime(values.start),
    duration:
      values.duration === undefined ? Number.POSITIVE_INFINITY : duration("--duration", values.duration),
    recordsPerRequest: whole("--records-per-request", values["records-per-request"], 1, 100_000),
    label: values.label,
  };
  if (values["no-anomalies"] && values.anomaly) {
    throw new UsageError("--no-anomalies and --anomaly exclude each other");
  }
  const schedule = values["no-anomalies"]
    ? []
    : (values.anomaly?.map((text) => anomaly(text, shop)).sort((a, b) => a.start - b.start) ??
      defaultSchedule(pace, scrapeInterval(pace), shop.duration));
  const late = Array.isArray(schedule) && schedule.find(({ start }) => start >= shop.duration);
  if (late) throw new UsageError(`--anomaly ${late.name} begins after the end: raise --duration`);

  if (out !== undefined) {
    if (values.endpoint !== undefined) throw new UsageError("--out and --endpoint exclude each other");
    if (pace.signals.length > 1 && !out.includes("%s")) {
      throw new UsageError(
        "--out must hold %s for the signal, since each signal has a file; or choose one with --signals",
      );
    }
    return { shop: { ...shop, schedule }, to: { kind: "files", pattern: out } };
  }
  const protocol = choice("--protocol", values.protocol, ["grpc", "http"] as const);
  const endpoint = endpointOf(
    values.endpoint ?? `http://127.0.0.1:${protocol === "grpc" ? 4317 : 4318}`,
    values["allow-remote"],
  );
  return { shop: { ...shop, schedule }, to: { kind: "endpoint", endpoint, protocol } };
}
