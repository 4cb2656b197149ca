/** Defines faults: what breaks, by which mechanism, and which services show it. */
import type { Signal } from "../../otlp/protocol.ts";
import { Random } from "../random.ts";
import type { Agenda } from "./agenda.ts";
import { createInstance, replicaSetName } from "./build.ts";
import {
  type Call,
  type Component,
  callsOf,
  type Failure,
  type Instance,
  type Operation,
  type Topology,
} from "./model.ts";
import { errorCauses, errorNouns, errorVerbs } from "./names.ts";
import { type Simulation, servicesOf } from "./simulation.ts";

export const faultNames = [
  "slow-database",
  "failing-dependency",
  "bad-deploy",
  "pool-exhaustion",
  "cache-miss-storm",
  "bad-replica",
  "retry-storm",
  "message-backlog",
  "noisy-neighbour",
  "metric-level",
  "log-silence",
] as const;
export type FaultName = (typeof faultNames)[number];

/** Where a fault comes from. */
export interface Cause {
  /** The value of `service.name`, or of `server.address` if the component sends no spans. */
  service: string;
  /** The value of `service.instance.id`. */
  instance?: string;
  /** The name of the spans of the operation. */
  operation?: string;
  /** The value of `host.name`. */
  host?: string;
  /** The services that read through a cache: it sends no spans, so that what it lacks shows in their calls. */
  readers?: string[];
  /** The name of the metric. */
  metric?: string;
}

export interface Fault {
  /** Unique within one run. */
  id: string;
  kind: FaultName;
  cause: Cause;
  /** The services in whose telemetry it shows, the cause first. */
  services: string[];
  /** Milliseconds of stream time since the start; the end is exclusive. */
  start: number;
  end: number;
}

export interface FaultSchedule {
  kind: FaultName;
  start: number;
  end: number;
  /** How strong it is in relation to what is usual for its kind. */
  size: number;
}

/** A fault that has been chosen for a topology. */
interface Plan {
  cause: Cause;
  services: readonly Component[];
  begin(): void;
  end(): void;
}

interface Context {
  topology: Topology;
  simulation: Simulation;
  agenda: Agenda;
  random: Random;
  size: number;
  /** The reason to which its effects are attributed. */
  reason: object;
}

interface FaultKind {
  /** Whether it shows in the spans of services, or in one stream alone. */
  spread: "spans" | "stream";
  /** The signals in which it shows. */
  signals: readonly Signal[];
  summary: string;
  plan(context: Context): Plan;
}

/** A component must have this share of the calls per visit, lest its faults hardly show. */
const leastShare = 0.1;

const shareOf = ({ operations }: Component) => operations.reduce((sum, { share }) => sum + share, 0);

function pickBusy<T>(random: Random, items: readonly T[], share: (item: T) => number): T {
  const busy = items.filter((item) => share(item) >= leastShare);
  if (busy.length > 0) return random.pick(busy);
  return items.reduce((best, item) => (share(item) > share(best) ? item : best));
}

function allOperations({ components }: Topology): Operation[] {
  return components.flatMap(({ operations }) => operations);
}

/** Returns the services that wait for any of the operations, directly or not, those nearest to them first. */
function callers(
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
function newFailure(random: Random, service: string): Failure {
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
const bare = ({ type, message }: Failure): Failure => ({ type, message });

const fails = (call: Call) => !call.optional;

export const faultKinds: Readonly<Record<FaultName, FaultKind>> = {
  "slow-database": {
    spread: "spans",
    signals: ["traces", "logs", "metrics"],
    summary: "a database, or one of its statements, takes 8 times as long",
    plan({ topology, random, size, reason }) {
      const databases = topology.components.filter(({ kind }) => kind === "database");
      const database = pickBusy(random, databases, shareOf);
      const whole = random.chance(0.5);
      const slow = whole
        ? database.operations
        : [pickBusy(random, database.operations, ({ share }) => share)];
      return {
        cause: { service: database.name, ...(!whole && { operation: slow[0]!.name }) },
        services: [database, ...callers(topology, slow)],
        begin() {
          for (const { time } of slow) time.set(reason, 1 + 7 * size);
        },
        end() {
          for (const { time } of slow) time.delete(reason);
        },
      };
    },
  },
  "failing-dependency": {
    spread: "spans",
    signals: ["traces", "logs", "metrics"],
    summary: "an operation that others depend on fails in half of its calls",
    plan({ topology, random, size, reason }) {
      const needed = new Set(
        allOperations(topology).flatMap((operation) =>
          callsOf(operation)
            .filter(fails)
            .map(({ to }) => to),
        ),
      );
      const candidates = [...needed].filter(
        ({ component: { kind } }) => kind === "service" || kind === "external",
      );
      const operation = pickBusy(random, candidates, ({ share }) => share);
      const { component } = operation;
      const failure = newFailure(random, component.name);
      return {
        cause: { service: component.name, operation: operation.name },
        services: [component, ...callers(topology, [operation], fails)],
        begin() {
          const probability = Math.min(1, 0.5 * size);
          operation.weaknesses.set(reason, {
            probability,
            failure: component.traced ? failure : bare(failure),
          });
        },
        end() {
          operation.weaknesses.delete(reason);
        },
      };
    },
  },
  "bad-deploy": {
    spread: "spans",
    signals: ["traces", "logs", "metrics"],
    summary:
      "a new version takes about 4 times as long or fails in 30 % of its calls, until it is rolled back",
    plan({ topology, random, size, reason, simulation, agenda }) {
      const services = servicesOf(topology).filter(({ kind }) => kind === "service");
      const service = pickBusy(random, services, shareOf);
      const slow = random.chance(0.5);
      const failure = newFailure(random, service.name);
      const before = service.version;
      const [major, minor] = before.split(".").map(Number) as [number, number];
      const after = `${major}.${minor + 1}.0`;
      const affected = callers(topology, service.operations, slow ? undefined : fails);
      return {
        cause: { service: service.name },
        services: [service, ...affected],
        begin() {
          roll(after, (instance) => {
            if (slow) instance.capacity.set(reason, 1 / (1 + 1.5 * size));
            else instance.weaknesses.set(reason, { probability: Math.min(1, 0.3 * size), failure });
          });
        },
        end() {
          roll(before, () => {});
        },
      };

      /** Replaces the instances one after the other. */
      function roll(version: string, change: (instance: Instance) => void): void {
        service.version = version;
        const name = replicaSetName(random);
        for (const [i, old] of service.instances.entries()) {
          agenda.after(i * 10_000_000, () => {
            const instance = createInstance(random, service, old.host, name, agenda.now);
            change(instance);
            service.instances = service.instances.map((each) => (each === old ? instance : each));
            simulation.announce(
              instance,
              `Started ${service.name} ${version} in ${random.int(900, 4_000)} ms`,
            );
          });
        }
      }
    },
  },
  "pool-exhaustion": {
    spread: "spans",
    signals: ["traces", "logs", "metrics"],
    summary: "a service does not give back its database connections, so that its requests wait for one",
    plan({ topology, random, size }) {
      const pooled = servicesOf(topology).filter(
        ({ kind, instances }) => kind === "service" && instances[0]!.pool,
      );
      const queries = (service: Component) => {
        const calls = service.operations.flatMap((operation) => {
          const all = callsOf(operation).filter(({ to }) => to.component.kind === "database");
          return all.map(({ probability }) => operation.share * probability);
        });
        return calls.reduce((sum, share) => sum + share, 0);
      };
      const service = pickBusy(random, pooled, queries);
      return {
        cause: { service: service.name },
        services: [service, ...callers(topology, service.operations)],
        begin() {
          const calls = service.load.usual * (queries(service) / shareOf(service));
          for (const instance of service.instances) {
            // Leaked connections alone would fill the pool one and a half times.
            const wanted = 1.5 * instance.pool!.size * size;
            const perMicro = calls / service.instances.length;
            const micros = Math.max(30_000_000, wanted / perMicro);
            instance.leak = { probability: Math.min(1, wanted / (perMicro * micros)), micros };
          }
        },
        end() {
          for (const instance of service.instances) instance.leak = undefined;
        },
      };
    },
  },
  "cache-miss-storm": {
    spread: "spans",
    signals: ["traces", "metrics"],
    summary: "a cache loses what it held, so that its database has to answer",
    plan({ topology, random, size, reason }) {
      const caches = topology.components.filter(({ kind }) => kind === "cache");
      const cache = pickBusy(random, caches, shareOf);
      const readers = allOperations(topology).filter((operation) =>
        operation.steps.flat().some(({ to }) => to.component === cache),
      );
      const databases = readers
        .flatMap((operation) => callsOf(operation).map(({ to }) => to.component))
        .filter(({ kind }) => kind === "database");
      const slowed = databases.flatMap(({ operations }) => operations);
      return {
        cause: { service: cache.name, readers: [...new Set(readers.map(({ component }) => component.name))] },
        services: [cache, ...callers(topology, [...readers, ...slowed])],
        begin: () => cache.hits.set(reason, Math.max(0, 1 - 0.9 * size)),
        end: () => cache.hits.delete(reason),
      };
    },
  },
  "bad-replica": {
    spread: "spans",
    signals: ["traces", "logs", "metrics"],
    summary: "one instance of a service takes about 10 times as long or fails in half of its calls",
    plan({ topology, random, size, reason }) {
      const services = servicesOf(topology).filter(
        ({ kind, instances }) => kind === "service" && instances.length > 1,
      );
      const service = pickBusy(random, services, shareOf);
      const instance = random.pick(service.instances);
      const slow = random.chance(0.5);
      const failure = newFailure(random, service.name);
      return {
        cause: { service: service.name, instance: instance.id },
        services: [service, ...callers(topology, service.operations, slow ? undefined : fails)],
        begin() {
          if (slow) instance.capacity.set(reason, 1 / (1 + 3 * size));
          else instance.weaknesses.set(reason, { probability: Math.min(1, 0.5 * size), failure });
        },
        end() {
          instance.capacity.delete(reason);
          instance.weaknesses.delete(reason);
        },
      };
    },
  },
  "retry-storm": {
    spread: "spans",
    signals: ["traces", "logs", "metrics"],
    summary: "a service loses most of its capacity, and the retries of its callers keep it from recovering",
    plan({ topology, random, size, reason, simulation, agenda }) {
      const retried = (service: Component) =>
        allOperations(topology)
          .flatMap((operation) => callsOf(operation).map((call) => ({ operation, call })))
          .filter(({ call }) => call.to.component === service && call.retries > 0)
          .reduce((sum, { operation, call }) => sum + operation.share * call.probability * call.retries, 0);
      const services = servicesOf(topology).filter(({ kind }) => kind === "service");
      const service = pickBusy(random, services, retried);
      return {
        cause: { service: service.name },
        services: [service, ...callers(topology, service.operations)],
        begin() {
          // The usual work alone would take nine tenths of what is left.
          const left = service.load.utilisation(agenda.now, simulation.season) / 0.9;
          service.capacity.set(reason, Math.min(1, left) ** size);
        },
        end: () => service.capacity.delete(reason),
      };
    },
  },
  "message-backlog": {
    spread: "spans",
    signals: ["traces", "logs", "metrics"],
    summary: "the consumers of a queue pause after each message, so that more arrive than are processed",
    plan({ topology, random, size }) {
      const { topic, consumer } = random.pick(topology.topics);
      const service = consumer.component;
      return {
        cause: { service: service.name, operation: consumer.name },
        services: [service],
        begin() {
          // All consumers together process half of what arrives.
          topic.pause = (4 * (1 + size)) / service.load.usual;
        },
        end() {
          topic.pause = 0;
        },
      };
    },
  },
  "noisy-neighbour": {
    spread: "spans",
    signals: ["traces", "metrics"],
    summary: "an instance uses most of its host, so that all others on the host get slower",
    plan({ topology, random, size, reason }) {
      const services = servicesOf(topology);
      const on = (host: { name: string }) =>
        services.flatMap(({ instances }) => instances.filter((instance) => instance.host.name === host.name));
      const host = pickBusy(random, topology.hosts, (host) =>
        on(host).reduce((sum, { service }) => sum + shareOf(service) / service.instances.length, 0),
      );
      const guests = on(host);
      const culprit = random.pick(guests);
      const operations = guests.flatMap(({ service }) => service.operations);
      return {
        cause: { service: culprit.service.name, instance: culprit.id, host: host.name },
        services: [culprit.service, ...callers(topology, operations)],
        begin() {
          host.capacity.set(reason, 1 / (1 + 1.2 * size));
          culprit.capacity.set(reason, 1 / (1 + 0.5 * size));
          culprit.gauge("process.cpu.utilization").set(reason, 1 + 5 * size);
        },
        end() {
          host.capacity.delete(reason);
          culprit.capacity.delete(reason);
          culprit.gauge("process.cpu.utilization").delete(reason);
        },
      };
    },
  },
  "metric-level": {
    spread: "stream",
    signals: ["metrics"],
    summary: "the memory or the threads of one instance are at another level",
    plan({ topology, random, size, reason }) {
      const instance = random.pick(random.pick(servicesOf(topology)).instances);
      const [metric, factor] = random.pick([
        ["process.memory.usage", 1.6],
        ["process.thread.count", 2.5],
      ] as const);
      return {
        cause: { service: instance.service.name, instance: instance.id, metric },
        services: [instance.service],
        begin: () => instance.gauge(metric).set(reason, 1 + (factor - 1) * size),
        end: () => instance.gauge(metric).delete(reason),
      };
    },
  },
  "log-silence": {
    spread: "stream",
    signals: ["logs"],
    summary: "the logs of a service do not arrive",
    plan({ topology, random }) {
      const services = servicesOf(topology).filter(({ operations }) =>
        operations.some(({ logs, share }) => share > 0 && logs.length > 0),
      );
      const service = pickBusy(random, services, shareOf);
      return {
        cause: { service: service.name },
        services: [service],
        begin: () => service.mute.add("logs"),
        end: () => service.mute.delete("logs"),
      };
    },
  },
};

/** Puts the faults of a schedule on the agenda. */
export function planFaults(
  schedule: readonly FaultSchedule[],
  {
    topology,
    simulation,
    agenda,
    seed,
  }: Pick<Context, "topology" | "simulation" | "agenda"> & { seed: string },
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
