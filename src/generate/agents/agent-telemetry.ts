/** Generates the telemetry of LLM agents as requests, in the order of time. The same options yield the same bytes. */
import { SeverityNumber } from "../../gen/opentelemetry/proto/logs/v1/logs_pb.js";
import type { Signal } from "../../otlp/protocol.ts";
import { Agenda } from "../agenda.ts";
import type { Batch, TelemetryOptions } from "../batch.ts";
import { Outbox } from "../outbox.ts";
import { Random } from "../random.ts";
import { encodeLog, encodeResource, encodeSpan, encodeSpanAttributes } from "../wire.ts";
import {
  attributesOf,
  eventAttributes,
  eventName,
  failureOf,
  fixedAttributes,
  kindOf,
  nameOf,
  resourceOf,
} from "./conventions.ts";
import { type AgentSpan, Conversation } from "./conversation.ts";
import {
  type AgentCause,
  type AgentFault,
  type AgentFaultName,
  type AgentFaultSchedule,
  agentFaultKinds,
  plan,
} from "./fault.ts";
import { type Agent, agents } from "./model.ts";

/** A turn that a fault affects. */
export interface AffectedTurn {
  /** The id of the fault. */
  fault: string;
  /** The value of `gen_ai.conversation.id`. */
  conversation: string;
  /** The trace of the turn, in hexadecimal digits. */
  trace: string;
  /** Milliseconds of stream time since the start. */
  time: number;
}

export interface AgentOptions extends TelemetryOptions {
  /** The faults, in the order of their starts. */
  schedule: readonly AgentFaultSchedule[];
  /** Is called when a fault begins. */
  onFault?: ((fault: AgentFault) => void) | undefined;
  /** Is called for each turn that a fault affects, once. */
  onAffected?: ((turn: AffectedTurn) => void) | undefined;
}

/** Number of conversations from which their average number of records is estimated. */
const sampled = 400;
const scope = "driftlock.agents";

/** Returns the average number of records of these signals per conversation. */
function recordsPerConversation(signals: readonly Signal[]): number {
  const agenda = new Agenda();
  const random = new Random("records per conversation");
  let records = 0;
  const emit = ({ kind }: AgentSpan) => {
    if (signals.includes("traces")) records++;
    if (signals.includes("logs") && kind === "model") records++;
  };
  for (let i = 0; i < sampled; i++)
    new Conversation({ agenda, random, emit, affected: () => 0 }, agents[i % agents.length]!).begin();
  while (agenda.next < Number.POSITIVE_INFINITY) agenda.step();
  return records / sampled;
}

export class AgentTelemetry {
  readonly #options: AgentOptions;
  readonly #agenda = new Agenda();
  readonly #random: Random;
  readonly #outbox: Outbox;
  readonly #resources: ReadonlyMap<string, Uint8Array>;
  readonly #fixed = new Map<string, Uint8Array>();
  readonly #active = new Map<AgentFaultName, { agent: Agent; fault: AgentFault; random: Random }>();
  /** Whether a fault affects a turn, by fault and trace. */
  readonly #chosen = new WeakMap<Uint8Array, Map<AgentFaultName, number>>();

  constructor(options: AgentOptions) {
    const { seed, signals, recordsPerRequest } = options;
    this.#options = options;
    this.#random = new Random(`${seed}/agents`);
    this.#outbox = new Outbox(signals, recordsPerRequest);
    this.#resources = new Map(
      agents.map(({ service }) => [
        service,
        encodeResource(resourceOf(service, new Random(`${seed}/resource/${service}`).uuid())),
      ]),
    );
  }

  *batches(): Generator<Batch, void> {
    const { duration, speed } = this.#options;
    const agenda = this.#agenda;
    const end = duration * 1_000;
    let flush = false;
    const tick = () =>
      agenda.after(1e6 * speed, () => {
        flush = true;
        tick();
      });
    tick();
    this.#planFaults();
    this.#converse();
    while (agenda.next < end) {
      agenda.step();
      yield* flush ? this.#outbox.all(agenda.now / 1_000) : this.#outbox.full(agenda.now / 1_000);
      flush = false;
    }
    yield* this.#outbox.all(duration);
  }

  /** Begins conversations at random times. */
  #converse(): void {
    const { rate, speed, signals } = this.#options;
    const agenda = this.#agenda;
    const random = this.#random;
    const world = {
      agenda,
      random,
      emit: (span: AgentSpan) => this.#emit(span),
      affected: this.#affected.bind(this),
    };
    const mean = (1e6 * recordsPerConversation(signals)) / (rate / speed);
    const next = () =>
      agenda.after(random.exponential(mean), () => {
        new Conversation(world, random.pick(agents)).begin();
        next();
      });
    next();
  }

  #planFaults(): void {
    const { schedule, seed, onFault } = this.#options;
    for (const [i, scheduled] of schedule.entries()) {
      const { kind, start, end } = scheduled;
      this.#agenda.after(start * 1_000, () => {
        const random = new Random(`${seed}/fault/${kind}@${start}`);
        const { agent, cause }: { agent: Agent; cause: AgentCause } = plan(agents, scheduled, random);
        const active = { agent, random, fault: { ...scheduled, id: `fault-${i + 1}`, cause } };
        onFault?.(active.fault);
        this.#active.set(kind, active);
        this.#agenda.after((end - start) * 1_000, () => {
          if (this.#active.get(kind) === active) this.#active.delete(kind);
        });
      });
    }
  }

  #affected(kind: AgentFaultName, turn: { agent: Agent; conversation: string; traceId: Uint8Array }): number {
    const active = this.#active.get(kind);
    if (active?.agent !== turn.agent) return 0;
    let chosen = this.#chosen.get(turn.traceId);
    if (chosen === undefined) {
      chosen = new Map();
      this.#chosen.set(turn.traceId, chosen);
    }
    let size = chosen.get(kind);
    if (size === undefined) {
      const { fault, random } = active;
      const affects = random.chance(Math.min(1, agentFaultKinds[kind].share * fault.size));
      size = affects ? fault.size : 0;
      chosen.set(kind, size);
      if (affects) {
        this.#options.onAffected?.({
          fault: fault.id,
          conversation: turn.conversation,
          trace: Buffer.from(turn.traceId).toString("hex"),
          time: this.#agenda.now / 1_000,
        });
      }
    }
    return size;
  }

  #emit(span: AgentSpan): void {
    const resource = this.#resources.get(span.agent.service)!;
    const { traceId, spanId } = span;
    if (this.#outbox.has("traces")) {
      const record = encodeSpan({
        traceId,
        spanId,
        parent: span.parent,
        name: nameOf(span),
        kind: kindOf(span),
        startUnixNano: this.#unixNano(span.start),
        endUnixNano: this.#unixNano(span.end),
        fixed: this.#fixedOf(span),
        attributes: attributesOf(span),
        error: failureOf(span),
      });
      this.#outbox.add("traces", resource, scope, record);
    }
    if (this.#outbox.has("logs") && span.kind === "model") {
      const record = encodeLog({
        unixNano: this.#unixNano(span.end),
        severityNumber: SeverityNumber.INFO,
        severityText: "INFO",
        attributes: eventAttributes(span),
        event: eventName,
        traceId,
        spanId,
      });
      this.#outbox.add("logs", resource, scope, record);
    }
  }

  #fixedOf(span: AgentSpan): Uint8Array {
    const key = `${span.kind}/${span.agent.name}`;
    let fixed = this.#fixed.get(key);
    if (fixed === undefined) {
      fixed = encodeSpanAttributes(fixedAttributes(span));
      this.#fixed.set(key, fixed);
    }
    return fixed;
  }

  #unixNano(micros: number): bigint {
    return this.#options.startUnixNano + BigInt(Math.round(micros)) * 1_000n;
  }
}
