/** Lets visits pass through a topology: every span takes the time that its work, its waiting and its calls take. */

import type { Agenda } from "../agenda.ts";
import { Random } from "../random.ts";
import { daily, slowdown } from "./load.ts";
import type {
  Call,
  Component,
  Failure,
  Instance,
  LogTemplate,
  Message,
  Operation,
  Topology,
  Visit,
  Weakness,
} from "./model.ts";

/** What an observer of the simulation learns about a finished span. */
export interface FinishedSpan {
  /** The instance that sends it. */
  instance: Instance;
  operation: Operation;
  /** Whether it is the span of the caller. */
  client: boolean;
  traceId: Uint8Array;
  spanId: Uint8Array;
  parent: Uint8Array | undefined;
  /** Microseconds since the start. */
  start: number;
  end: number;
  failure: Failure | undefined;
  /** Whether a cache held what was wanted. */
  hit: boolean | undefined;
}

export interface WrittenLog {
  instance: Instance;
  time: number;
  severity: "DEBUG" | "INFO" | "WARN" | "ERROR";
  body: string;
  failure: Failure | undefined;
  traceId: Uint8Array | undefined;
  spanId: Uint8Array | undefined;
}

export interface Observer {
  span(span: FinishedSpan): void;
  log(log: WrittenLog): void;
}

type Done = (failure: Failure | undefined) => void;

/** One way through the network, in milliseconds. */
const networkMs = 0.25;
/** A failing operation usually fails early: this part of its time has passed. */
const failsAfter = 0.3;

interface Activity {
  operation: Operation;
  instance: Instance;
  visit: Visit;
  spanId: Uint8Array;
  start: number;
  /** Own time of each part, in microseconds: before, between and after the steps. */
  part: number;
}

export class Simulation {
  readonly topology: Topology;
  readonly #agenda: Agenda;
  readonly #observer: Observer;
  readonly #seed: string;
  readonly #startMicros: number;
  #visits = 0;

  /** @param startMicros the start of the stream since 1970 */
  constructor(
    topology: Topology,
    options: { agenda: Agenda; observer: Observer; seed: string; startMicros: number },
  ) {
    this.topology = topology;
    this.#agenda = options.agenda;
    this.#observer = options.observer;
    this.#seed = options.seed;
    this.#startMicros = options.startMicros;
  }

  /** The load at the current time of the day in relation to its mean. */
  get season(): number {
    return daily(this.#startMicros, this.#agenda.now);
  }

  /** Begins to send visits. @param perMicro their mean rate */
  start(perMicro: number): void {
    for (const component of this.topology.components) {
      const share = component.operations.reduce((sum, operation) => sum + operation.share, 0);
      component.load.usual = share * perMicro;
      component.load.warm(this.season);
    }
    for (const [i, { operation, weight, regular }] of this.topology.entries.entries()) {
      const random = new Random(`${this.#seed}/arrivals/${i}`);
      const gap = 1 / (weight * perMicro);
      const next = () => {
        const delay = regular
          ? gap * (0.98 + 0.04 * random.uniform())
          : random.exponential(gap / this.season);
        this.#agenda.after(delay, () => {
          this.#visit(operation);
          next();
        });
      };
      next();
    }
  }

  #visit(operation: Operation): void {
    const random = new Random(`${this.#seed}/visit/${this.#visits++}`);
    const visit = { random, traceId: random.bytes(16), id: random.hex(8) };
    this.#serve(operation, visit, undefined, () => {});
  }

  /** Returns the microseconds of own time that an operation takes now. */
  #ownTime(operation: Operation, random: Random, instance: Instance | undefined): number {
    const { component, milliseconds, sigma, time } = operation;
    const capacity =
      component.capacity.value * (instance ? instance.capacity.value * instance.host.capacity.value : 1);
    const slow = slowdown(component.load.utilisation(this.#agenda.now, this.season), capacity);
    return random.logNormal(milliseconds, sigma) * 1_000 * slow * time.value;
  }

  #serve(operation: Operation, visit: Visit, parent: Uint8Array | undefined, done: Done): void {
    const { component } = operation;
    const now = this.#agenda.now;
    component.load.arrive(now);
    if (!component.traced) {
      this.#servePeer(operation, visit.random, done);
      return;
    }
    const { random } = visit;
    const instance = random.pick(component.instances);
    const own = this.#ownTime(operation, random, instance);
    const activity: Activity = {
      operation,
      instance,
      visit,
      spanId: random.bytes(8),
      start: now,
      part: own / (operation.steps.length + 1),
    };
    instance.active++;
    this.#logTemplates(activity, false);
    const finish = (failure: Failure | undefined) => {
      instance.active--;
      if (failure === undefined) this.#logTemplates(activity, true);
      const { spanId, start } = activity;
      this.#observer.span({
        instance,
        operation,
        client: false,
        traceId: visit.traceId,
        spanId,
        parent,
        start,
        end: this.#agenda.now,
        failure,
        hit: undefined,
      });
      done(failure);
    };
    const weakness = this.#fails(random, [instance.weaknesses, operation.weaknesses]);
    if (weakness) {
      this.#agenda.after(own * failsAfter, () => {
        this.#logFailure(activity, weakness.failure.message, weakness.failure);
        finish(weakness.failure);
      });
      return;
    }
    this.#step(activity, 0, finish);
  }

  #servePeer(operation: Operation, random: Random, done: Done): void {
    const own = this.#ownTime(operation, random, undefined);
    const weakness = this.#fails(random, [operation.weaknesses]);
    this.#agenda.after(weakness ? own * failsAfter : own, () => done(weakness?.failure));
  }

  #fails(random: Random, sources: readonly ReadonlyMap<object, Weakness>[]): Weakness | undefined {
    for (const source of sources) {
      for (const weakness of source.values()) if (random.chance(weakness.probability)) return weakness;
    }
    return undefined;
  }

  /** Works, makes the calls of a step and goes on to the next one once all of them have ended. */
  #step(activity: Activity, index: number, finish: Done): void {
    const { operation, part, visit } = activity;
    this.#agenda.after(part, () => {
      const step = operation.steps[index];
      if (step === undefined) {
        finish(undefined);
        return;
      }
      const calls = step.filter(({ probability }) => probability === 1 || visit.random.chance(probability));
      let open = calls.length;
      let failed: Failure | undefined;
      if (open === 0) {
        this.#step(activity, index + 1, finish);
        return;
      }
      for (const call of calls) {
        this.#call(activity, call, (failure) => {
          if (failure && !call.optional) failed ??= failure;
          if (--open > 0) return;
          if (failed === undefined) this.#step(activity, index + 1, finish);
          else finish(failed);
        });
      }
    });
  }

  #call(activity: Activity, call: Call, done: Done): void {
    const { pool, leak } = activity.instance;
    if (call.to.component.kind !== "database" || pool === undefined) {
      this.#attempt(activity, call, 0, done);
      return;
    }
    pool.acquire(this.#agenda, (got) => {
      if (!got) {
        const failure = {
          type: "PoolTimeout",
          message: `no connection to ${call.to.component.name} became free within ${pool.timeoutMicros / 1_000} ms`,
        };
        this.#logFailure(activity, failure.message, failure);
        done(failure);
        return;
      }
      this.#attempt(activity, call, 0, (failure) => {
        if (leak && activity.visit.random.chance(leak.probability)) {
          this.#agenda.after(leak.micros, () => pool.release());
        } else pool.release();
        done(failure);
      });
    });
  }

  #attempt(activity: Activity, call: Call, attempt: number, done: Done): void {
    const { visit, instance, spanId: parent } = activity;
    const { random } = visit;
    const { to } = call;
    const agenda = this.#agenda;
    const spanId = random.bytes(8);
    const start = agenda.now;
    const hit =
      call.hitRatio === undefined ? undefined : random.chance(call.hitRatio * to.component.hits.value);
    let ended = false;
    const end = (failure: Failure | undefined) => {
      if (ended) return;
      ended = true;
      this.#observer.span({
        instance,
        operation: to,
        client: true,
        traceId: visit.traceId,
        spanId,
        parent,
        start,
        end: agenda.now,
        failure,
        hit: failure ? undefined : hit,
      });
      if (failure === undefined) {
        if (call.topic) this.#send(call, { visit, parent: spanId, sent: agenda.now });
        if (call.otherwise && !hit) this.#call(activity, call.otherwise, done);
        else done(undefined);
      } else if (attempt < call.retries) {
        const count = `attempt ${attempt + 2} of ${call.retries + 1}`;
        this.#log(activity, "WARN", `Repeating ${to.name} after ${failure.type}, ${count}`, undefined);
        agenda.after(call.backoffMicros * 2 ** attempt, () =>
          this.#attempt(activity, call, attempt + 1, done),
        );
      } else if (call.otherwise) {
        this.#call(activity, call.otherwise, done);
      } else {
        const verb = call.optional ? "Going on without" : "Giving up on";
        this.#logFailure(activity, `${verb} ${to.name} of ${to.component.name}: ${failure.message}`, failure);
        done(this.#passOn(call, failure));
      }
    };
    agenda.after(call.timeoutMicros, () =>
      end({
        type: "timeout",
        message: `no response from ${to.component.name} within ${call.timeoutMicros / 1_000} ms`,
      }),
    );
    const way = random.logNormal(networkMs, 0.3) * 1_000;
    agenda.after(way, () =>
      this.#serve(to, visit, spanId, (failure) => agenda.after(way, () => end(failure))),
    );
  }

  /** Returns the failure of a caller whose call has failed. */
  #passOn({ to }: Call, failure: Failure): Failure {
    return {
      type: failure.type === "timeout" ? "DEADLINE_EXCEEDED" : "UNAVAILABLE",
      message: `${to.component.name}: ${failure.message}`.slice(0, 200),
    };
  }

  #send({ topic }: Call, message: Message): void {
    const { consumer } = this.topology.topics.find((each) => each.topic === topic)!;
    topic!.send(this.#agenda, message, ({ visit, parent }, done) =>
      this.#serve(consumer, visit, parent, () => done()),
    );
  }

  #logTemplates(activity: Activity, end: boolean): void {
    const { random } = activity.visit;
    for (const template of activity.operation.logs) {
      if (template.end !== end || (template.probability < 1 && !random.chance(template.probability)))
        continue;
      this.#log(activity, template.severity, this.#text(template, activity), undefined);
    }
  }

  #text({ text }: LogTemplate, { visit, start }: Activity): string {
    const ms = Math.max(1, Math.round((this.#agenda.now - start) / 1_000));
    return text
      .replace("{id}", visit.id)
      .replace("{ms}", String(ms))
      .replace("{}", () => String(visit.random.int(1, 60)));
  }

  #logFailure(activity: Activity, body: string, failure: Failure): void {
    this.#log(activity, "ERROR", failure.trace ?? body, failure);
  }

  #log(
    { instance, visit, spanId }: Activity,
    severity: WrittenLog["severity"],
    body: string,
    failure: Failure | undefined,
  ): void {
    const time = this.#agenda.now;
    this.#observer.log({ instance, time, severity, body, failure, traceId: visit.traceId, spanId });
  }

  /** Writes a line that belongs to no visit. */
  announce(instance: Instance, body: string): void {
    this.#observer.log({
      instance,
      time: this.#agenda.now,
      severity: "INFO",
      body,
      failure: undefined,
      traceId: undefined,
      spanId: undefined,
    });
  }
}

/** Returns the components that send telemetry of their own. */
export function servicesOf({ components }: Topology): Component[] {
  return components.filter(({ traced }) => traced);
}
