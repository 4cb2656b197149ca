/**
 * The baseline that incidents must beat: anomalies that begin within five minutes of one another belong together, whatever they
 * are about. The service whose anomaly is rarest ranks first.
 */
import type { Judged } from "../../src/engine/index.ts";
import { type Anomaly, Channel, State } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import type { Signal } from "../../src/otlp/protocol.ts";
import type { Incident, IncidentFormer } from "./incident.ts";

const closeMs = 300_000;

const ms = (nanos: bigint) => Number(nanos / 1_000_000n);

interface Group {
  reported: number;
  last: number;
  anomalies: Anomaly[];
}

export class ByStart implements IncidentFormer {
  readonly #groups: Group[] = [];

  add(_signal: Signal, _body: Buffer, { anomalies }: Judged, time: number): void {
    for (const anomaly of anomalies) {
      if (anomaly.state !== State.OPEN || anomaly.occurrence !== 1n) continue;
      const group = this.#groups.at(-1);
      if (group && time - group.last <= closeMs) {
        group.anomalies.push(anomaly);
        group.last = time;
      } else this.#groups.push({ reported: time, last: time, anomalies: [anomaly] });
    }
  }

  /** It learns nothing. */
  snapshot(): Buffer {
    return Buffer.alloc(0);
  }

  incidents(): Incident[] {
    return this.#groups.map(({ reported, last, anomalies }, i) => {
      const byRarity = [...anomalies].sort((a, b) => b.margin - a.margin);
      const services = [...new Set(byRarity.map(({ serviceName }) => serviceName))];
      return {
        id: String(i),
        reported,
        start: Math.min(...anomalies.map(({ startTimeUnixNano }) => ms(startTimeUnixNano))),
        end: last,
        services,
        channels: [...new Set(anomalies.map(({ channel }) => Channel[channel]!.toLowerCase()))],
        ranking: services.map((service) => ({ service })),
      };
    });
  }
}
