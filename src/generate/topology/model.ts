/** What a topology consists of: hosts, components with their operations, and the calls between them. */
import type { Signal } from "../../otlp/protocol.ts";
import type { Random } from "../random.ts";
import { Load, Product } from "./load.ts";
import type { Pool } from "./pool.ts";
import type { Topic } from "./topic.ts";

/** The error with which an operation or a call ends. */
export interface Failure {
  /** The value of `error.type`. */
  type: string;
  message: string;
  /** The stack trace, in the log of the service where it began. */
  trace?: string;
}

/** A reason to fail, with its probability. */
export interface Weakness {
  probability: number;
  failure: Failure;
}

export class Host {
  readonly name: string;
  /** The share of its processors that the instances get. */
  readonly capacity = new Product();

  constructor(name: string) {
    this.name = name;
  }
}

/** The kinds of components that send telemetry of their own. */
export type ServiceKind = "gateway" | "service" | "consumer" | "worker";
/** The kinds of components that are seen only by their callers, and by their metrics. */
export type PeerKind = "database" | "cache" | "broker" | "external";

/** A process of a service. */
export class Instance {
  readonly service: Component;
  /** The value of `service.instance.id`. */
  readonly id: string;
  readonly pod: string;
  readonly host: Host;
  readonly version: string;
  /** When it started, in microseconds since the start of the stream. */
  readonly since: number;
  readonly capacity = new Product();
  readonly weaknesses = new Map<object, Weakness>();
  readonly pool: Pool | undefined;
  /** Connections that are taken and not given back: the probability, and how long, in microseconds. */
  leak: { probability: number; micros: number } | undefined;
  /** Factors of gauges, by their names. */
  readonly gauges = new Map<string, Product>();
  /** Requests in progress. */
  active = 0;

  constructor(
    service: Component,
    names: { id: string; pod: string; host: Host; version: string; since: number },
    pool: Pool | undefined,
  ) {
    this.service = service;
    this.id = names.id;
    this.pod = names.pod;
    this.host = names.host;
    this.version = names.version;
    this.since = names.since;
    this.pool = pool;
  }

  gauge(name: string): Product {
    let product = this.gauges.get(name);
    if (product === undefined) {
      product = new Product();
      this.gauges.set(name, product);
    }
    return product;
  }
}

export class Component {
  /** The value of `service.name`, or of `server.address` if it sends no telemetry of its own. */
  readonly name: string;
  readonly kind: ServiceKind | PeerKind;
  /** The protocol of a service (http or grpc), or the product that a peer is, such as postgresql. */
  readonly system: string;
  readonly port: number;
  readonly operations: Operation[] = [];
  /** Empty for a peer. */
  instances: Instance[] = [];
  /** Empty for a peer. */
  version: string;
  readonly capacity = new Product();
  readonly load: Load;
  /** The share of look-ups that a cache can answer. */
  readonly hits = new Product();
  /** Signals that do not arrive. */
  readonly mute = new Set<Signal>();
  /** The attribute in which its clients name the peer, if any, beside `server.address`. */
  readonly peerAttribute: string | undefined;

  constructor(options: {
    name: string;
    kind: ServiceKind | PeerKind;
    system: string;
    port: number;
    version?: string;
    utilisation: number;
    peerAttribute?: string | undefined;
  }) {
    this.name = options.name;
    this.kind = options.kind;
    this.system = options.system;
    this.port = options.port;
    this.version = options.version ?? "";
    this.load = new Load(options.utilisation);
    this.peerAttribute = options.peerAttribute;
  }

  /** Whether it sends spans of its own. */
  get traced(): boolean {
    return this.instances.length > 0;
  }
}

/** A line of the log that an operation writes when it begins or ends. */
export interface LogTemplate {
  severity: "DEBUG" | "INFO";
  probability: number;
  /** The text; `{}` stands for a number, `{id}` for the id of the visit, `{ms}` for the milliseconds so far. */
  text: string;
  end: boolean;
}

export class Operation {
  readonly component: Component;
  /** The name of its spans. */
  readonly name: string;
  /** Median of its own time without that of its calls, which is log-normally distributed. */
  readonly milliseconds: number;
  readonly sigma: number;
  /** Calls in the order in which they are made; those of a step are made at the same time. */
  readonly steps: Call[][] = [];
  readonly logs: LogTemplate[] = [];
  /** A factor of its own time. */
  readonly time = new Product();
  readonly weaknesses = new Map<object, Weakness>();
  /** How often it is called per visit. */
  share = 0;

  constructor(component: Component, name: string, milliseconds: number, sigma: number) {
    this.component = component;
    this.name = name;
    this.milliseconds = milliseconds;
    this.sigma = sigma;
    component.operations.push(this);
  }
}

export interface Call {
  to: Operation;
  probability: number;
  timeoutMicros: number;
  /** How often the call is repeated after a failure. */
  retries: number;
  backoffMicros: number;
  /** Whether the caller succeeds if the call fails. */
  optional: boolean;
  /** What is called instead if a cache does not hold what is wanted. */
  otherwise?: Call;
  /** The share of the look-ups that the cache can answer. */
  hitRatio?: number;
  /** The messages of a producer, and the operation that processes them. */
  topic?: Topic<Message>;
}

/** A message with the context of its producer. */
export interface Message {
  visit: Visit;
  parent: Uint8Array;
  sent: number;
}

/** What belongs to one trace. */
export interface Visit {
  random: Random;
  traceId: Uint8Array;
  id: string;
}

/** A root of traces, with its share of the visits. */
export interface Entry {
  operation: Operation;
  weight: number;
  /** Whether it comes at regular intervals, like the work of a timer. */
  regular: boolean;
}

export interface Topology {
  hosts: Host[];
  components: Component[];
  entries: Entry[];
  topics: { topic: Topic<Message>; consumer: Operation; broker: Component }[];
}

export function callsOf(operation: Operation): Call[] {
  return operation.steps.flat().flatMap((call) => (call.otherwise ? [call, call.otherwise] : [call]));
}
