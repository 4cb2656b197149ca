/** Defines the kinds of faults: what breaks, by which mechanism, and which services show it. */
import { createInstance, replicaSetName } from "./build.ts";
import { allOperations, bare, callers, newFailure, pickBusy, shareOf } from "./choose.ts";
import type { FaultKind, FaultName } from "./fault.ts";
import { type Call, type Component, callsOf, type Instance } from "./model.ts";
import { servicesOf } from "./simulation.ts";

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
        for (const i of service.instances.keys()) {
          agenda.after(i * 10_000_000, () => {
            const { host } = service.instances[i]!;
            const instance = createInstance(random, service, host, name, agenda.now);
            change(instance);
            service.instances[i] = instance;
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
    plan({ topology, random, size, simulation }) {
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
          const calls = service.load.usual * simulation.season * (queries(service) / shareOf(service));
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
    plan({ topology, random, size, simulation }) {
      const { topic, consumer, broker } = pickBusy(
        random,
        topology.topics,
        ({ consumer: { share } }) => share,
      );
      const service = consumer.component;
      return {
        cause: { service: service.name, operation: consumer.name },
        services: [service, broker],
        begin() {
          // All consumers together process half of what arrives.
          topic.pause = (topic.consumers * (1 + size)) / (service.load.usual * simulation.season);
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
