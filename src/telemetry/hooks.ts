/** Records the events of the parts of a process as metrics. */
import { channelName } from "../anomaly/names.ts";
import type { Report } from "../anomaly/report.ts";
import type { DurableHooks } from "../forward/index.ts";
import { State } from "../gen/driftlock/v1/anomaly_pb.js";
import { type Signal, signals } from "../otlp/protocol.ts";
import type { ReceiveHooks } from "../receive/index.ts";
import { type consumedTopics, skippedTopics } from "./definitions.ts";
import type { Logger } from "./log.ts";
import { codeLabel, type Metrics } from "./metrics.ts";

export function receiveHooks({ receiver }: Metrics, log: Logger): ReceiveHooks {
  return {
    log,
    onRequest({ signal, transport, code, bytes, wireBytes, seconds }) {
      receiver.requests.inc({ signal, transport, code: codeLabel(code) });
      receiver.bytes.inc({ signal, transport }, bytes);
      receiver.wireBytes.inc({ signal, transport }, wireBytes);
      receiver.seconds.observe({ signal, transport }, seconds);
    },
    onRequestCut(reason) {
      receiver.abortedRequests.inc({ reason });
    },
    onConnectionRefused(transport) {
      receiver.refusedConnections.inc({ transport });
    },
    onConnectionClosed(transport, reason) {
      receiver.closedConnections.inc({ transport, reason });
    },
  };
}

export function forwardHooks({ forward }: Metrics, log: Logger): DurableHooks {
  return {
    log,
    onAttempt({ signal, code }) {
      forward.attempts.inc({ signal, code: codeLabel(code) });
    },
    onDelivered({ signal, seconds, bytes, rejected }) {
      forward.requests.inc({ signal });
      forward.bytes.inc({ signal }, bytes);
      if (rejected > 0) forward.rejected.inc({ signal }, rejected);
      forward.seconds.observe({ signal }, seconds);
    },
    onOversize({ signal }) {
      forward.oversize.inc({ signal });
    },
    onRefusedPart({ signal, records }) {
      forward.rejected.inc({ signal }, records);
    },
    onDrop({ signal, reason }) {
      forward.undelivered.inc({ signal, reason });
    },
    onDeadLetter({ signal, kept }) {
      (kept ? forward.deadLetters : forward.lostDeadLetters).inc({ signal });
    },
    onDamage({ bytes }) {
      forward.damaged.inc(bytes);
    },
  };
}

export function notifyHooks({ notifications }: Metrics, log: Logger) {
  return {
    log,
    onResult(type: string, result: string, count: number) {
      notifications.inc({ type, result }, count);
    },
  };
}

/** The counts of what became of a request that metrics have under the same names. */
const outcomeCounts = [
  "records",
  "flagged",
  "limited",
  "excluded",
  "unjudged",
  "redated",
  "abridged",
  "unreported",
  "evidenceLeftOut",
] as const;

type Outcome = Readonly<Record<(typeof outcomeCounts)[number] | "returned", number>>;

export function engineHooks({ engine }: Metrics) {
  return {
    onAnswer(signal: Signal, seconds: number) {
      engine.seconds.observe({ signal }, seconds);
    },
    onJudged(signal: Signal, outcome: Outcome) {
      for (const name of outcomeCounts) {
        // All but the first are nearly always 0, and a counter finds its labels for 0 as well.
        if (outcome[name] > 0) engine[name].inc({ signal }, outcome[name]);
      }
      if (outcome.returned > 0) engine.returned.inc(outcome.returned);
    },
    onReport({ message }: Report) {
      engine.reports.inc({
        signal: signals[message.signal],
        channel: channelName(message.channel),
        state: message.state === State.ENDED ? "ended" : "open",
      });
    },
    onSilenced({ message }: Report) {
      engine.silenced.inc({ signal: signals[message.signal] });
    },
  };
}

/** @param topic the one that is read */
export function kafkaHooks(metrics: Metrics, topic: (typeof consumedTopics)[number]) {
  const { consumed, skipped, produced, failures, takeOver, replayed, fenced } = metrics.kafka();
  for (const each of [consumed, failures]) each.inc({ topic }, 0);
  if (skippedTopics.includes(topic)) skipped.inc({ topic }, 0);
  return {
    onConsumed: (records: number) => consumed.inc({ topic }, records),
    onSkipped: (records: number) => skipped.inc({ topic }, records),
    onProduced: (to: string, records: number) => produced.inc({ topic: to }, records),
    onFailure: () => failures.inc({ topic }),
    onTakeOver: (seconds: number) => takeOver.observe({}, seconds),
    onReplayed: (records: number) => replayed.inc(records),
    onFenced: () => fenced.inc(),
  };
}
