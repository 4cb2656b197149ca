/** Messages of Anthropic's API. */
import {
  type Answer,
  type Assembler,
  argumentsOf,
  defined,
  type Json,
  joined,
  list,
  type Message,
  mostParts,
  number,
  object,
  type Part,
  type Shape,
  text,
} from "./call.ts";

function toPart(block: Json): Part {
  switch (block.type) {
    case "text":
      return { type: "text", content: block.text };
    case "thinking":
      return { type: "reasoning", content: block.thinking };
    case "tool_use":
      return { type: "tool_call", id: block.id, name: block.name, arguments: argumentsOf(block.input) };
    case "tool_result":
      return {
        type: "tool_call_response",
        id: block.tool_use_id,
        response: text(block.content) ?? list(block.content).map(toPart),
      };
    default:
      return { type: text(block.type) ?? "unknown" };
  }
}

const partsOf = (content: unknown): Part[] =>
  typeof content === "string" ? [{ type: "text", content }] : list(content).map(toPart);

/** The conventions' names of reasons why a model stopped. */
const reasons: Readonly<Record<string, string>> = {
  end_turn: "stop",
  stop_sequence: "stop",
  max_tokens: "length",
  tool_use: "tool_calls",
  refusal: "content_filter",
};

export const messages: Shape = {
  provider: "anthropic",
  operation: "chat",
  input({ system, messages: given }) {
    const first = system === undefined ? [] : [{ role: "system", parts: partsOf(system) }];
    const others = list(given).map((message): Message => {
      const parts = partsOf(message.content);
      const answers = parts.length > 0 && parts.every(({ type }) => type === "tool_call_response");
      return { role: answers ? "tool" : (text(message.role) ?? "user"), parts };
    });
    return [...first, ...others];
  },
  answer(response): Answer {
    const usage = object(response.usage);
    const stopped = text(response.stop_reason);
    const reason = stopped && (reasons[stopped] ?? stopped);
    const parts = partsOf(response.content);
    const [read, written] = [
      number(usage.cache_read_input_tokens),
      number(usage.cache_creation_input_tokens),
    ];
    const input = number(usage.input_tokens);
    return defined({
      id: text(response.id),
      model: text(response.model),
      messages: parts.length > 0 ? [{ role: "assistant", parts, ...defined({ finish_reason: reason }) }] : [],
      finishReasons: reason === undefined ? [] : [reason],
      // By the conventions, the count includes the tokens that the cache had or got.
      inputTokens: input === undefined ? undefined : input + (read ?? 0) + (written ?? 0),
      outputTokens: number(usage.output_tokens),
      cacheReadTokens: read,
      cacheWriteTokens: written,
    }) as Answer;
  },
  assembler: () => new MessageAssembler(),
};

interface Block {
  [name: string]: unknown;
}

class MessageAssembler implements Assembler {
  #message: Json = {};
  readonly #blocks: Block[] = [];

  add(event: Json): void {
    switch (event.type) {
      case "message_start":
        this.#message = object(event.message);
        break;
      case "content_block_start":
        this.#start(number(event.index) ?? 0, object(event.content_block));
        break;
      case "content_block_delta":
        this.#extend(this.#blocks[number(event.index) ?? 0], object(event.delta));
        break;
      case "message_delta":
        this.#message = {
          ...this.#message,
          ...object(event.delta),
          usage: { ...object(this.#message.usage), ...object(event.usage) },
        };
    }
  }

  #start(index: number, block: Json): void {
    if (index < 0 || index >= mostParts) return;
    // The input of a tool comes in pieces of JSON.
    this.#blocks[index] = block.type === "tool_use" ? { ...block, input: "" } : { ...block };
  }

  #extend(block: Block | undefined, delta: Json): void {
    if (block === undefined) return;
    if (delta.type === "text_delta") append(block, "text", delta.text);
    else if (delta.type === "thinking_delta") append(block, "thinking", delta.thinking);
    else if (delta.type === "input_json_delta") append(block, "input", delta.partial_json);
  }

  whole(): Json {
    return { ...this.#message, content: this.#blocks.filter(Boolean) };
  }
}

function append(block: Block, name: string, piece: unknown): void {
  if (typeof piece === "string") block[name] = joined(text(block[name]) ?? "", piece);
}
