#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace driftlock::llm {

/// What is kept of the texts of prompts, responses and tool calls.
enum class Capture : std::uint8_t { None, Masked, Full };

/// What a million tokens of the models that match a pattern cost, in the operator's currency.
struct Price {
  std::string model;
  double input = 0, output = 0, cached = 0;
};

/// The settings of the configuration's `llm` section.
struct Options {
  bool enabled = false;
  Capture capture = Capture::Masked;
  /// The first whose pattern matches the model counts.
  std::vector<Price> prices{};
};

}  // namespace driftlock::llm
