import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { plural } from "../../base/plural.ts";
import { type AgentOptions, AgentTelemetry } from "../../generate/agents/agent-telemetry.ts";
import { type AgentFault, agentFaultKinds, agentFaultNames } from "../../generate/agents/fault.ts";
import { anomalyKinds, anomalyNames } from "../../generate/anomalies.ts";
import type { Batch } from "../../generate/batch.ts";
import { type ShopOptions, ShopTelemetry } from "../../generate/shop-telemetry.ts";
import { type Fault, faultNames } from "../../generate/topology/fault.ts";
import { faultKinds } from "../../generate/topology/fault-kinds.ts";
import { type TopologyOptions, TopologyTelemetry } from "../../generate/topology/topology-telemetry.ts";
import type { Signal } from "../../otlp/protocol.ts";
import { helpText } from "../shared/help.ts";
import { exit, type Io } from "../shared/io.ts";
import { writeTo } from "./files.ts";
import { type GenerateOptions, parseGenerateArgs } from "./options.ts";
import { sendTo } from "./send.ts";
import { type Sink, type Tally, tally } from "./sink.ts";
import { Truth } from "./truth.ts";

const width = Math.max(...anomalyNames.map((name) => name.length));
export const help = helpText({
  usage: ["generate [OPTION]..."],
  about: `
Sends the telemetry of a small synthetic shop over OTLP: logs, traces and metrics of five services, with anomalies at known
times. With --topology, a larger system sends it: at least twelve services, chosen by the seed, with gateways, databases,
caches and queues, a daily cycle, and faults whose effects spread along the calls. With --agents, four LLM agents of two services
send it: their conversations with growing histories, their calls of models and tools, and faults of such agents. The same options,
--start included, produce the same bytes. It stops on SIGINT, on SIGTERM or after --duration.`,
  lists: [
    [
      "Anomalies",
      anomalyNames.map((name) => [name, `${anomalyKinds[name].service}: ${anomalyKinds[name].summary}`]),
    ],
    ["Faults of a topology", faultNames.map((name) => [name, faultKinds[name].summary])],
    ["Faults of agents", agentFaultNames.map((name) => [name, agentFaultKinds[name].summary])],
  ],
  options: [
    ["--endpoint URL", "where to send (http://127.0.0.1:4317, or http://127.0.0.1:4318 for http)"],
    ["--protocol NAME", "grpc or http (grpc)"],
    ["--allow-remote", "let --endpoint be another machine"],
    [
      "--out FILE",
      "write to a file as fast as possible instead of sending: each request behind its length in 4 bytes, big-endian, and one file per signal; %s in FILE stands for the signal",
    ],
    [
      "--signals LIST",
      "logs, traces, metrics (all); of agents traces, and logs, whose events repeat what the spans of calls hold (traces)",
    ],
    ["--rate N", "records per second of wall time (500)"],
    ["--speed N", "seconds of stream time per second of wall time (1); at 1440 a day takes a minute"],
    ["--duration TIME", "how much stream time to send, such as 90s or 7d (until stopped)"],
    ["--start TIME", "when the stream time begins, in ISO 8601 (now)"],
    ["--seed TEXT", "the seed of all random choices (42)"],
    ["--records-per-request N", "at most so many (100); whatever waits is sent once per second"],
    [
      "--anomaly NAME@START[+TIME]",
      "inject an anomaly this long after the start, in stream time; may be given several times (all of them in turn, one every 20 s of wall time, once the default baselines have been learned)",
    ],
    ["--no-anomalies", "inject no anomalies"],
    ["--topology", "send the telemetry of a topology instead of the shop's"],
    ["--agents", "send the telemetry of LLM agents instead of the shop's"],
    [
      "--fault NAME@START[+TIME][:SIZE]",
      "inject a fault into the topology or the agents this long after the start, in stream time, for TIME (10m); SIZE is its strength in relation to what is usual for its kind (1); may be given several times (none)",
    ],
    [
      "--truth FILE",
      "write down what was injected, one JSON object per line: each anomaly when it begins (kind, service, signals, start, end), and each record that belongs to one (kind, signal, and its index among the records of its signal, like i in the output of replay); or each fault when it begins (id, kind, cause, services, signals, start, end), and each turn of an agent that it affects (fault, conversation, trace, time)",
    ],
  ],
  config: false,
  exit: ["All records were accepted.", "Some records were not accepted."],
});

/** Writes each batch when it is due. Batches of a signal are written in order, signals concurrently. */
async function play(batches: Iterable<Batch>, sink: Sink, speed: number, stop: AbortSignal): Promise<void> {
  const start = performance.now();
  const last = new Map<Signal, Promise<void>>();
  try {
    for (const batch of batches) {
      const wait = start + batch.time / speed - performance.now();
      if (wait > 1) await sleep(wait, undefined, { signal: stop });
      await last.get(batch.signal);
      if (stop.aborted) return;
      const written = sink.write(batch);
      // It is awaited before the next batch of the signal; until then, a failure must not count as unhandled.
      written.catch(() => {});
      last.set(batch.signal, written);
    }
    await Promise.all(last.values());
  } catch (error) {
    if (!stop.aborted) throw error;
  } finally {
    await Promise.allSettled(last.values());
  }
}

function summary(
  to: GenerateOptions["to"],
  totals: Tally,
  injected: readonly string[],
  seconds: number,
): string {
  const done = to.kind === "files" ? `wrote to ${to.pattern}` : `sent to ${to.endpoint}`;
  const lines = [
    `${done}: ${plural(totals.records, "record")} in ${plural(totals.requests, "request")}, ${plural(totals.bytes, "byte")}, ${seconds.toFixed(1)} s`,
  ];
  if (totals.refused > 0) lines.push(`not accepted: ${plural(totals.refused, "record")}`);
  lines.push(...injected.map((line) => `injected ${line}`));
  return `${lines.join("\n")}\n`;
}

/** What sends telemetry, and what it has injected so far. */
interface Source {
  batches: Iterable<Batch>;
  injected(): string[];
}

function shopSource(options: ShopOptions, truth: Truth | undefined): Source {
  const shop = new ShopTelemetry({ ...options, onAnomaly: (anomaly) => truth?.begin(anomaly) });
  return {
    batches: truth ? truth.about(shop.batches()) : shop.batches(),
    injected: () =>
      [...shop.injected].flatMap(([name, { times, records, withheld }]) => {
        if (times === 0) return [];
        const parts = [
          ...(records > 0 ? [plural(records, "record")] : []),
          ...(withheld > 0 ? [`${withheld} withheld`] : []),
        ];
        return [`${name.padEnd(width)} x${times}: ${parts.join(", ") || "no records"}`];
      }),
  };
}

function topologySource(options: TopologyOptions, truth: Truth | undefined): Source {
  const faults: Fault[] = [];
  const onFault = (fault: Fault) => {
    faults.push(fault);
    truth?.fault(fault);
  };
  return {
    batches: new TopologyTelemetry({ ...options, onFault }).batches(),
    injected: () =>
      faults.map(({ kind, cause: { service, operation }, services }) => {
        const at = operation === undefined ? service : `${operation} of ${service}`;
        const others = services.length - 1;
        return `${kind}: ${at}, shown by ${others === 0 ? "no other service" : `${others} more`}`;
      }),
  };
}

function agentSource(options: AgentOptions, truth: Truth | undefined): Source {
  const faults: AgentFault[] = [];
  const affected = new Map<string, number>();
  const telemetry = new AgentTelemetry({
    ...options,
    onFault(fault) {
      faults.push(fault);
      truth?.agentFault(fault);
    },
    onAffected(turn) {
      affected.set(turn.fault, (affected.get(turn.fault) ?? 0) + 1);
      truth?.affected(turn);
    },
  });
  return {
    batches: telemetry.batches(),
    injected: () =>
      faults.map(
        ({ id, kind, cause: { service, agent } }) =>
          `${kind}: ${agent} of ${service}, ${affected.get(id) ?? 0} turns`,
      ),
  };
}

function sourceOf(source: GenerateOptions["source"], truth: Truth | undefined): Source {
  switch (source.kind) {
    case "shop":
      return shopSource(source.options, truth);
    case "topology":
      return topologySource(source.options, truth);
    case "agents":
      return agentSource(source.options, truth);
  }
}

/** Creates a signal that the first SIGINT or SIGTERM aborts. The second ends the process as usual. */
function stopSignal(): { stop: AbortSignal; release(): void } {
  const controller = new AbortController();
  const onSignal = () => {
    release();
    controller.abort();
  };
  const release = () => {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return { stop: controller.signal, release };
}

export async function run(args: string[], io: Io): Promise<number> {
  const { source, truth: file, to } = parseGenerateArgs(args);
  const { signals, speed, startUnixNano } = source.options;
  const truth = file === undefined ? undefined : new Truth(file, startUnixNano, signals);
  const { batches, injected } = sourceOf(source, truth);
  const totals = tally();
  const { stop, release } = stopSignal();
  const start = performance.now();
  let complete = false;
  try {
    const sink =
      to.kind === "files"
        ? writeTo(to.pattern, signals, totals)
        : sendTo(to, totals, (message) => io.err(`driftlock: ${message}\n`), stop);
    try {
      await play(batches, sink, to.kind === "files" ? Number.POSITIVE_INFINITY : speed, stop);
      complete = true;
    } finally {
      await sink.close();
    }
  } finally {
    release();
    truth?.close();
    // There is nothing to sum up if it failed before the first request.
    if (complete || totals.requests + totals.refused > 0)
      io.out(summary(to, totals, injected(), (performance.now() - start) / 1_000));
  }
  return totals.refused > 0 ? exit.failure : exit.ok;
}
