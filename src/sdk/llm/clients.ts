import type { Driftlock } from "../driftlock.ts";
import { sharedDriftlock } from "../shared.ts";
import { messages } from "./anthropic.ts";
import { Call, type Json, object, type Shape } from "./call.ts";
import { chatCompletions, responses } from "./openai.ts";

/** Options of `observeOpenAI` and `observeAnthropic`. */
export interface ObserveOptions {
  /** The instance that judges; by default one that all parts of the SDK share. */
  driftlock?: Driftlock;
  /** The conversation that the calls belong to: an id, or a function that returns the present one. */
  conversation?: string | (() => string | undefined);
  /** Whether the texts of prompts, answers and tool calls are judged as well; true by default. In reports they are masked. */
  content?: boolean;
}

/** Where a client has a method `create`, by its properties. */
type Place = readonly [path: readonly string[], shape: Shape];

/**
 * Lets Driftlock judge all calls of `chat.completions` and `responses` of a client that has the shape of OpenAI's, among them those of
 * `stream` and `parse`. Returns the client, whose methods do what they did.
 */
export function observeOpenAI<Client extends object>(client: Client, options: ObserveOptions = {}): Client {
  return observeClient(client, options, [
    [["chat", "completions"], chatCompletions],
    [["responses"], responses],
  ]);
}

/**
 * Lets Driftlock judge all calls of `messages` of a client that has the shape of Anthropic's, among them those of `stream` and
 * `parse`. Returns the client, whose methods do what they did.
 */
export function observeAnthropic<Client extends object>(
  client: Client,
  options: ObserveOptions = {},
): Client {
  return observeClient(client, options, [[["messages"], messages]]);
}

/** Clients' own helpers, such as `stream`, call `create` of the same object, so that it is the only method to observe. */
function observeClient<Client extends object>(
  client: Client,
  { driftlock = sharedDriftlock(), conversation, content = true }: ObserveOptions,
  places: readonly Place[],
): Client {
  for (const [path, shape] of places) {
    const owner = path.reduce<Json>((from, name) => object(from[name]), client as Json);
    const { create } = owner;
    if (typeof create !== "function") continue;
    const observed = function (this: unknown, request: unknown, ...rest: unknown[]): unknown {
      const call = new Call(driftlock, shape, object(request), { conversation: idOf(conversation), content });
      let result: unknown;
      try {
        result = create.call(this, request, ...rest);
      } catch (error) {
        call.failed(error);
        throw error;
      }
      return observeResult(result, call, shape);
    };
    Object.defineProperty(owner, "create", { value: observed, configurable: true, writable: true });
  }
  return client;
}

function idOf(conversation: ObserveOptions["conversation"]): string | undefined {
  try {
    return typeof conversation === "function" ? conversation() : conversation;
  } catch {
    // The host's function has nothing to do with the call, which goes on without.
    return undefined;
  }
}

/** The promise of these clients reads the body of the response only once somebody asks for it, with this function. */
interface LazyPromise {
  parseResponse: (...args: unknown[]) => Promise<unknown>;
  responsePromise: Promise<unknown>;
}

function observeResult(result: unknown, call: Call, shape: Shape): unknown {
  const lazy = result as Partial<LazyPromise>;
  if (typeof lazy?.parseResponse === "function" && lazy.responsePromise instanceof Promise) {
    const { parseResponse } = lazy;
    lazy.parseResponse = async function (this: unknown, ...args: unknown[]) {
      return received(await failing(parseResponse.apply(this, args), call), call, shape);
    };
    lazy.responsePromise.catch((error: unknown) => call.failed(error));
    return result;
  }
  if (!(result instanceof Promise)) return result;
  return failing(result, call).then((value) => received(value, call, shape));
}

async function failing<T>(promise: Promise<T>, call: Call): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    call.failed(error);
    throw error;
  }
}

/** A stream of chunks, as these clients have it. */
interface ChunkStream {
  iterator?: () => AsyncIterator<unknown>;
  [Symbol.asyncIterator](): AsyncIterator<unknown>;
}

/** Observes an answer, which is returned as it is: if it is a stream, its chunks are observed as they are read. */
function received(value: unknown, call: Call, shape: Shape): unknown {
  const stream = value as ChunkStream | undefined;
  if (typeof stream?.[Symbol.asyncIterator] !== "function") {
    call.answered(object(value));
    return value;
  }
  if (typeof stream.iterator === "function") {
    // All ways of reading the stream begin with it.
    const { iterator } = stream;
    stream.iterator = () => observedChunks(iterator.call(stream), call, shape);
    return value;
  }
  const iterate = stream[Symbol.asyncIterator];
  stream[Symbol.asyncIterator] = () => observedChunks(iterate.call(stream), call, shape);
  return value;
}

function observedChunks(
  chunks: AsyncIterator<unknown>,
  call: Call,
  shape: Shape,
): AsyncIterableIterator<unknown> {
  const assembler = shape.assembler();
  const end = () => call.answered(assembler.whole());
  const note = (result: IteratorResult<unknown>): IteratorResult<unknown> => {
    if (result.done) end();
    else {
      call.chunk();
      try {
        assembler.add(object(result.value));
      } catch {
        // A chunk of a shape that is not known is left out of the span.
      }
    }
    return result;
  };
  const step = async (next: Promise<IteratorResult<unknown>>) => {
    try {
      return note(await next);
    } catch (error) {
      call.failed(error, assembler.whole());
      throw error;
    }
  };
  return {
    next: () => step(chunks.next()),
    async return(value) {
      // Whoever stops reading has what came so far.
      end();
      return (await chunks.return?.(value)) ?? { done: true, value };
    },
    throw: (error) => step(chunks.throw ? chunks.throw(error) : Promise.reject(error)),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
