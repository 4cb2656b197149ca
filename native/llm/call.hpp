#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace driftlock::llm {

/// The most bytes of a text that are kept and judged; its hash and size are of all of it.
inline constexpr std::size_t kMaxText = 16 << 10;
/// The most bytes of a name, such as that of a model or tool, and of an identifier.
inline constexpr std::size_t kMaxName = 128;
/// The most messages of one call that are kept, the latest; what comes before is history. And the most parts of one.
inline constexpr std::size_t kMaxMessages = 1024, kMaxParts = 64;

enum class Role : std::uint8_t { System, User, Assistant, Tool };

/// What a part of a message is, as driftlock.v1.LlmTurnKind numbers it.
enum class Kind : std::uint8_t { Prompt, Response, ToolCall, ToolResult };

/// One part of a message.
struct Part {
  Kind kind = Kind::Prompt;
  bool malformed = false, refusal = false;
  /// The beginning of what it says, or of a tool call's arguments as compact JSON.
  std::string text{};
  /// The hash and the bytes of all of it.
  std::uint64_t hash = 0, size = 0;
  std::string tool{}, toolCallId{};
};

struct Message {
  Role role = Role::User;
  std::vector<Part> parts{};
};

/// What one record says about a call of a model, or about the execution of a tool.
struct Call {
  std::string conversation, agent, provider, requestModel, responseModel, responseId, operation, errorType, promptVersion;
  /// The name of the instrumentation.
  std::string scope;
  std::uint64_t start = 0, end = 0;
  std::optional<std::uint64_t> inputTokens, outputTokens, cachedTokens;
  std::optional<double> secondsToFirstChunk;
  std::vector<std::string> finishReasons;
  std::vector<Message> input, output;
  /// A hash of the messages before those of `input` that are kept; 0 if all are.
  std::uint64_t before = 0;
  std::size_t dropped = 0;

  const std::string& model() const { return requestModel.empty() ? responseModel : requestModel; }
  bool failed() const { return !errorType.empty(); }
};

}  // namespace driftlock::llm
