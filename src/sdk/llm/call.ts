/** A call of a model: what is sent and received, in the provider's own shape, as a span of OpenTelemetry's conventions for GenAI. */
import type { Driftlock } from "../driftlock.ts";
import type { AttributesLike } from "../encoder/values.ts";
import { nameOf } from "../observe.ts";

/** A JSON object whose shape the provider decides. */
export type Json = { readonly [name: string]: unknown };

/** A part of a message. */
export type Part = { type: string } & { [name: string]: unknown };

/** A message in the shape of the conventions. */
export interface Message {
  role: string;
  parts: Part[];
  finish_reason?: string;
}

/** What an answer says, whether it came at once or in pieces. */
export interface Answer {
  id?: string;
  model?: string;
  messages: Message[];
  finishReasons: string[];
  inputTokens?: number;
  outputTokens?: number;
  cacheReadTokens?: number;
  cacheWriteTokens?: number;
}

/** How requests and answers of one kind of call are read. */
export interface Shape {
  readonly provider: string;
  readonly operation: string;
  /** Reads the messages of a request, the system's included. */
  input(request: Json): Message[];
  /** Reads a whole answer. */
  answer(response: Json): Answer;
  /** Returns what puts the chunks of a stream together. */
  assembler(): Assembler;
}

/** Puts the chunks of a stream together. */
export interface Assembler {
  add(chunk: Json): void;
  /** What came so far, as a whole answer. */
  whole(): Json;
}

/** The conversation that calls belong to, and whether their texts are taken. */
export interface CallOptions {
  conversation?: string | undefined;
  content: boolean;
}

const parameters: Readonly<Record<string, string>> = {
  temperature: "gen_ai.request.temperature",
  top_p: "gen_ai.request.top_p",
  top_k: "gen_ai.request.top_k",
  max_tokens: "gen_ai.request.max_tokens",
  max_completion_tokens: "gen_ai.request.max_tokens",
  max_output_tokens: "gen_ai.request.max_tokens",
  frequency_penalty: "gen_ai.request.frequency_penalty",
  presence_penalty: "gen_ai.request.presence_penalty",
  seed: "gen_ai.request.seed",
};

/** Makes one span. Its methods may be called in any order and any number of times; the first end counts. */
export class Call {
  readonly #driftlock: Driftlock;
  readonly #shape: Shape;
  readonly #request: Json;
  readonly #options: CallOptions;
  readonly #start = performance.now();
  #firstChunk: number | undefined;
  #ended = false;

  constructor(driftlock: Driftlock, shape: Shape, request: Json, options: CallOptions) {
    this.#driftlock = driftlock;
    this.#shape = shape;
    this.#request = request;
    this.#options = options;
  }

  /** Notes that a chunk of the answer has come. */
  chunk(): void {
    this.#firstChunk ??= performance.now() - this.#start;
  }

  answered(response: Json): void {
    this.#end(response);
  }

  failed(error: unknown, response: Json = {}): void {
    this.#end(response, error);
  }

  #end(response: Json, ...errors: [error?: unknown]): void {
    if (this.#ended) return;
    this.#ended = true;
    const duration = performance.now() - this.#start;
    const { operation } = this.#shape;
    const model = text(this.#request.model);
    const error = errors.length > 0 ? nameOf(errors[0]) : undefined;
    let attributes: AttributesLike = {};
    try {
      attributes = this.#attributes(response);
    } catch {
      // The provider's shape is not the one that is known: the span has the rest.
    }
    this.#driftlock.span({
      name: model === undefined ? operation : `${operation} ${model}`,
      kind: "client",
      duration,
      ...(error !== undefined && { error: message(errors[0]) }),
      attributes: {
        ...this.#requested(),
        ...attributes,
        ...(error !== undefined && { "error.type": error }),
      },
    });
  }

  #requested(): AttributesLike {
    const set = Object.entries(parameters).filter(([name]) => typeof this.#request[name] === "number");
    return {
      "gen_ai.operation.name": this.#shape.operation,
      "gen_ai.provider.name": this.#shape.provider,
      ...defined({
        "gen_ai.request.model": text(this.#request.model),
        "gen_ai.conversation.id": this.#options.conversation,
      }),
      ...Object.fromEntries(set.map(([name, attribute]) => [attribute, this.#request[name]])),
    };
  }

  #attributes(response: Json): AttributesLike {
    const { content } = this.#options;
    const answer = this.#shape.answer(response);
    return defined({
      "gen_ai.response.id": answer.id,
      "gen_ai.response.model": answer.model,
      "gen_ai.response.finish_reasons": answer.finishReasons.length > 0 ? answer.finishReasons : undefined,
      "gen_ai.response.time_to_first_chunk": this.#firstChunk && this.#firstChunk / 1000,
      "gen_ai.usage.input_tokens": answer.inputTokens,
      "gen_ai.usage.output_tokens": answer.outputTokens,
      "gen_ai.usage.cache_read.input_tokens": answer.cacheReadTokens,
      "gen_ai.usage.cache_write.input_tokens": answer.cacheWriteTokens,
      "gen_ai.input.messages": content ? JSON.stringify(this.#shape.input(this.#request)) : undefined,
      "gen_ai.output.messages":
        content && answer.messages.length > 0 ? JSON.stringify(answer.messages) : undefined,
    });
  }
}

/** Parts of one answer that are put together at most: choices, blocks or tool calls. */
export const mostParts = 128;
/** Text of a part that is put together at most, in UTF-16 units. */
const longestText = 1 << 20;

/** Appends a piece of a text that comes in a stream. */
export const joined = (before: string, piece: unknown): string =>
  typeof piece === "string" && before.length < longestText ? before + piece : before;

const message = (error: unknown) => (error instanceof Error ? error.message : nameOf(error));

export const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
export const number = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined);
export const object = (value: unknown): Json =>
  typeof value === "object" && value !== null ? (value as Json) : {};
export const list = (value: unknown): Json[] => (Array.isArray(value) ? value.map(object) : []);

/** Leaves out what is undefined. */
export function defined<T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}

/** Returns the arguments of a tool call as the value that they spell, or else as they are. */
export function argumentsOf(value: unknown): unknown {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
