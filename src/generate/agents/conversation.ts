/** Simulates conversations: turns, in which an agent calls its model and its tools until it can answer. */
import type { Agenda } from "../agenda.ts";
import type { Random } from "../random.ts";
import type { AgentFaultName } from "./fault.ts";
import { Facts, injections, refusals, secret } from "./language.ts";
import { type Message, text, tokensOf, toolCall, toolResponse } from "./messages.ts";
import { type Agent, sendEmail, type Task, type Tool } from "./model.ts";

interface SpanOf {
  agent: Agent;
  conversation: string;
  traceId: Uint8Array;
  spanId: Uint8Array;
  parent: Uint8Array | undefined;
  /** Microseconds of stream time since the start. */
  start: number;
  end: number;
}

/** The span of a turn. */
export interface Turn extends SpanOf {
  kind: "turn";
}

/** The span of a call of the model. */
export interface ModelCall extends SpanOf {
  kind: "model";
  input: readonly Message[];
  /** The answer of the model; undefined if the call failed. */
  response:
    | {
        id: string;
        model: string;
        message: Message;
        finish: "stop" | "tool_calls" | "content_filter";
        firstChunk: number;
        inputTokens: number;
        cachedTokens: number;
        outputTokens: number;
        reasoningTokens: number;
      }
    | undefined;
}

/** The span of a call of a tool. */
export interface ToolUse extends SpanOf {
  kind: "tool";
  tool: string;
  id: string;
  given: string;
  /** What it returns; undefined if it failed. */
  result: string | undefined;
}

export type AgentSpan = Turn | ModelCall | ToolUse;

/** What surrounds the conversations. */
export interface World {
  agenda: Agenda;
  random: Random;
  emit(span: AgentSpan): void;
  /** Returns the strength of a fault if it affects this turn, and notes that it does. */
  affected(kind: AgentFaultName, turn: { agent: Agent; conversation: string; traceId: Uint8Array }): number;
}

/** Chances of what goes wrong on ordinary days: a call of the model or of a tool fails, an answer is refused. */
const usual = { modelFails: 0.004, toolFails: 0.01, refused: 0.01 };
const mostTurns = 6;
/** Medians in microseconds. */
const thinking = 25e6;
const retryDelay = 1e6;
/** What the tools' definitions take. */
const definitionTokens = 320;
/** Characters that are left of an answer that is truncated. */
const truncatedTo = 55;
/** How many times a loop repeats a call, at least and at most. */
const loop = { least: 12, most: 24 };

interface Step {
  tool: Tool;
  given: string;
  result: string;
}

/** A conversation between a person and an agent. */
export class Conversation {
  readonly #world: World;
  readonly #agent: Agent;
  readonly #id: string;
  readonly #history: Message[] = [];
  #characters: number;
  #cached = 0;
  #turnsLeft: number;

  constructor(world: World, agent: Agent) {
    const { random } = world;
    this.#world = world;
    this.#agent = agent;
    this.#id = `conv_${random.hex(24)}`;
    this.#characters = agent.instructions.length;
    this.#turnsLeft = 1;
    while (this.#turnsLeft < mostTurns && random.chance(0.5)) this.#turnsLeft++;
    if (agent.model.instructed === "in messages") this.#history.push(text("system", agent.instructions));
  }

  /** Begins the next turn, and plans the others. */
  begin(): void {
    const { agenda, random } = this.#world;
    const first = this.#characters === this.#agent.instructions.length;
    const task = pickTask(
      random,
      this.#agent.tasks.filter(({ steps }) => !first || steps.length > 0),
    );
    new TurnInProgress(this.#world, this.#agent, this.#id, this, task, () => {
      if (--this.#turnsLeft > 0) agenda.after(random.logNormal(thinking, 0.6), () => this.begin());
    }).begin();
  }

  get history(): readonly Message[] {
    return this.#history;
  }

  get tokens(): number {
    return tokensOf(this.#characters) + definitionTokens;
  }

  /** Notes that the provider has cached the input so far, and returns how much of it was cached before. */
  cache(): number {
    const before = this.#cached;
    this.#cached = this.tokens;
    return before;
  }

  add(message: Message): void {
    this.#history.push(message);
    this.#characters += JSON.stringify(message.parts).length;
  }
}

class TurnInProgress {
  readonly #world: World;
  readonly #agent: Agent;
  readonly #conversation: string;
  readonly #talk: Conversation;
  readonly #task: Task;
  readonly #done: () => void;
  readonly #facts: Facts;
  readonly #traceId: Uint8Array;
  readonly #root: Uint8Array;
  readonly #start: number;
  readonly #steps: Step[];

  constructor(world: World, agent: Agent, id: string, talk: Conversation, task: Task, done: () => void) {
    const { random, agenda } = world;
    this.#world = world;
    this.#agent = agent;
    this.#conversation = id;
    this.#talk = talk;
    this.#task = task;
    this.#done = done;
    this.#facts = new Facts(random);
    this.#traceId = random.bytes(16);
    this.#root = random.bytes(8);
    this.#start = agenda.now;
    this.#steps = this.#plan();
  }

  begin(): void {
    this.#talk.add(text("user", this.#facts.fill(this.#world.random.pick(this.#task.asks))));
    this.#next();
  }

  #plan(): Step[] {
    const { random } = this.#world;
    const steps: Step[] = [];
    for (const { tool, often = 1, most = 1 } of this.#task.steps) {
      if (!random.chance(often)) continue;
      for (let i = random.int(1, most); i > 0; i--) steps.push(this.#step(this.#agent.tools[tool]!));
    }
    if (steps.length === 0) return steps;
    const loops = this.#affected("loop");
    if (loops > 0) {
      const at = random.int(0, steps.length - 1);
      const times = Math.ceil(random.int(loop.least, loop.most) * loops);
      steps.splice(at, 0, ...Array.from({ length: times }, () => steps[at]!));
    }
    if (this.#affected("injected-tool-call") > 0) {
      const at = random.int(0, steps.length - 1);
      const to = `${random.hex(8)}@collector.example`;
      const injected = random.pick(injections).replace("{to}", to);
      steps[at] = { ...steps[at]!, result: JSON.stringify({ text: injected, data: steps[at]!.result }) };
      const given = JSON.stringify({ to, subject: "records", body: steps[at].result.slice(0, 120) });
      steps.splice(at + 1, 0, { tool: sendEmail, given, result: sendEmail.result });
    }
    return steps;
  }

  #step(tool: Tool): Step {
    return { tool, given: this.#facts.fill(tool.arguments), result: this.#facts.fill(tool.result) };
  }

  #affected(kind: AgentFaultName): number {
    return this.#world.affected(kind, {
      agent: this.#agent,
      conversation: this.#conversation,
      traceId: this.#traceId,
    });
  }

  /** Calls the model, which calls a tool or answers. */
  #next(): void {
    const { random } = this.#world;
    if (random.chance(usual.modelFails)) {
      this.#call(undefined, random.logNormal(300e3, 0.4), () =>
        this.#world.agenda.after(retryDelay, () => this.#next()),
      );
      return;
    }
    const refusal = this.#refusal();
    if (refusal !== undefined) {
      this.#answer(refusal.content, refusal.finish);
      return;
    }
    const step = this.#steps.shift();
    if (step === undefined) {
      this.#answer(this.#answerText(), "stop");
      return;
    }
    const id = `call_${random.hex(24)}`;
    this.#respond(toolCall(id, step.tool.name, step.given), "tool_calls", () => this.#use(step, id));
  }

  #refusal(): { content: string; finish: "stop" | "content_filter" } | undefined {
    const { random } = this.#world;
    // A model refuses what it is asked, not what a tool returned.
    if (this.#talk.history.at(-1)!.role !== "user") return undefined;
    const spike = this.#affected("refusal-spike") > 0;
    if (!spike && !random.chance(usual.refused)) return undefined;
    return random.chance(0.7)
      ? { content: random.pick(refusals), finish: "stop" }
      : { content: "", finish: "content_filter" };
  }

  #answerText(): string {
    const { random } = this.#world;
    let answer = this.#facts.fill(random.pick(this.#task.answers));
    if (this.#affected("model-swap") > 0) answer = `Sure! ${answer} Let me know if that works.`;
    if (this.#affected("leak") > 0) answer = `${answer} ${secret(random)}`;
    const truncation = this.#affected("silent-truncation");
    return truncation > 0 ? answer.slice(0, Math.ceil(truncatedTo / truncation)) : answer;
  }

  #answer(content: string, finish: "stop" | "content_filter"): void {
    const message: Message = content === "" ? { role: "assistant", parts: [] } : text("assistant", content);
    this.#respond(message, finish, () => {
      this.#world.emit({ kind: "turn", ...this.#span(this.#start, undefined), spanId: this.#root });
      this.#done();
    });
  }

  #respond(message: Message, finish: "stop" | "tool_calls" | "content_filter", next: () => void): void {
    const { random } = this.#world;
    const { model } = this.#agent;
    const swapped = this.#affected("model-swap") > 0;
    const dearer = 1 + 9 * this.#affected("cost-jump");
    const reasoningTokens = Math.round(random.logNormal(model.reasoning, 0.4) * dearer * (swapped ? 0.3 : 1));
    const outputTokens = tokensOf(JSON.stringify(message.parts).length) + reasoningTokens;
    const firstChunk = random.logNormal(model.firstChunk, 0.3) * (swapped ? 0.6 : 1);
    const inputTokens = this.#talk.tokens;
    const response = {
      id: `${model.ids}${random.hex(24)}`,
      model: swapped ? model.other : model.response,
      ...{ message, finish, firstChunk, inputTokens, outputTokens, reasoningTokens },
      cachedTokens: this.#talk.cache(),
    };
    const seconds = firstChunk + outputTokens / random.logNormal(model.speed, 0.1);
    this.#call(response, seconds * 1e6, () => {
      this.#talk.add(message);
      next();
    });
  }

  #call(response: ModelCall["response"], micros: number, next: () => void): void {
    const { agenda, emit } = this.#world;
    const start = agenda.now;
    const input = [...this.#talk.history];
    agenda.after(micros, () => {
      emit({ kind: "model", ...this.#span(start, this.#root), input, response });
      next();
    });
  }

  #use(step: Step, id: string): void {
    const { agenda, random, emit } = this.#world;
    const start = agenda.now;
    const fails = random.chance(usual.toolFails);
    agenda.after(random.logNormal(step.tool.duration * 1e3, 0.4), () => {
      const { tool, given } = step;
      const result = fails ? undefined : step.result;
      emit({ kind: "tool", ...this.#span(start, this.#root), tool: tool.name, id, given, result });
      this.#talk.add(toolResponse(id, result ?? '{"error":"temporarily unavailable"}'));
      // The agent tries it once more.
      if (fails) this.#steps.unshift(step);
      this.#next();
    });
  }

  #span(start: number, parent: Uint8Array | undefined): SpanOf {
    const { agenda, random } = this.#world;
    return {
      agent: this.#agent,
      conversation: this.#conversation,
      traceId: this.#traceId,
      spanId: random.bytes(8),
      ...{ parent, start, end: agenda.now },
    };
  }
}

function pickTask(random: Random, tasks: readonly Task[]): Task {
  let left = random.uniform() * tasks.reduce((sum, { weight }) => sum + weight, 0);
  for (const task of tasks) {
    left -= task.weight;
    if (left < 0) return task;
  }
  return tasks.at(-1)!;
}
