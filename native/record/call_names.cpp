#include "record/call_names.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace driftlock::llm {
namespace {

using enum Attribute;
using Alias = std::pair<std::string_view, Attribute>;

/// All names, old and new, of the semantic conventions, OpenInference and OpenLLMetry (Traceloop), sorted.
constexpr std::array kAliases = std::to_array<Alias>({
    {"agent.name", Agent},
    {"anthropic.message.stop_reason", FinishReasons},
    {"embedding.model_name", ResponseModel},
    {"error.type", ErrorType},
    {"event.name", EventName},
    {"gen_ai.agent.name", Agent},
    {"gen_ai.client.operation.time_to_first_chunk", FirstChunk},
    {"gen_ai.completion", OutputMessages},
    {"gen_ai.conversation.id", Conversation},
    {"gen_ai.input.messages", InputMessages},
    {"gen_ai.operation.name", Operation},
    {"gen_ai.output.messages", OutputMessages},
    {"gen_ai.prompt", InputMessages},
    {"gen_ai.prompt.version", PromptVersion},
    {"gen_ai.provider.name", Provider},
    {"gen_ai.request.model", RequestModel},
    {"gen_ai.response.finish_reason", FinishReasons},
    {"gen_ai.response.finish_reasons", FinishReasons},
    {"gen_ai.response.id", ResponseId},
    {"gen_ai.response.model", ResponseModel},
    {"gen_ai.response.time_to_first_chunk", FirstChunk},
    {"gen_ai.server.time_to_first_token", FirstChunk},
    {"gen_ai.system", Provider},
    {"gen_ai.system_instructions", SystemInstructions},
    {"gen_ai.tool.call.arguments", ToolArguments},
    {"gen_ai.tool.call.id", ToolCallId},
    {"gen_ai.tool.call.result", ToolResult},
    {"gen_ai.tool.name", ToolName},
    {"gen_ai.usage.cache_read.input_tokens", CachedTokens},
    {"gen_ai.usage.cache_read_input_tokens", CachedTokens},
    {"gen_ai.usage.completion_tokens", OutputTokens},
    {"gen_ai.usage.input_tokens", InputTokens},
    {"gen_ai.usage.output_tokens", OutputTokens},
    {"gen_ai.usage.prompt_tokens", InputTokens},
    {"gen_ai.workflow.name", Agent},
    {"input.value", InputValue},
    {"llm.finish_reason", FinishReasons},
    {"llm.invocation_parameters", InvocationParameters},
    {"llm.model_name", ResponseModel},
    {"llm.prompt_template.version", PromptVersion},
    {"llm.provider", Provider},
    {"llm.request.model", RequestModel},
    {"llm.request.type", Operation},
    {"llm.response.finish_reason", FinishReasons},
    {"llm.response.model", ResponseModel},
    {"llm.response.stop_reason", FinishReasons},
    {"llm.system", Provider},
    {"llm.token_count.completion", OutputTokens},
    {"llm.token_count.prompt", InputTokens},
    {"llm.token_count.prompt_details.cache_read", CachedTokens},
    {"llm.usage.cache_read_input_tokens", CachedTokens},
    {"llm.usage.completion_tokens", OutputTokens},
    {"llm.usage.prompt_tokens", InputTokens},
    {"openinference.span.kind", SpanKind},
    {"output.value", OutputValue},
    {"session.id", Conversation},
    {"tool.name", ToolName},
    {"tool.parameters", ToolArguments},
    {"tool_call.function.arguments", ToolArguments},
    {"tool_call.id", ToolCallId},
    {"traceloop.association.properties.conversation_id", Conversation},
    {"traceloop.association.properties.session_id", Conversation},
    {"traceloop.association.properties.thread_id", Conversation},
    {"traceloop.entity.input", InputValue},
    {"traceloop.entity.name", ToolName},
    {"traceloop.entity.output", OutputValue},
    {"traceloop.prompt.version", PromptVersion},
    {"traceloop.span.kind", SpanKind},
    {"traceloop.workflow.name", Agent},
});
static_assert(std::ranges::is_sorted(kAliases, {}, &Alias::first));

}  // namespace

Attribute attributeOf(std::string_view name) {
  const auto found = std::ranges::lower_bound(kAliases, name, {}, &Alias::first);
  return found != kAliases.end() && found->first == name ? found->second : None;
}

const FlatMessage* flatMessageOf(std::string_view name) {
  static constexpr std::array kFlat = std::to_array<FlatMessage>({
      {"llm.input_messages.", false},
      {"llm.output_messages.", true},
      {"gen_ai.prompt.", false},
      {"gen_ai.completion.", true},
      {"llm.prompts.", false},
      {"llm.completions.", true},
  });
  const auto found = std::ranges::find_if(kFlat, [&](const FlatMessage& each) {
    // The number of the message follows; "gen_ai.prompt.version" is no message.
    const std::size_t at = each.prefix.size();
    return name.starts_with(each.prefix) && at < name.size() && name[at] >= '0' && name[at] <= '9';
  });
  return found == kFlat.end() ? nullptr : &*found;
}

std::string_view operationOf(std::string_view name) {
  constexpr std::array kNames = std::to_array<std::pair<std::string_view, std::string_view>>({
      {"EMBEDDING", "embeddings"},
      {"LLM", "chat"},
      {"TOOL", "execute_tool"},
      {"chat", "chat"},
      {"completion", "text_completion"},
      {"embedding", "embeddings"},
      {"embeddings", "embeddings"},
      {"execute_tool", "execute_tool"},
      {"generate_content", "generate_content"},
      {"text_completion", "text_completion"},
      {"tool", "execute_tool"},
  });
  const auto found = std::ranges::find(kNames, name, &std::pair<std::string_view, std::string_view>::first);
  return found == kNames.end() ? std::string_view() : found->second;
}

std::string_view finishReasonOf(std::string_view name) {
  if (name == "tool_calls" || name == "tool_use" || name == "function_call") return "tool_call";
  if (name == "end_turn" || name == "stop_sequence" || name == "STOP" || name == "completed") return "stop";
  if (name == "max_tokens" || name == "MAX_TOKENS" || name == "max_output_tokens") return "length";
  if (name == "SAFETY" || name == "content_filtered" || name == "guardrail_intervened") return "content_filter";
  return name;
}

std::string_view errorTypeOf(std::string_view name) {
  if (name.starts_with("<class '") && name.ends_with("'>")) name = name.substr(8, name.size() - 10);
  return name.substr(name.rfind('.') + 1);
}

}  // namespace driftlock::llm
