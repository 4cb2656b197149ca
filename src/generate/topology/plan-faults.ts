import { Random } from "../random.ts";
import type { Fault, FaultContext, FaultSchedule } from "./fault.ts";
import { faultKinds } from "./fault-kinds.ts";

/** Puts the faults of a schedule on the agenda. */
export function planFaults(
  schedule: readonly FaultSchedule[],
  {
    topology,
    simulation,
    agenda,
    seed,
  }: Pick<FaultContext, "topology" | "simulation" | "agenda"> & { seed: string },
  onFault: (fault: Fault) => void,
): void {
  for (const [i, { kind, start, end, size }] of schedule.entries()) {
    agenda.after(start * 1_000 - agenda.now, () => {
      // The choice depends on the fault alone, so that others leave it as it is.
      const random = new Random(`${seed}/fault/${kind}@${start}`);
      const micros = (end - start) * 1_000;
      const context = { topology, simulation, agenda, random, size, reason: {} };
      const plan = faultKinds[kind].plan(context);
      const services = [...new Set(plan.services.map(({ name }) => name))];
      onFault({ id: `fault-${i + 1}`, kind, cause: plan.cause, services, start, end });
      plan.begin();
      agenda.after(micros, () => plan.end());
    });
  }
}
