#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "llm/calls.hpp"
#include "llm/options.hpp"
#include "otlp/reader.hpp"
#include "privacy/policy.hpp"

namespace driftlock::llm {

/// The ids of the anomalies that flagged each turn of a call, and behind them of those that flagged the call itself.
using FlaggedBy = std::vector<std::vector<std::string>>;

/// Encodes a driftlock.v1.LlmPage.
std::vector<std::uint8_t> encodeCalls(std::span<const Completed> calls, std::span<const FlaggedBy> anomalies,
                                      std::uint32_t leftOut, std::string_view tenant, otlp::Signal signal, const Options& options,
                                      const privacy::Policy& policy, std::size_t mostBytes);

}  // namespace driftlock::llm
