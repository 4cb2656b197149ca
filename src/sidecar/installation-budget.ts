/** The budgets of alarms of tenants and of the process, for all processes of an installation together. */
import type { Config } from "../config/schema.ts";
import { State } from "../gen/driftlock/v1/anomaly_pb.js";
import type { Finding } from "../kafka/index.ts";
import { native } from "../native.ts";
import type { Store } from "../store/index.ts";

/** How many anomalies are remembered as counted. Beyond it, one that goes on for long may be counted again. */
const maxCounted = 10_000;

/** The anomalies that nobody paid for, each counted once however often it is reported. */
export class WithheldAlarms {
  readonly #counted = new Set<string>();
  count = 0;

  add({ tenant, id }: { tenant: string; id: string }): void {
    const key = `${tenant}\0${id}`;
    if (this.#counted.has(key)) return;
    this.count += 1;
    this.#counted.add(key);
    if (this.#counted.size > maxCounted) this.#counted.delete(this.#counted.values().next().value!);
  }
}

export class InstallationBudget {
  readonly #budgets: Store["alarmBudgets"];
  readonly #installation: string;
  readonly #withheld: WithheldAlarms;
  readonly #settings: { perDay: number; perTenantPerDay: number };

  constructor(
    { detect, kafka }: Pick<Config, "detect" | "kafka">,
    budgets: Store["alarmBudgets"],
    withheld: WithheldAlarms,
  ) {
    this.#withheld = withheld;
    const { per_process_per_day, per_tenant_per_day } = detect.budget;
    this.#budgets = budgets;
    this.#installation = kafka.topic_prefix;
    this.#settings = { perDay: per_process_per_day, perTenantPerDay: per_tenant_per_day };
  }

  /** Returns the findings without the anomalies that nobody paid for, which are asked for again with each of their reports. */
  async apply(findings: readonly Finding[]): Promise<Finding[]> {
    const { perDay, perTenantPerDay } = this.#settings;
    if (perDay === 0 && perTenantPerDay === 0) return [...findings];
    const alarms = findings.flatMap((found) => (found.kind === "anomaly" ? [alarmOf(found)] : []));
    if (alarms.length === 0) return [...findings];
    const paid = await this.#budgets.spend(this.#installation, alarms, (state, ms, due) =>
      native.spendAlarms(this.#settings, state, ms, due),
    );
    for (const [i, alarm] of alarms.entries()) if (!paid[i]) this.#withheld.add(alarm);
    const answers = paid.values();
    return findings.filter(({ kind }) => kind !== "anomaly" || answers.next().value);
  }
}

function alarmOf({ report: { message } }: Extract<Finding, { kind: "anomaly" | "notable" }>) {
  const { tenant, id, margin, state } = message;
  return { tenant, id, margin, ended: state === State.ENDED };
}
