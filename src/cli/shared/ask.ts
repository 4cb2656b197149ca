/** What commands share that list and follow what the API of a running Driftlock has. */
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { urlOf } from "../../base/address.ts";
import { printableJson } from "../../base/printable.ts";
import { type ApiClient, ApiRefusal, apiClientOf } from "./api-client.ts";
import { events } from "./events.ts";
import type { Io } from "./io.ts";
import { readOptions } from "./options.ts";
import type { Options } from "./parse-options.ts";
import { durationMs } from "./values.ts";
import { configOf } from "./with-store.ts";

const access = ["url", "key"];
/** Filters that take several values, separated by commas. */
const lists = new Set(["signal", "channel", "severity", "state"]);
/** Delay before a lost connection is opened again. */
const retryMs = 2_000;
const timeColumns = 19;

/** The help of the options that every request of the API has. */
export const accessHelp: [string, string][] = [
  ["--url URL", "the address of the API (taken from the configuration)"],
  ["--key KEY", "an API key with the scope read; better passed as the variable DRIFTLOCK_API_KEY"],
];

export interface Asked {
  client: ApiClient;
  query: URLSearchParams;
  positionals: readonly string[];
  json: boolean;
}

/** Reads what is asked of the API. */
export function readAsked(
  args: string[],
  { filters = [], positionals = [] }: { filters?: readonly string[]; positionals?: readonly string[] },
  io: Io,
): Asked {
  const options = readOptions(args, {
    values: [...access, ...filters],
    switches: ["json"],
    positionals,
  });
  const query = new URLSearchParams();
  for (const name of filters) {
    const value = options.values.get(name);
    if (value === undefined) continue;
    for (const each of lists.has(name) ? value.split(",") : [value]) {
      query.append(name.replace("-", "_"), name === "from" || name === "until" ? timeOf(each) : each);
    }
  }
  return {
    client: clientOf(options, io),
    query,
    positionals: options.positionals,
    json: options.switches.has("json"),
  };
}

/** Returns a client of the API at `--url`, or else at the address of the configuration. */
export function clientOf(options: Options, io: Io): ApiClient {
  return apiClientOf(options, io, urlOf(configOf(options, io).api.endpoint));
}

/** Returns the time, or the time that is as long ago as the duration that `text` is. */
export function timeOf(text: string): string {
  const ago = durationMs(text);
  return ago === undefined ? text : new Date(Date.now() - ago).toISOString();
}

export const shortTime = (text: string) => text.slice(0, timeColumns).replace("T", " ");

/**
 * Prints live events until the process is interrupted, and connects again if the connection is lost.
 * @param line formats an event's data
 */
export async function follow(
  { client, query, json }: Asked,
  path: string,
  line: (name: string, data: string) => string,
  io: Io,
): Promise<void> {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  let last: string | undefined;
  while (!stop.signal.aborted) {
    try {
      const stream = await client.stream(path, query, last, stop.signal);
      for await (const event of events(stream)) {
        last = event.id ?? last;
        if (event.name === "gap" || event.name === "dropped") {
          io.err(`${event.name}: ${(JSON.parse(event.data) as { reason: string }).reason}\n`);
        } else {
          io.out(`${json ? printableJson(event.data) : line(event.name, event.data)}\n`);
        }
      }
    } catch (error) {
      if (stop.signal.aborted) break;
      // The API would refuse the same request again.
      const passing = error instanceof TypeError || (error instanceof ApiRefusal && error.temporary);
      if (!passing) throw error;
      io.err(`${reasonOf(error)}; retrying\n`);
    }
    await sleep(retryMs, undefined, { signal: stop.signal }).catch(() => {});
  }
}

/** Returns the reason of an error; `fetch` puts it into the cause. */
function reasonOf(error: Error): string {
  return error.cause instanceof Error ? error.cause.message : error.message;
}
