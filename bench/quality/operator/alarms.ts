/** What an operator would see: the anomalies of an engine with default settings, and when it reported them. */
import { configSchema } from "../../../src/config/schema.ts";
import { Engine, type EngineSettings, type Judged } from "../../../src/engine/index.ts";
import { Channel, State } from "../../../src/gen/driftlock/v1/anomaly_pb.js";
import type { Signal } from "../../../src/otlp/protocol.ts";

export interface Alarm {
  id: string;
  stream: string;
  /** The channel of its first report. */
  channel: string;
  /** The event times of its reports, in milliseconds since 1970. */
  reported: number[];
  /** The event times of the first and the last thing that was flagged, in milliseconds since 1970. */
  from: number;
  to: number;
  explanation: string;
  /** The trace of the record that it was first reported with, in hexadecimal digits; empty if there is none. */
  trace: string;
}

const ms = (nanos: bigint) => Number(nanos / 1_000_000n);

/** Judges requests and collects the anomalies that are reported. */
export class Operator {
  readonly engine: Engine;
  readonly #alarms = new Map<string, Alarm>();
  records = 0;

  /** @param alarms what was reported before the snapshot that the engine is to go on from */
  constructor(detect: object = {}, settings: Partial<EngineSettings> = {}, alarms: readonly Alarm[] = []) {
    this.engine = new Engine(configSchema.parse({ detect }).detect, {
      mode: "all",
      scores: true,
      ...settings,
    });
    for (const alarm of alarms) this.#alarms.set(alarm.id, structuredClone(alarm));
  }

  async process(signal: Signal, body: Buffer): Promise<Judged> {
    const outcome = await this.engine.process(signal, "default", body);
    this.records += outcome.records;
    for (const { message } of outcome.reports) {
      const time = ms(message.timeUnixNano);
      const known = this.#alarms.get(message.id);
      if (known) known.to = ms(message.endTimeUnixNano);
      if (message.state !== State.OPEN) continue;
      if (known) known.reported.push(time);
      else
        this.#alarms.set(message.id, {
          id: message.id,
          stream: message.stream,
          channel: Channel[message.channel]!.toLowerCase(),
          reported: [time],
          from: ms(message.startTimeUnixNano),
          to: ms(message.endTimeUnixNano),
          explanation: message.explanation,
          trace: Buffer.from(message.traceId).toString("hex"),
        });
    }
    return outcome;
  }

  /** All anomalies so far, in the order of their first reports. */
  get alarms(): Alarm[] {
    return [...this.#alarms.values()];
  }

  close(): Promise<void> {
    return this.engine.close();
  }
}

/** A time in which something is wrong, in milliseconds since 1970. */
export interface Incident {
  from: number;
  to: number;
}

/** Matches alarms with incidents: an incident is found by a report within it, and an alarm without such a report is false. */
export function match(
  alarms: readonly Alarm[],
  incidents: readonly Incident[],
): { found: number; wrong: Alarm[]; firsts: (number | undefined)[] } {
  const within = (time: number, { from, to }: Incident) => from <= time && time <= to;
  const firsts = incidents.map((incident) =>
    alarms
      .flatMap(({ reported }) => reported)
      .filter((time) => within(time, incident))
      .sort((a, b) => a - b)
      .at(0),
  );
  const wrong = alarms.filter(
    ({ reported }) => !reported.some((time) => incidents.some((incident) => within(time, incident))),
  );
  return { found: firsts.filter((time) => time !== undefined).length, wrong, firsts };
}

/** Counts items by a key, the most frequent first. */
export function tally<T>(items: readonly T[], key: (item: T) => string): string {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(key(item), (counts.get(key(item)) ?? 0) + 1);
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");
}
