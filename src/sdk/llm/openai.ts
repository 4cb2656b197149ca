/** Chat completions and responses of OpenAI's API, and of those that copy it. */
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

const provider = "openai";

/** The conventions have no type for what a model declines; instrumentations use this one. */
const refused = (content: string): Part => ({ type: "refusal", content });

/** Returns the parts of a message's content, which is a text or a list of parts. */
function contentParts(content: unknown): Part[] {
  if (typeof content === "string") return content === "" ? [] : [{ type: "text", content }];
  return list(content).map((part) => {
    const said = text(part.text);
    if (said !== undefined) return { type: "text", content: said };
    const refusal = text(part.refusal);
    return refusal === undefined ? { type: text(part.type) ?? "unknown" } : refused(refusal);
  });
}

function toMessage(message: Json): Message {
  const role = text(message.role) ?? "user";
  if (role === "tool") {
    const response = text(message.content) ?? contentParts(message.content);
    return { role, parts: [{ type: "tool_call_response", id: message.tool_call_id, response }] };
  }
  const calls = list(message.tool_calls).map((call) => {
    const { name, arguments: given } = object(call.function);
    return { type: "tool_call", id: call.id, name, arguments: argumentsOf(given) };
  });
  const refusal = text(message.refusal);
  const refusals = refusal === undefined ? [] : [refused(refusal)];
  return { role, parts: [...contentParts(message.content), ...refusals, ...calls] };
}

export const chatCompletions: Shape = {
  provider,
  operation: "chat",
  input: (request) => list(request.messages).map(toMessage),
  answer(response): Answer {
    const choices = list(response.choices);
    const usage = object(response.usage);
    const reasons = choices.flatMap((choice) => text(choice.finish_reason) ?? []);
    return defined({
      id: text(response.id),
      model: text(response.model),
      messages: choices.map((choice) => ({
        ...toMessage({ role: "assistant", ...object(choice.message) }),
        ...defined({ finish_reason: text(choice.finish_reason) }),
      })),
      finishReasons: reasons,
      inputTokens: number(usage.prompt_tokens),
      outputTokens: number(usage.completion_tokens),
      cacheReadTokens: number(object(usage.prompt_tokens_details).cached_tokens),
    }) as Answer;
  },
  assembler: () => new CompletionAssembler(),
};

interface Choice {
  index: number;
  finish_reason?: unknown;
  message: { role: string; content: string; refusal?: string; tool_calls: ToolCall[] };
}

interface ToolCall {
  id?: unknown;
  function: { name: string; arguments: string };
}

class CompletionAssembler implements Assembler {
  #head: Json = {};
  #usage: unknown;
  readonly #choices: Choice[] = [];

  add(chunk: Json): void {
    this.#head = defined({
      id: text(chunk.id) ?? this.#head.id,
      model: text(chunk.model) ?? this.#head.model,
    });
    this.#usage = chunk.usage ?? this.#usage;
    for (const part of list(chunk.choices)) this.#addChoice(part);
  }

  #addChoice(part: Json): void {
    const index = number(part.index) ?? 0;
    if (index < 0 || index >= mostParts) return;
    this.#choices[index] ??= { index, message: { role: "assistant", content: "", tool_calls: [] } };
    const choice = this.#choices[index];
    const delta = object(part.delta);
    choice.finish_reason = part.finish_reason ?? choice.finish_reason;
    choice.message.content = joined(choice.message.content, delta.content);
    if (typeof delta.refusal === "string") {
      choice.message.refusal = joined(choice.message.refusal ?? "", delta.refusal);
    }
    for (const call of list(delta.tool_calls)) addCall(choice.message.tool_calls, call);
  }

  whole(): Json {
    return { ...this.#head, usage: this.#usage, choices: this.#choices.filter(Boolean) };
  }
}

function addCall(calls: ToolCall[], piece: Json): void {
  const index = number(piece.index) ?? calls.length;
  if (index < 0 || index >= mostParts) return;
  calls[index] ??= { function: { name: "", arguments: "" } };
  const call = calls[index];
  const { name, arguments: given } = object(piece.function);
  call.id = piece.id ?? call.id;
  call.function.name = joined(call.function.name, name);
  call.function.arguments = joined(call.function.arguments, given);
}

/** Reads an item of a response's input or output. */
function itemMessage(item: Json): Message {
  switch (item.type) {
    case "function_call":
      return {
        role: "assistant",
        parts: [
          { type: "tool_call", id: item.call_id, name: item.name, arguments: argumentsOf(item.arguments) },
        ],
      };
    case "function_call_output":
      return {
        role: "tool",
        parts: [{ type: "tool_call_response", id: item.call_id, response: item.output }],
      };
    default:
      return { role: text(item.role) ?? "assistant", parts: contentParts(item.content) };
  }
}

export const responses: Shape = {
  provider,
  operation: "chat",
  input({ instructions, input }) {
    const system = typeof instructions === "string" ? [{ role: "system", content: instructions }] : [];
    const items = typeof input === "string" ? [{ role: "user", content: input }] : list(input);
    return [...system, ...items].map(itemMessage);
  },
  answer(response): Answer {
    const usage = object(response.usage);
    const output = list(response.output).map(itemMessage);
    const called = output.some(({ parts }) => parts.some(({ type }) => type === "tool_call"));
    const cut = text(object(response.incomplete_details).reason);
    const reason = cut ?? (called ? "tool_calls" : "stop");
    const parts = output.flatMap((message) => message.parts);
    return defined({
      id: text(response.id),
      model: text(response.model),
      messages: parts.length > 0 ? [{ role: "assistant", parts, finish_reason: reason }] : [],
      finishReasons: parts.length > 0 || cut !== undefined ? [reason] : [],
      inputTokens: number(usage.input_tokens),
      outputTokens: number(usage.output_tokens),
      cacheReadTokens: number(object(usage.input_tokens_details).cached_tokens),
    }) as Answer;
  },
  assembler() {
    let response: Json = {};
    return {
      // The first and the last events carry the response as it is then.
      add(event) {
        if (event.response !== undefined) response = object(event.response);
      },
      whole: () => response,
    };
  },
};
