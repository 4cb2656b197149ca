/** Builds a topology from a seed: a layered graph of gateways, services and what they keep their data in. */
import { Random } from "../random.ts";
import { slowdown } from "./load.ts";
import {
  type Call,
  Component,
  callsOf,
  type Entry,
  Host,
  Instance,
  type Message,
  Operation,
  type PeerKind,
  type ServiceKind,
  type Topology,
} from "./model.ts";
import {
  beginnings,
  brokerSystems,
  cacheSystems,
  consumers,
  type Domain,
  databaseSystems,
  domains,
  endings,
  externals,
  gateways,
  ports,
  usualFailures,
  verbs,
  workers,
} from "./names.ts";
import { Pool } from "./pool.ts";
import { Topic } from "./topic.ts";

const timeouts = [250, 500, 1_000, 2_000, 3_000, 5_000, 10_000, 30_000] as const;
/** A timeout is at least this many times what a call usually takes. */
const patience = 6;
const podLetters = "bcdfghjklmnpqrstvwxz2456789";

function shuffled<T>(random: Random, items: readonly T[]): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = random.int(0, i);
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}

function pascal(text: string): string {
  return text.replaceAll(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function suffix(random: Random, length: number): string {
  return Array.from({ length }, () => random.pick([...podLetters])).join("");
}

/** Creates an instance of a service, on any of the hosts. */
export function createInstance(
  random: Random,
  service: Component,
  host: Host,
  replicaSet: string,
  since: number,
): Instance {
  const pooled = service.operations.some((operation) =>
    callsOf(operation).some(({ to }) => to.component.kind === "database"),
  );
  return new Instance(
    service,
    {
      id: random.uuid(),
      pod: `${service.name}-${replicaSet}-${suffix(random, 5)}`,
      host,
      version: service.version,
      since,
    },
    pooled ? new Pool(random.int(6, 12), 2_000_000) : undefined,
  );
}

/** Returns the name of a set of instances that run the same version. */
export function replicaSetName(random: Random): string {
  return suffix(random, 9);
}

/** Builds the parts of a topology from the leaves of its graph to the roots. */
class Builder {
  readonly #random: Random;
  readonly #components: Component[] = [];
  /** How often an operation is named by another one, so that all are used. */
  readonly #uses = new Map<Operation, number>();

  constructor(random: Random) {
    this.#random = random;
  }

  build(): Topology {
    const random = this.#random;
    const domainsOf = shuffled(random, domains);
    const owner = (i: number) => domainsOf[i]![0];
    const databases = this.#peers("database", random.int(2, 3), databaseSystems, (_, i) => `${owner(i)}-db`);
    const caches = this.#peers("cache", random.int(1, 2), cacheSystems, (_, i) => `${owner(i)}-cache`);
    const [broker] = this.#peers("broker", 1, brokerSystems, (system) => `${system}.shop.svc`);
    const [external] = this.#peers("external", 1, ["https"], () => random.pick(externals));
    const backCount = random.int(5, 6);
    const backDomains = domainsOf.slice(0, backCount);
    const middleDomains = domainsOf.slice(backCount, backCount + random.int(4, 5));

    const back = this.#backServices(backDomains, databases, caches);
    const middle = this.#middleServices(middleDomains, back, external!);
    const topics = this.#queues(middle, databases, broker!);
    this.#weaken([external!, ...shuffled(random, [...back, ...middle]).slice(0, 3)]);
    const entries = [...this.#gateways([...back, ...middle]), this.#worker(back, databases)];

    const hosts = Array.from({ length: random.int(4, 6) }, () => new Host(`node-${suffix(random, 6)}`));
    this.#deploy(hosts);
    const total = entries.reduce((sum, { weight }) => sum + weight, 0);
    for (const entry of entries) {
      entry.weight /= total;
      this.#spread(entry.operation, entry.weight, topics);
    }
    return { hosts, components: this.#components, entries, topics };
  }

  #peers(
    kind: PeerKind,
    count: number,
    systems: readonly string[],
    name: (system: string, index: number) => string,
  ): Component[] {
    return Array.from({ length: count }, (_, i) => {
      const system = this.#random.pick(systems);
      return this.#component(kind, name(system, i), system);
    });
  }

  /** Creates the services that own data, each in one of the databases, and some behind a cache. */
  #backServices(
    owned: readonly Domain[],
    databases: readonly Component[],
    caches: readonly Component[],
  ): Component[] {
    return owned.map(([name, noun, plural], i) => {
      const service = this.#service("service", name);
      const cache = i < 2 * caches.length ? caches[i % caches.length] : undefined;
      this.#dataOperations(service, noun, plural, databases[i % databases.length]!, cache);
      return service;
    });
  }

  /** Creates the services that put together what others own; the first one needs an external service. */
  #middleServices(named: readonly Domain[], back: readonly Component[], external: Component): Component[] {
    const random = this.#random;
    const middle: Component[] = [];
    for (const [i, [name, noun]] of named.entries()) {
      const service = this.#service("service", name);
      for (const verb of random.pick(verbs)) {
        const rpc = this.#rpcName(service, verb, noun);
        const operation = this.#operation(service, rpc, random.int(3, 12), noun);
        this.#calls(operation, this.#leastUsed(back, random.int(2, 3)));
        if (i > 1 && random.chance(0.5)) this.#calls(operation, this.#leastUsed(middle, 1));
        if (i === 0) operation.steps.push([this.#call(this.#externalOperation(external), { retries: 1 })]);
      }
      middle.push(service);
    }
    return middle;
  }

  /** Lets the last services send messages to consumers. */
  #queues(
    middle: readonly Component[],
    databases: readonly Component[],
    broker: Component,
  ): Topology["topics"] {
    const random = this.#random;
    const names = shuffled(random, consumers).slice(0, random.int(1, 2));
    return names.map((name, i) => {
      const producer = middle.at(-1 - i)!;
      const topicName = `${producer.name}.events`;
      const service = this.#service("consumer", name, broker.system);
      const consumer = this.#operation(service, `process ${topicName}`, random.int(20, 60), "event");
      const statement = this.#statement(random.pick(databases), random.pick(["INSERT", "UPDATE"]), name);
      consumer.steps.push([this.#call(statement, {})]);
      const topic = new Topic<Message>(topicName, 4);
      const send = new Operation(broker, `send ${topicName}`, 2, 0.3);
      producer.operations[0]!.steps.push([{ ...this.#call(send, { retries: 1 }), topic }]);
      return { topic, consumer, broker };
    });
  }

  /** Lets an operation of each component fail now and then. */
  #weaken(components: readonly Component[]): void {
    const random = this.#random;
    for (const { operations } of components) {
      const operation = random.pick(operations);
      const probability = 0.001 + 0.004 * random.uniform();
      operation.weaknesses.set(operation, { probability, failure: random.pick(usualFailures) });
    }
  }

  /** Creates what works by a timer. */
  #worker(back: readonly Component[], databases: readonly Component[]): Entry {
    const random = this.#random;
    const worker = this.#service("worker", random.pick(workers));
    const operation = this.#operation(worker, `${worker.name} run`, random.int(30, 80), "batch");
    const statement = this.#statement(random.pick(databases), "SELECT", worker.name);
    operation.steps.push([this.#call(statement, {})]);
    this.#calls(operation, this.#leastUsed(back, 1));
    return { operation, weight: 0.03, regular: true };
  }

  #component(kind: Component["kind"], name: string, system: string, version?: string): Component {
    const random = this.#random;
    const component = new Component({
      name,
      kind,
      system,
      port: ports[system] ?? 8080,
      ...(version !== undefined && { version }),
      utilisation: 0.15 + 0.2 * random.uniform(),
      peerAttribute: random.pick([undefined, "peer.service", "service.peer.name"]),
    });
    this.#components.push(component);
    return component;
  }

  #service(kind: ServiceKind, name: string, system?: string): Component {
    const random = this.#random;
    const protocol = system ?? (kind === "gateway" ? "http" : random.pick(["http", "grpc"]));
    const version = `${random.int(1, 6)}.${random.int(0, 30)}.${random.int(0, 12)}`;
    return this.#component(kind, name, protocol, version);
  }

  #operation(component: Component, name: string, milliseconds: number, noun: string): Operation {
    const random = this.#random;
    const operation = new Operation(component, name, milliseconds, 0.25 + 0.2 * random.uniform());
    if (random.chance(0.4)) {
      const text = random.pick(beginnings).replace("{noun}", noun);
      operation.logs.push({ severity: "DEBUG", probability: 1, text, end: false });
    }
    const text = random.pick(endings).replace("{noun}", noun);
    operation.logs.push({ severity: "INFO", probability: random.pick([0.5, 1]), text, end: true });
    return operation;
  }

  #rpcName(service: Component, verb: string, noun: string, plural?: string): string {
    if (service.system === "grpc") return `shop.${pascal(service.name)}/${verb}${pascal(noun)}`;
    const path = `/${service.name}/${plural ?? noun}`;
    return verb === "Get"
      ? `GET ${path}/{id}`
      : verb === "List"
        ? `GET ${path}`
        : `POST ${path}/${verb.toLowerCase()}`;
  }

  #dataOperations(
    service: Component,
    noun: string,
    plural: string,
    store: Component,
    cache: Component | undefined,
  ): void {
    const random = this.#random;
    const read = this.#operation(
      service,
      this.#rpcName(service, "Get", noun, plural),
      random.int(2, 8),
      noun,
    );
    // What is expensive is what is worth a cache.
    const milliseconds = cache ? random.int(15, 40) : random.int(3, 12);
    const select = this.#call(this.#statement(store, "SELECT", plural, milliseconds), {});
    if (cache === undefined) read.steps.push([select]);
    else {
      const get = new Operation(cache, `GET ${noun}`, 0.6, 0.3);
      read.steps.push([
        {
          ...this.#call(get, { optional: true }),
          otherwise: select,
          hitRatio: random.pick([0.85, 0.9, 0.95]),
        },
      ]);
    }
    const verb = random.pick(["List", "Update", "Reserve"]);
    const write = this.#operation(
      service,
      this.#rpcName(service, verb, noun, plural),
      random.int(3, 12),
      noun,
    );
    const statement = verb === "List" ? "SELECT" : "UPDATE";
    write.steps.push([
      this.#call(this.#statement(store, statement, verb === "List" ? `${plural}_by_owner` : plural), {}),
    ]);
    if (verb !== "List" && random.chance(0.5))
      write.steps.unshift([this.#call(this.#statement(store, "SELECT", `${noun}_policies`), {})]);
  }

  #statement(
    store: Component,
    verb: string,
    table: string,
    milliseconds = this.#random.int(3, 12),
  ): Operation {
    const name = `${verb} ${table}`;
    const known = store.operations.find((operation) => operation.name === name);
    return known ?? new Operation(store, name, milliseconds, 0.4);
  }

  #externalOperation(external: Component): Operation {
    return (
      external.operations[0] ?? new Operation(external, "POST /v1/requests", this.#random.int(40, 90), 0.35)
    );
  }

  /** Returns operations of different components, those that are called by the fewest others so far. */
  #leastUsed(components: readonly Component[], count: number): Operation[] {
    const uses = (operation: Operation) => this.#uses.get(operation) ?? 0;
    const operations = components.flatMap((component) => component.operations);
    const chosen: Operation[] = [];
    for (const operation of shuffled(this.#random, operations).sort((a, b) => uses(a) - uses(b))) {
      if (chosen.length === count) break;
      // A caller that names the same service twice would say little about the graph.
      if (chosen.some(({ component }) => component === operation.component)) continue;
      chosen.push(operation);
      this.#uses.set(operation, uses(operation) + 1);
    }
    return chosen;
  }

  /** Adds calls, some at the same time and some that may fail. */
  #calls(operation: Operation, targets: readonly Operation[]): void {
    const random = this.#random;
    const calls = targets.map((to) =>
      this.#call(to, {
        probability: random.pick([0.6, 1, 1, 1]),
        retries: random.pick([0, 1, 2, 3]),
        optional: random.chance(0.2),
      }),
    );
    if (random.chance(0.3)) operation.steps.push(calls);
    else operation.steps.push(...calls.map((call) => [call]));
  }

  #call(to: Operation, rest: Partial<Pick<Call, "probability" | "retries" | "optional">>): Call {
    const usual = this.#usually(to);
    const timeout = timeouts.find((ms) => ms >= patience * usual) ?? timeouts.at(-1)!;
    return {
      to,
      probability: 1,
      timeoutMicros: timeout * 1_000,
      retries: 0,
      backoffMicros: 50_000,
      optional: false,
      ...rest,
    };
  }

  /** Returns the milliseconds that an operation usually takes with its calls. */
  #usually(operation: Operation): number {
    const own = operation.milliseconds * slowdown(0.3, 1);
    return operation.steps.reduce(
      (sum, step) =>
        sum + Math.max(...step.map(({ to, otherwise }) => this.#usually(otherwise?.to ?? to) + 1)),
      own,
    );
  }

  #gateways(services: readonly Component[]): Entry[] {
    const random = this.#random;
    const entries: Entry[] = [];
    const all = services.flatMap(({ operations }) => operations);
    const used = (operation: Operation) => (this.#uses.get(operation) ?? 0) > 0;
    const names = shuffled(random, gateways).slice(0, random.int(1, 2));
    const nodes = names.map((name) => this.#service("gateway", name));
    const routes = random.int(5, 7);
    for (let i = 0; i < routes || all.some((operation) => !used(operation)); i++) {
      const gateway = nodes[i % nodes.length]!;
      const targets = this.#leastUsed(services, random.int(1, 2));
      const subject = targets[0]!.component.name;
      const name = `${random.pick(["GET", "POST"])} /api/${subject}/${random.pick(["overview", "details", "submit"])}`;
      const known = gateway.operations.find((operation) => operation.name === name);
      if (known) {
        this.#calls(known, targets);
        continue;
      }
      const operation = this.#operation(gateway, name, random.int(2, 9), subject);
      this.#calls(operation, targets);
      entries.push({ operation, weight: 1 + 3 * random.uniform(), regular: false });
    }
    return entries;
  }

  /** Puts two to four instances of each service on the hosts. */
  #deploy(hosts: readonly Host[]): void {
    const random = this.#random;
    for (const service of this.#components) {
      if (service.version === "") continue;
      const replicaSet = replicaSetName(random);
      const count = service.kind === "worker" ? 1 : random.int(2, 4);
      service.instances = shuffled(random, hosts)
        .slice(0, count)
        .map((host) => createInstance(random, service, host, replicaSet, 0));
    }
  }

  /** Adds the visits of an operation to its own and to all that it calls. */
  #spread(operation: Operation, visits: number, topics: Topology["topics"]): void {
    operation.share += visits;
    for (const call of operation.steps.flat()) {
      const calls = visits * call.probability;
      this.#spread(call.to, calls, topics);
      if (call.otherwise) this.#spread(call.otherwise.to, calls * (1 - call.hitRatio!), topics);
      const topic = topics.find(({ topic }) => topic === call.topic);
      if (topic) this.#spread(topic.consumer, calls, topics);
    }
  }
}

/** Builds the topology of a seed, of at least twelve services that send telemetry. */
export function buildTopology(seed: string): Topology {
  return new Builder(new Random(`${seed}/topology`)).build();
}
