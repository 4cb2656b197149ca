/** Calls of language models as JSON. */
import { z } from "zod";
import { type LlmCall, type LlmTurn, LlmTurnKind } from "../gen/driftlock/v1/llm_pb.js";
import type { Conversation, ConversationSummary } from "../store/index.ts";
import { examples } from "./examples.ts";
import { formatNanos } from "./time.ts";

const count = z.number().int().nonnegative();
const text = (description: string) => z.string().nullable().describe(`${description}; null if it is unknown`);

export const conversationSchema = z
  .object({
    id: z.string().describe("32 hexadecimal digits, which stand for the name"),
    name: z.string().describe("The value of `gen_ai.conversation.id`, or the trace"),
    start: z.string().describe("When its first call began, in RFC 3339"),
    end: z.string().describe("When its latest call ended"),
    services: z.array(z.string()),
    agents: z.array(z.string()),
    models: z.array(z.string()).describe("The models that answered"),
    calls: count.describe("Number of calls of models, and of executions of tools"),
    tool_calls: count,
    failed: count.describe("Number of calls that failed"),
    flagged: count.describe("Number of calls in which something was flagged"),
    input_tokens: count,
    output_tokens: count,
    cost: z.number().nullable().describe("By the prices of `llm.prices`; null if none of its models has one"),
  })
  .meta({ id: "Conversation", description: "A conversation with language models" });

const turnKinds = ["prompt", "response", "tool_call", "tool_result"] as const;

const turnSchema = z.object({
  role: z.string(),
  kind: z.enum(turnKinds),
  text: z
    .string()
    .nullable()
    .describe("The beginning of its text or arguments, as `llm.capture` allows; null if none is kept"),
  size: count.describe("Number of bytes of the whole text"),
  tool: text("The tool that is called or that answers"),
  tool_call_id: text("The id of the tool's call"),
  malformed: z.boolean().describe("Whether the arguments of a tool call are no JSON"),
  refusal: z.boolean().describe("Whether the model declined to answer"),
  privacy_kinds: z.array(z.string()).describe("The kinds of personal and secret values in it"),
  anomaly_ids: z.array(z.string()),
});

const callSchema = z.object({
  id: z.string(),
  trace_id: z.string(),
  span_id: z.string(),
  operation: z.string().describe("Such as `chat` or `execute_tool`"),
  service: text("`service.name`"),
  agent: text("The agent"),
  provider: text("The provider"),
  model: text("The model that was asked for"),
  response_model: text("The model that answered"),
  prompt_version: text("The version of the prompt"),
  start: z.string(),
  end: z.string(),
  seconds_to_first_chunk: z.number().nullable(),
  input_tokens: count.nullable(),
  output_tokens: count.nullable(),
  cached_tokens: count.nullable(),
  cost: z.number().nullable(),
  finish_reasons: z.array(z.string()),
  error: text("Why it failed"),
  turns: z.array(turnSchema).describe("What is new in the conversation with this call"),
  repeated_turns: count.describe("Number of turns that were repeated as its history"),
  turns_left_out: count.describe("Number of new turns beyond the most that are kept"),
  anomaly_ids: z.array(z.string()).describe("The anomalies that flagged the call or its figures"),
});

export const conversationDetailSchema = conversationSchema
  .extend({
    items: z.array(callSchema).describe("The latest calls, in the order of their starts"),
    left_out: count.describe("Number of earlier calls, which are not shown"),
  })
  .meta({
    id: "ConversationDetail",
    description: "A conversation with its calls",
    examples: [{ ...examples.conversation, items: [examples.storedLlmCall], left_out: 0 }],
  });

export type ConversationJson = z.output<typeof conversationSchema>;
export type ConversationDetailJson = z.output<typeof conversationDetailSchema>;
export type LlmCallJson = z.output<typeof callSchema>;
export type LlmTurnJson = z.output<typeof turnSchema>;

export function conversationJson(summary: ConversationSummary): ConversationJson {
  const { id, name, services, agents, models, calls, failed, flagged } = summary;
  return {
    ...{ id, name, start: formatNanos(summary.start), end: formatNanos(summary.end) },
    ...{ services, agents, models, calls, tool_calls: summary.toolCalls, failed, flagged },
    input_tokens: Number(summary.inputTokens),
    output_tokens: Number(summary.outputTokens),
    cost: summary.cost ?? null,
  };
}

export function conversationDetailJson({ summary, calls }: Conversation): ConversationDetailJson {
  const items = calls.map(callJson);
  return { ...conversationJson(summary), items, left_out: Math.max(0, summary.calls - items.length) };
}

const optional = (value: bigint | undefined) => (value === undefined ? null : Number(value));
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const distinct = (values: readonly string[]) => [...new Set(values)];

function callJson(call: LlmCall): LlmCallJson {
  return {
    id: call.id,
    trace_id: hex(call.traceId),
    span_id: hex(call.spanId),
    operation: call.operation,
    service: call.serviceName || null,
    agent: call.agent || null,
    provider: call.provider || null,
    model: call.model || null,
    response_model: call.responseModel || null,
    prompt_version: call.promptVersion || null,
    start: formatNanos(call.startTimeUnixNano),
    end: formatNanos(call.endTimeUnixNano),
    seconds_to_first_chunk: call.secondsToFirstChunk ?? null,
    input_tokens: optional(call.inputTokens),
    output_tokens: optional(call.outputTokens),
    cached_tokens: optional(call.cachedTokens),
    cost: call.cost ?? null,
    finish_reasons: distinct(call.finishReasons),
    error: call.errorType || null,
    turns: call.turns.map(turnJson),
    repeated_turns: call.repeatedTurns,
    turns_left_out: call.turnsLeftOut,
    anomaly_ids: distinct(call.anomalyIds),
  };
}

function turnJson(turn: LlmTurn): LlmTurnJson {
  return {
    role: turn.role,
    kind: turnKinds[turn.kind] ?? turnKinds[LlmTurnKind.PROMPT],
    text: turn.text === "" && turn.size > 0n ? null : turn.text,
    size: Number(turn.size),
    tool: turn.tool || null,
    tool_call_id: turn.toolCallId || null,
    malformed: turn.malformed,
    refusal: turn.refusal,
    privacy_kinds: turn.privacyKinds,
    anomaly_ids: distinct(turn.anomalyIds),
  };
}
