/** The spans and events of agents by the semantic conventions for generative AI, v0.1.0. */
import { Span_SpanKind as Kind } from "../../gen/opentelemetry/proto/trace/v1/trace_pb.js";
import type { Attribute } from "../wire.ts";
import type { AgentSpan, ModelCall } from "./conversation.ts";
import type { Agent } from "./model.ts";

export function resourceOf(service: string, instance: string): Attribute[] {
  return [
    ["service.name", service],
    ["service.namespace", "agents"],
    ["service.version", "1.0.0"],
    ["service.instance.id", instance],
    ["deployment.environment.name", "production"],
  ];
}

export function nameOf(span: AgentSpan): string {
  switch (span.kind) {
    case "turn":
      return `invoke_agent ${span.agent.name}`;
    case "model":
      return `chat ${span.agent.model.request}`;
    case "tool":
      return `execute_tool ${span.tool}`;
  }
}

export const kindOf = ({ kind }: AgentSpan): Kind => (kind === "model" ? Kind.CLIENT : Kind.INTERNAL);

/** Returns the message of the status of a span, if it failed. */
export function failureOf(span: AgentSpan): string | undefined {
  if (span.kind === "model" && span.response === undefined) return "429: rate limit reached";
  return span.kind === "tool" && span.result === undefined
    ? "the tool is temporarily unavailable"
    : undefined;
}

/** The attributes of spans of a kind that never change. */
export function fixedAttributes({ kind, agent }: AgentSpan): Attribute[] {
  const { model, prompt } = agent;
  const common: Attribute[] = [["gen_ai.agent.name", agent.name]];
  switch (kind) {
    case "turn":
      return [
        ["gen_ai.operation.name", "invoke_agent"],
        ["gen_ai.provider.name", model.provider],
        ...common,
        ["gen_ai.agent.version", agent.version],
      ];
    case "model":
      return [
        ["gen_ai.operation.name", "chat"],
        ["gen_ai.provider.name", model.provider],
        ["gen_ai.request.model", model.request],
        ...common,
        ["gen_ai.prompt.name", prompt.name],
        ["gen_ai.prompt.version", prompt.version],
        ["gen_ai.request.stream", true],
        ["gen_ai.request.max_tokens", 4096],
        ["server.address", `api.${model.provider}.com`],
        ["server.port", 443],
      ];
    case "tool":
      return [["gen_ai.operation.name", "execute_tool"], ...common, ["gen_ai.tool.type", "function"]];
  }
}

/** The other attributes of a span. Content is JSON, since attributes of spans hold no structures in most SDKs. */
export function attributesOf(span: AgentSpan): Attribute[] {
  const conversation: Attribute = ["gen_ai.conversation.id", span.conversation];
  switch (span.kind) {
    case "turn":
      return [conversation];
    case "model":
      return [
        conversation,
        ...responseAttributes(span),
        ...contentAttributes(span).map(([key, value]): Attribute => [key, JSON.stringify(value)]),
      ];
    case "tool": {
      const { tool, id, given, result } = span;
      return [
        conversation,
        ["gen_ai.tool.name", tool],
        ["gen_ai.tool.call.id", id],
        ["gen_ai.tool.call.arguments", given],
        result === undefined ? ["error.type", "unavailable"] : ["gen_ai.tool.call.result", result],
      ];
    }
  }
}

/** The attributes of the event with the details of a call, whose content is structured. */
export function eventAttributes(call: ModelCall): Attribute[] {
  return [
    ...fixedAttributes(call),
    ["gen_ai.conversation.id", call.conversation],
    ...responseAttributes(call),
    ...contentAttributes(call),
  ];
}

export const eventName = "gen_ai.client.inference.operation.details";

function responseAttributes({ response }: ModelCall): Attribute[] {
  if (response === undefined) return [["error.type", "429"]];
  const { cachedTokens, reasoningTokens } = response;
  return [
    ["gen_ai.response.id", response.id],
    ["gen_ai.response.model", response.model],
    ["gen_ai.response.finish_reasons", [response.finish]],
    ["gen_ai.response.time_to_first_chunk", Number(response.firstChunk.toFixed(6))],
    ["gen_ai.usage.input_tokens", response.inputTokens],
    ...(cachedTokens > 0 ? [["gen_ai.usage.cache_read.input_tokens", cachedTokens] as const] : []),
    ["gen_ai.usage.output_tokens", response.outputTokens],
    ["gen_ai.usage.reasoning.output_tokens", reasoningTokens],
  ];
}

function contentAttributes({ agent, input, response }: ModelCall): Attribute[] {
  return [
    ...instructionsOf(agent),
    ["gen_ai.input.messages", input],
    ...(response === undefined
      ? []
      : [["gen_ai.output.messages", [{ ...response.message, finish_reason: response.finish }]] as const]),
  ];
}

function instructionsOf({ instructions, model }: Agent): Attribute[] {
  return model.instructed === "apart"
    ? [["gen_ai.system_instructions", [{ type: "text", content: instructions }]]]
    : [];
}
