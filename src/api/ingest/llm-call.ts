/**
 * Converts a call of a language model, as plain JSON, to spans by the semantic conventions for generative AI:
 * https://github.com/open-telemetry/semantic-conventions-genai
 */
import { randomBytes } from "node:crypto";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { z } from "zod";
import { ExportTraceServiceRequestSchema } from "../../gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import {
  type ResourceSpansSchema,
  Span_SpanKind as SpanKind,
  type SpanSchema,
  Status_StatusCode as StatusCode,
} from "../../gen/opentelemetry/proto/trace/v1/trace_pb.js";
import { examples } from "../../json/examples.ts";
import { exactNumber, parseJson } from "../../otlp/json-numbers.ts";
import { time } from "../query.ts";
import { validate } from "../validation.ts";
import {
  InvalidItem,
  type ItemBatch,
  type KeyValue,
  keyValues,
  resourceAttributes,
  timeOf,
} from "./values.ts";

const name = z.string().min(1).max(256);
const seconds = z.number().min(0).max(86_400);
const tokens = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const attributes = z.record(name, z.unknown());
const spanId = z.string().regex(/^[0-9a-fA-F]{16}$/, "must be 16 hexadecimal digits");

const requestedTool = z.strictObject({
  id: name.optional(),
  name,
  arguments: z.unknown().optional().describe("Text, or any JSON"),
});

const prompt = z
  .union([
    z.string(),
    z.strictObject({
      role: z.enum(["system", "user", "assistant", "tool"]).optional().describe("`user` if it is not set"),
      content: z.string().nullish(),
      tool_calls: z.array(requestedTool).max(256).optional().describe("What an assistant called"),
      tool_call_id: name.optional().describe("The call that a message of a tool answers"),
    }),
  ])
  .describe("Text, or a message");

const response = z
  .union([
    z.string(),
    z.strictObject({
      content: z.string().nullish(),
      finish_reason: name.optional().describe("Such as `stop`, `length` or `content_filter`"),
    }),
  ])
  .describe("Text, or a message of the assistant");

const toolCall = requestedTool.extend({
  result: z.unknown().optional().describe("What the tool returned, as text or any JSON"),
  error: name.optional().describe("Why the tool failed, such as `timeout`"),
  duration: seconds.optional().describe("Seconds"),
});

export const callSchema = z
  .strictObject({
    service: name.optional().describe("`service.name` of the resource"),
    resource: attributes
      .optional()
      .describe("What the call comes from; `service` goes before `service.name`"),
    attributes: attributes.optional().describe("Attributes of the call's span"),
    timestamp: time.optional().describe("When the call began, in RFC 3339; by default when it is received"),
    duration: seconds.optional().describe("Seconds"),
    time_to_first_chunk: seconds.optional().describe("Seconds"),
    operation: name.optional().describe("`chat` if it is not set"),
    conversation: name.optional().describe("What calls of one conversation have in common"),
    agent: name.optional(),
    provider: name.optional().describe("Such as `openai`"),
    model: name.optional().describe("The model that was asked for"),
    response_model: name.optional().describe("The model that answered"),
    response_id: name.optional(),
    prompt_version: name.optional(),
    prompts: z
      .array(prompt)
      .max(2_000)
      .optional()
      .describe("The messages that the model received, with the history of the conversation or without it"),
    responses: z.array(response).max(128).optional(),
    tool_calls: z
      .array(toolCall)
      .max(256)
      .optional()
      .describe("The tools that the model called; those with a result, an error or a duration were executed"),
    usage: z
      .strictObject({
        input_tokens: tokens.optional(),
        output_tokens: tokens.optional(),
        cached_tokens: tokens.optional().describe("Input tokens that came from a cache"),
        reasoning_tokens: tokens.optional().describe("Output tokens of reasoning"),
      })
      .optional(),
    error: name.optional().describe("Why the call failed, such as `429`"),
    trace_id: z
      .string()
      .regex(/^[0-9a-fA-F]{32}$/, "must be 32 hexadecimal digits")
      .optional(),
    span_id: spanId.optional(),
    parent_span_id: spanId.optional(),
  })
  .meta({ id: "LlmCall", description: "A call of a language model", examples: [examples.llmCall] });

type Call = z.output<typeof callSchema>;
type Prompt = Exclude<z.output<typeof prompt>, string>;
type Span = MessageInitShape<typeof SpanSchema>;

/** Members whose numbers keep all their digits. The others are checked by the schema, which expects plain numbers. */
const exactMembers = new Set(["resource", "attributes", "arguments", "result"]);

/** Converts numbers that were kept as digits to plain ones wherever the schema checks them. */
function withPlainNumbers(value: unknown): unknown {
  const digits = exactNumber(value);
  if (digits !== undefined) return Number(digits);
  if (typeof value !== "object" || value === null) return value;
  const members = value as Record<string, unknown>;
  for (const key of Object.keys(members)) {
    if (!exactMembers.has(key)) members[key] = withPlainNumbers(members[key]);
  }
  return value;
}

const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

/** Returns JSON in which numbers have all the digits that were sent. */
function jsonOf(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => {
    if (typeof each !== "string") return each;
    const digits = exactNumber(each);
    return digits === undefined ? each.toWellFormed() : rawJSON(digits);
  });
}

const isText = (value: unknown): value is string =>
  typeof value === "string" && exactNumber(value) === undefined;

/** Returns arguments or a result as text: text as it is, anything else as JSON. */
function textOf(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  return isText(value) ? value.toWellFormed() : jsonOf(value);
}

/** Returns the arguments of a tool as a value. Models write them as text, which need not be JSON. */
function argumentsOf(value: unknown): unknown {
  if (!isText(value)) return value;
  try {
    return parseJson(Buffer.from(value));
  } catch {
    return value;
  }
}

type Part = Record<string, unknown>;

const textPart = (content: string): Part => ({ type: "text", content });

function toolPart({ id, name: tool, arguments: given }: z.output<typeof requestedTool>): Part {
  return { type: "tool_call", ...(id !== undefined && { id }), name: tool, arguments: argumentsOf(given) };
}

function inputMessage(message: Prompt): Record<string, unknown> {
  const { role = "user", content, tool_calls = [], tool_call_id } = message;
  if (role === "tool") {
    const id = tool_call_id === undefined ? {} : { id: tool_call_id };
    return { role, parts: [{ type: "tool_call_response", ...id, response: content ?? "" }] };
  }
  return { role, parts: [...(content ? [textPart(content)] : []), ...tool_calls.map(toolPart)] };
}

function inputMessages(prompts: NonNullable<Call["prompts"]>): unknown[] {
  return prompts.map((each, i) => {
    const message = typeof each === "string" ? { content: each } : each;
    if (message.tool_calls !== undefined && message.role !== "assistant")
      throw new InvalidItem(`/prompts/${i}/tool_calls`, 'is only for messages with the role "assistant"');
    if (message.tool_call_id !== undefined && message.role !== "tool")
      throw new InvalidItem(`/prompts/${i}/tool_call_id`, 'is only for messages with the role "tool"');
    return inputMessage(message);
  });
}

/** The messages of the answer; the tools are called in the first of them. */
function outputMessages({ responses = [], tool_calls = [] }: Call): unknown[] {
  const messages = responses.length > 0 || tool_calls.length === 0 ? responses : [""];
  return messages.map((each, i) => {
    const { content, finish_reason } =
      typeof each === "string" ? { content: each, finish_reason: undefined } : each;
    const tools = i === 0 ? tool_calls.map(toolPart) : [];
    return {
      role: "assistant",
      parts: [...(content ? [textPart(content)] : []), ...tools],
      ...(finish_reason !== undefined && { finish_reason }),
    };
  });
}

/** Returns attributes without those that are not set. */
function stated(
  members: Readonly<Record<string, string | number | readonly string[] | undefined>>,
): KeyValue[] {
  return keyValues(
    Object.fromEntries(
      Object.entries(members).filter(
        ([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0),
      ),
    ),
    "",
  );
}

const json = (messages: readonly unknown[]) => (messages.length === 0 ? undefined : jsonOf(messages));

function callAttributes(call: Call, operation: string): KeyValue[] {
  const { prompts = [], responses = [], usage = {} } = call;
  const reasons = responses.flatMap((each) =>
    typeof each === "string" || each.finish_reason === undefined ? [] : [each.finish_reason],
  );
  return [
    ...stated({
      "gen_ai.operation.name": operation,
      "gen_ai.provider.name": call.provider,
      "gen_ai.request.model": call.model,
      "gen_ai.response.model": call.response_model,
      "gen_ai.response.id": call.response_id,
      "gen_ai.prompt.version": call.prompt_version,
      "gen_ai.response.finish_reasons": reasons,
      "gen_ai.usage.input_tokens": usage.input_tokens,
      "gen_ai.usage.output_tokens": usage.output_tokens,
      "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
      "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
      "gen_ai.response.time_to_first_chunk": call.time_to_first_chunk,
      "gen_ai.input.messages": json(inputMessages(prompts)),
      "gen_ai.output.messages": json(outputMessages(call)),
      "error.type": call.error,
    }),
    ...keyValues(call.attributes ?? {}, "/attributes"),
  ];
}

const nanosOf = (duration: number) => BigInt(Math.round(duration * 1e9));
const failed = (error: string | undefined) =>
  error === undefined ? {} : { status: { code: StatusCode.ERROR, message: error.toWellFormed() } };

/** Returns the span of the call, if the model took part, and one of each tool that was executed. @throws {InvalidItem} */
function spansOf(call: Call, receivedNanos: bigint): Span[] {
  const { prompts, responses, operation = "chat", duration = 0, error } = call;
  // Each part of a call refers to a tool call by its id.
  const tools = (call.tool_calls ?? []).map((each) => ({
    ...each,
    id: each.id ?? `call_${randomBytes(12).toString("hex")}`,
  }));
  if (prompts === undefined && responses === undefined && tools.length === 0)
    throw new InvalidItem("", "has none of prompts, responses and tool_calls");
  const traceId = call.trace_id === undefined ? randomBytes(16) : Buffer.from(call.trace_id, "hex");
  const id = call.span_id === undefined ? randomBytes(8) : Buffer.from(call.span_id, "hex");
  const parent = Buffer.from(call.parent_span_id ?? "", "hex");
  const start = call.timestamp === undefined ? receivedNanos - nanosOf(duration) : timeOf(call.timestamp);
  const common = stated({ "gen_ai.conversation.id": call.conversation, "gen_ai.agent.name": call.agent });
  const spans: Span[] = [];
  const ofModel = prompts !== undefined || responses !== undefined;
  if (ofModel) {
    spans.push({
      traceId,
      spanId: id,
      parentSpanId: parent,
      name: [operation, call.model ?? call.response_model].filter(Boolean).join(" ").toWellFormed(),
      kind: SpanKind.CLIENT,
      startTimeUnixNano: start,
      endTimeUnixNano: start + nanosOf(duration),
      attributes: [...callAttributes({ ...call, tool_calls: tools }, operation), ...common],
      ...failed(error),
    });
  }
  let at = ofModel ? start + nanosOf(duration) : start;
  for (const [i, tool] of tools.entries()) {
    const executed = tool.result !== undefined || tool.error !== undefined || tool.duration !== undefined;
    if (ofModel && !executed) continue;
    const end = at + nanosOf(tool.duration ?? 0);
    spans.push({
      traceId,
      spanId: !ofModel && i === 0 ? id : randomBytes(8),
      parentSpanId: ofModel ? id : parent,
      name: `execute_tool ${tool.name}`.toWellFormed(),
      kind: SpanKind.INTERNAL,
      startTimeUnixNano: at,
      endTimeUnixNano: end,
      attributes: [
        ...stated({
          "gen_ai.operation.name": "execute_tool",
          "gen_ai.tool.name": tool.name,
          "gen_ai.tool.call.id": tool.id,
          "gen_ai.tool.call.arguments": textOf(tool.arguments),
          "gen_ai.tool.call.result": textOf(tool.result),
          "error.type": tool.error,
        }),
        ...common,
        ...(ofModel ? [] : keyValues(call.attributes ?? {}, "/attributes")),
      ],
      ...failed(tool.error),
    });
    at = end;
  }
  return spans;
}

type ResourceSpans = MessageInitShape<typeof ResourceSpansSchema> & {
  scopeSpans: [{ scope: { name: string }; spans: Span[] }];
};

/** Groups the spans of calls by resource, in the order in which the calls arrived. */
export class CallBatch implements ItemBatch {
  readonly #receivedNanos: bigint;
  readonly #resources = new Map<string, ResourceSpans>();

  constructor(receivedNanos: bigint) {
    this.#receivedNanos = receivedNanos;
  }

  add(value: unknown): void {
    const valid = validate(callSchema, withPlainNumbers(value));
    // The schema omits a member named "__proto__", which is a key like any other.
    const { attributes: own, resource } = value as Call;
    const call = { ...valid, attributes: own, resource };
    const about = resourceAttributes(call);
    const spans = spansOf(call, this.#receivedNanos);
    const key = JSON.stringify([call.service, call.resource]);
    const known = this.#resources.get(key);
    if (known !== undefined) known.scopeSpans[0].spans.push(...spans);
    else
      this.#resources.set(key, {
        resource: { attributes: about },
        scopeSpans: [{ scope: { name: "driftlock.llm" }, spans }],
      });
  }

  encode(): Uint8Array {
    const request = create(ExportTraceServiceRequestSchema, { resourceSpans: [...this.#resources.values()] });
    return toBinary(ExportTraceServiceRequestSchema, request);
  }
}
