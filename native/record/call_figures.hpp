#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

#include "base/bytes.hpp"

namespace driftlock {

/// What is known of each call of a language model, as an attribute of a derived record.
struct CallFigure {
  /// The attribute. Its value is a number, or "yes" or "no" if it has no unit.
  std::string_view key;
  /// What people read.
  std::string_view name;
  std::string_view unit{};
  /// The number of steps per unit that are told apart.
  double scale = 1;

  bool isNumber() const { return !unit.empty(); }
};

namespace figure {
enum Figure : std::size_t {
  kInputTokens,
  kOutputTokens,
  kCost,
  kFirstChunk,
  kResponseSize,
  kCallsInConversation,
  kSameToolCalls,
  kFailed,
  kRefused,
  kBrokenOff,
  kMalformed,
  kUnusualPath,
  kLatin,
  kCyrillic,
  kEastAsian,
  kArabic,
  kOtherScript,
  kJson,
  kCode,
  kMarkup,
  kMarkdown,
};
}

inline constexpr std::array<CallFigure, 21> kCallFigures = {{
    {"llm.input_tokens", "Input tokens of a call", "{token}"},
    {"llm.output_tokens", "Output tokens of a call", "{token}"},
    {"llm.cost", "The cost of a call", "{cost}", 1e6},
    {"llm.time_to_first_chunk", "The time to the first chunk", "s", 1e3},
    {"llm.response_size", "The size of a response", "By"},
    {"llm.calls_in_conversation", "Calls so far in a conversation", "{call}"},
    {"llm.same_tool_calls", "Calls of one tool with the same arguments in a conversation", "{call}"},
    {"llm.failed", "Calls of the model that failed"},
    {"llm.refused", "Answers that refuse or are filtered"},
    {"llm.broken_off", "Answers that break off"},
    {"llm.malformed", "Calls with malformed arguments of tools"},
    {"llm.unusual_path", "Calls of tools on unusual paths"},
    {"llm.script.latin", "Answers in Latin script"},
    {"llm.script.cyrillic", "Answers in Cyrillic script"},
    {"llm.script.east_asian", "Answers in East Asian scripts"},
    {"llm.script.arabic", "Answers in Arabic script"},
    {"llm.script.other", "Answers in other scripts"},
    {"llm.format.json", "Answers in JSON"},
    {"llm.format.code", "Answers with code"},
    {"llm.format.markup", "Answers in a markup language"},
    {"llm.format.markdown", "Answers in Markdown"},
}};

/// The place of the figure that an attribute has.
inline std::optional<std::size_t> callFigureOf(Bytes key) {
  for (std::size_t i = 0; i < kCallFigures.size(); ++i) {
    if (textOf(key) == kCallFigures[i].key) return i;
  }
  return {};
}

/// The attribute of a step that states what its path of tools costs, in bits.
inline constexpr std::string_view kPathBits = "llm.path_bits";

}  // namespace driftlock
