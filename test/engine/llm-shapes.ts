/** Calls of a language model, written as each of five kinds of instrumentation would. */
import type { Signal } from "../../src/otlp/protocol.ts";

interface Message {
  role: "system" | "user" | "assistant" | "tool";
  text?: string;
  tool?: { id: string; name: string; arguments: string };
  result?: string;
}

export interface Call {
  conversation: string;
  /** Seconds since the start. */
  at: number;
  input: Message[];
  output: Message;
  outputTokens: number;
}

export interface Request {
  signal: Signal;
  request: object;
}

type Value = string | number | Value[] | { [key: string]: Value };
type Attributes = Record<string, Value>;

const start = 1_795_926_000;

function anyValue(value: Value): object {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "number") return { intValue: value };
  if (Array.isArray(value)) return { arrayValue: { values: value.map(anyValue) } };
  return { kvlistValue: { values: attributesOf(value) } };
}

const attributesOf = (all: Attributes) =>
  Object.entries(all).map(([key, value]) => ({ key, value: anyValue(value) }));

const resource = { attributes: attributesOf({ "service.name": "shop" }) };
const hex = (text: string, digits: number) =>
  Buffer.from(text.padStart(digits / 2, "0"))
    .toString("hex")
    .slice(-digits);
const idsOf = ({ conversation, at }: Call) => ({
  traceId: hex(conversation, 32),
  spanId: hex(String(at), 16),
});
const nanos = (seconds: number) => `${BigInt(start + seconds) * 1_000_000_000n}`;

const span = (call: Call, attributes: Attributes) => ({
  ...idsOf(call),
  name: "chat gpt",
  kind: 3,
  startTimeUnixNano: nanos(call.at),
  endTimeUnixNano: nanos(call.at + 1),
  attributes: attributesOf(attributes),
});
const spans = (all: object[]): Request => ({
  signal: "traces",
  request: { resourceSpans: [{ resource, scopeSpans: [{ spans: all }] }] },
});
const logs = (all: object[]): Request => ({
  signal: "logs",
  request: { resourceLogs: [{ resource, scopeLogs: [{ logRecords: all }] }] },
});

const figures = ({ conversation, output, outputTokens }: Call): Attributes => ({
  "gen_ai.operation.name": "chat",
  "gen_ai.provider.name": "openai",
  "gen_ai.request.model": "gpt",
  "gen_ai.response.model": "gpt-1",
  "gen_ai.agent.name": "clerk",
  "gen_ai.conversation.id": conversation,
  "gen_ai.usage.input_tokens": 100,
  "gen_ai.usage.output_tokens": outputTokens,
  "gen_ai.response.finish_reasons": [output.tool ? "tool_call" : "stop"],
});

const withParts =
  (asText: boolean) =>
  (message: Message): Attributes => ({
    role: message.role,
    parts: [
      message.tool !== undefined
        ? {
            type: "tool_call",
            id: message.tool.id,
            name: message.tool.name,
            arguments: asText ? message.tool.arguments : (JSON.parse(message.tool.arguments) as Attributes),
          }
        : message.result !== undefined
          ? { type: "tool_call_response", id: "c", response: message.result }
          : { type: "text", content: message.text! },
    ],
  });

const toolCalls = ({ tool }: Message): Attributes =>
  tool === undefined
    ? {}
    : {
        tool_calls: [
          { id: tool.id, type: "function", function: { name: tool.name, arguments: tool.arguments } },
        ],
      };

function flat(message: Message, prefix: string, { inner, tool, named }: Record<string, string>): Attributes {
  const key = (name: string) => `${prefix}${inner}${name}`;
  const content = message.text ?? message.result;
  return {
    [key("role")]: message.role,
    ...(content !== undefined && { [key("content")]: content }),
    ...(message.tool !== undefined && {
      [key(`tool_calls.0.${tool}id`)]: message.tool.id,
      [key(`tool_calls.0.${tool}${named}name`)]: message.tool.name,
      [key(`tool_calls.0.${tool}${named}arguments`)]: message.tool.arguments,
    }),
  };
}

const event = (call: Call, seconds: number, body: Attributes, name: string, attributes: Attributes = {}) => ({
  ...idsOf(call),
  timeUnixNano: nanos(seconds),
  severityNumber: 9,
  eventName: name,
  body: anyValue(body),
  attributes: attributesOf({ "gen_ai.system": "openai", ...attributes }),
});

/** The requests that each instrumentation sends of calls. */
export const shapes: Readonly<Record<string, (calls: readonly Call[]) => Request[]>> = {
  "events of one message": (calls) => [
    logs(
      calls.flatMap((call) => [
        ...call.input.map((message) =>
          event(
            call,
            call.at,
            {
              ...(message.text !== undefined && { content: message.text }),
              ...(message.result !== undefined && { content: message.result, id: "c" }),
              ...toolCalls(message),
            },
            `gen_ai.${message.role}.message`,
          ),
        ),
        event(
          call,
          call.at + 1,
          {
            index: 0,
            finish_reason: "stop",
            message: {
              ...(call.output.text !== undefined && { content: call.output.text }),
              ...toolCalls(call.output),
            },
          },
          "gen_ai.choice",
        ),
      ]),
    ),
    spans(calls.map((call) => span(call, figures(call)))),
  ],
  AnyValues: (calls) => [
    logs(
      calls.map((call) =>
        event(call, call.at + 1, {}, "gen_ai.client.inference.operation.details", {
          ...figures(call),
          "gen_ai.input.messages": call.input.map(withParts(false)),
          "gen_ai.output.messages": [withParts(false)(call.output)],
        }),
      ),
    ),
    spans(calls.map((call) => span(call, figures(call)))),
  ],
  JSON: (calls) => [
    spans(
      calls.map((call) =>
        span(call, {
          ...figures(call),
          "gen_ai.input.messages": JSON.stringify(call.input.map(withParts(true)), undefined, 1),
          "gen_ai.output.messages": JSON.stringify([withParts(false)(call.output)]),
        }),
      ),
    ),
  ],
  OpenInference: (calls) => [
    spans(
      calls.map((call) => {
        const form = { inner: "message.", tool: "tool_call.", named: "function." };
        return span(call, {
          "openinference.span.kind": "LLM",
          "llm.system": "openai",
          "llm.model_name": "gpt-1",
          "llm.invocation_parameters": '{"model": "gpt"}',
          "agent.name": "clerk",
          "session.id": call.conversation,
          "llm.token_count.prompt": 100,
          "llm.token_count.completion": call.outputTokens,
          "llm.finish_reason": call.output.tool ? "tool_calls" : "stop",
          ...Object.assign({}, ...call.input.map((each, i) => flat(each, `llm.input_messages.${i}.`, form))),
          ...flat(call.output, "llm.output_messages.0.", form),
        });
      }),
    ),
  ],
  OpenLLMetry: (calls) => [
    spans(
      calls.map((call) => {
        const form = { inner: "", tool: "", named: "" };
        return span(call, {
          "llm.request.type": "chat",
          "gen_ai.system": "openai",
          "gen_ai.request.model": "gpt",
          "gen_ai.response.model": "gpt-1",
          "traceloop.workflow.name": "clerk",
          "traceloop.association.properties.session_id": call.conversation,
          "gen_ai.usage.prompt_tokens": 100,
          "gen_ai.usage.completion_tokens": call.outputTokens,
          "gen_ai.completion.0.finish_reason": call.output.tool ? "tool_calls" : "stop",
          ...Object.assign({}, ...call.input.map((each, i) => flat(each, `gen_ai.prompt.${i}.`, form))),
          ...flat(call.output, "gen_ai.completion.0.", form),
        });
      }),
    ),
  ],
};

/** A conversation about an item, in which a tool is called some times before the answer. */
export function conversation(number: number, answer: string, lookups = 1): Call[] {
  const calls: Call[] = [];
  const input: Message[] = [
    { role: "system", text: "You are the clerk of a shop. Be brief." },
    { role: "user", text: `What does item ${number} cost, and when does it ship?` },
  ];
  const next = (output: Message) => {
    calls.push({
      conversation: `conversation-${number}`,
      at: number * 60 + calls.length,
      input: [...input],
      output,
      outputTokens: 20 + ((number * 7) % 11),
    });
    input.push(output);
  };
  for (let i = 0; i < lookups; i++) {
    next({
      role: "assistant",
      tool: { id: `c-${number}-${i}`, name: "lookup", arguments: `{"item":${number}}` },
    });
    input.push({ role: "tool", result: `{"price":${(number * 13) % 90},"days":${1 + (number % 5)}}` });
  }
  next({ role: "assistant", text: answer });
  return calls;
}
