#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace driftlock::llm {

/// What an attribute states, under whichever of its names.
enum class Attribute : std::uint8_t {
  None,
  Agent,
  CachedTokens,
  Conversation,
  ErrorType,
  EventName,
  FinishReasons,
  FirstChunk,
  InputMessages,
  InputTokens,
  InputValue,
  InvocationParameters,
  Operation,
  OutputMessages,
  OutputTokens,
  OutputValue,
  PromptVersion,
  Provider,
  RequestModel,
  ResponseId,
  ResponseModel,
  SpanKind,
  SystemInstructions,
  ToolArguments,
  ToolCallId,
  ToolName,
  ToolResult,
};

/// Returns what an attribute states, by its name.
Attribute attributeOf(std::string_view name);

/// The beginning of the names of attributes that have one value of a message each, such as llm.input_messages.0.message.content.
struct FlatMessage {
  std::string_view prefix;
  bool output;
};
/// Returns the beginning of an attribute's name, if it is one of those; otherwise null.
const FlatMessage* flatMessageOf(std::string_view name);

/// The event that has the details of a call.
inline constexpr std::string_view kCallDetails = "gen_ai.client.inference.operation.details";

/// Returns the conventions' name of an operation, such as "chat"; empty if it is neither a call of a model nor of a tool.
std::string_view operationOf(std::string_view name);
/// Returns the conventions' name of a finish reason: "tool_calls" and "tool_use" are "tool_call", "end_turn" is "stop".
std::string_view finishReasonOf(std::string_view name);
/// Returns the name of an error without its module: "<class 'openai.RateLimitError'>" is "RateLimitError".
std::string_view errorTypeOf(std::string_view name);

}  // namespace driftlock::llm
