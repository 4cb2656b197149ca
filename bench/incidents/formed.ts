/** Incidents as Driftlock forms them, in the form that the bench compares. Minor ones notify nobody, so they do not count. */
import type { Judged } from "../../src/engine/index.ts";
import { Channel } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { IncidentState, type Incident as Message } from "../../src/gen/driftlock/v1/incidents_pb.js";
import { IncidentFormer } from "../../src/incidents/former.ts";
import type { Signal } from "../../src/otlp/protocol.ts";
import type { IncidentFormer as Former, Incident } from "./incident.ts";

const ms = (nanos: bigint) => Number(nanos / 1_000_000n);

export class Formed implements Former {
  readonly #former = new IncidentFormer({ perTenantPerDay: 3, seed: 1n });
  /** By id, with the time at which each was known first. */
  readonly #known = new Map<string, { reported: number; message: Message }>();

  constructor(snapshot?: Buffer) {
    if (snapshot !== undefined && !this.#former.restore(snapshot))
      throw new Error("the former refuses its own snapshot");
  }

  add(_signal: Signal, _body: Buffer, { evidence }: Judged, time: number): void {
    if (evidence === undefined) return;
    for (const message of this.#former.add(evidence)) {
      const reported = this.#known.get(message.id)?.reported ?? time;
      if (message.state === IncidentState.MERGED) this.#known.delete(message.id);
      else this.#known.set(message.id, { reported, message });
    }
  }

  incidents(): Incident[] {
    return [...this.#known.values()]
      .filter(({ message }) => !message.minor)
      .map(({ reported, message }) => ({
        id: message.id,
        reported,
        start: ms(message.startTimeUnixNano),
        end: ms(message.endTimeUnixNano),
        services: message.services,
        channels: [...new Set(message.members.map(({ channel }) => Channel[channel].toLowerCase()))],
        ranking: message.ranking.map(({ service, host }) => ({
          ...(service !== "" && { service }),
          ...(host !== "" && { host }),
        })),
      }));
  }

  snapshot(): Buffer {
    return this.#former.snapshot();
  }
}
