/** Chooses where a fault begins, and finds out how far it spreads. */
import type { Random } from "../random.ts";
import { type Call, type Component, callsOf, type Failure, type Operation, type Topology } from "./model.ts";
import { errorCauses, errorNouns, errorVerbs } from "./names.ts";

/** A component must have this share of the calls per visit, lest its faults hardly show. */
const leastShare = 0.1;

/** Returns how often a component is called per visit. */
export const shareOf = ({ operations }: Component) => operations.reduce((sum, { share }) => sum + share, 0);

/** Picks one of the items that are called often enough; the one that is called most if none is. */
export function pickBusy<T>(random: Random, items: readonly T[], share: (item: T) => number): T {
  const busy = items.filter((item) => share(item) >= leastShare);
  if (busy.length > 0) return random.pick(busy);
  return items.reduce((best, item) => (share(item) > share(best) ? item : best));
}

export function allOperations({ components }: Topology): Operation[] {
  return components.flatMap(({ operations }) => operations);
}

/** Returns the services that wait for any of the operations, directly or not, those nearest to them first. */
export function callers(
  topology: Topology,
  operations: readonly Operation[],
  passes: (call: Call) => boolean = () => true,
): Component[] {
  const all = allOperations(topology);
  const reached = new Set(operations);
  for (let before = -1; before < reached.size; ) {
    before = reached.size;
    for (const operation of all) {
      if (callsOf(operation).some((call) => reached.has(call.to) && passes(call))) reached.add(operation);
    }
  }
  return [...new Set([...reached].map(({ component }) => component))];
}

/** Makes an error that nothing else has. */
export function newFailure(random: Random, service: string): Failure {
  const noun = random.pick(errorNouns);
  const verb = random.pick(errorVerbs);
  const name = service.replaceAll(/[^a-z]/g, "");
  const type = `shop.${name}.${noun}Exception`;
  const message = `cannot ${verb} ${noun.toLowerCase()}: ${random.pick(errorCauses)}`;
  const frames = Array.from(
    { length: random.int(3, 6) },
    () =>
      `\tat shop.${name}.${random.pick(errorNouns)}${random.pick(["Store", "Client", "Handler"])}.${random.pick(errorVerbs)}(Main.java:${random.int(20, 900)})`,
  );
  return { type, message, trace: [`${type}: ${message}`, ...frames].join("\n") };
}

/** The failure by its own message, as callers see that of a component whose log is not at hand. */
export const bare = ({ type, message }: Failure): Failure => ({ type, message });
