/** What people decide and set, on its way through the log to whichever worker has the streams that it concerns. */
import type { Policy } from "../config/schema/policy.ts";
import type { Engine, FeedbackOutcome } from "../engine/index.ts";
import type { Channel } from "../gen/driftlock/v1/anomaly_pb.js";
import type { Router } from "./router.ts";

/** Takes the place of an engine: each call becomes a record of all partitions, of which those apply it that know the stream. */
export class LogControl implements Pick<Engine, "accept" | "reject" | "tolerate" | "setPolicies"> {
  readonly #router: Pick<Router, "control">;

  constructor(router: Pick<Router, "control">) {
    this.#router = router;
  }

  /** Resolves once the decision is in the log. Its worker reports the end of the anomaly. */
  accept(tenant: string, anomaly: string): Promise<FeedbackOutcome> {
    return this.#decide(tenant, anomaly, "accepted");
  }

  reject(tenant: string, anomaly: string): Promise<FeedbackOutcome> {
    return this.#decide(tenant, anomaly, "false");
  }

  async tolerate(tenant: string, stream: string, channel: Channel, score: number): Promise<boolean> {
    await this.#router.control({ kind: "tolerate", tenant, stream, channel, score });
    return true;
  }

  setPolicies(ofTenants: ReadonlyMap<string, readonly Policy[]>): Promise<void> {
    const all = [...ofTenants].map(([tenant, policies]): [string, string] => [
      tenant,
      JSON.stringify(policies),
    ]);
    return this.#router.control({ kind: "policies", ofTenants: all });
  }

  async #decide(tenant: string, anomaly: string, decision: "accepted" | "false"): Promise<FeedbackOutcome> {
    await this.#router.control({ kind: "feedback", tenant, anomaly, decision });
    return { found: true, ended: undefined };
  }
}
