#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "llm/calls.hpp"
#include "llm/options.hpp"
#include "otlp/reader.hpp"
#include "record/stream_key.hpp"

namespace driftlock::llm {

/// The attributes of derived records that tell the streams of one service apart.
inline constexpr std::array<std::string_view, 3> kStreamAttributes = {"gen_ai.agent.name", "gen_ai.request.model",
                                                                      kTurnAttribute};
/// The attributes whose new values are changes of an agent. They are never destroyed, because a process may exit while threads
/// judge.
inline const std::vector<std::string>& kChangeAttributes =
    *new std::vector<std::string>{"gen_ai.request.model", "gen_ai.response.model", "gen_ai.prompt.version"};

/// What is judged of calls: records like any other, of streams by service, agent, model and kind of turn.
struct Derived {
  /// What a derived record is about.
  struct Origin {
    /// The record of the request that stands for the call, and the call's place among the completed ones.
    std::uint32_t record = 0, call = 0;
    /// The place among the call's turns; kNone for the call itself.
    std::uint32_t turn = otlp::kNone;
  };
  /// A request of logs whose records are in the order of `origins`.
  std::vector<std::uint8_t> request;
  std::vector<Origin> origins;
};

/// @param resourceAttributes the attributes of resources that name streams and groups
Derived derive(const otlp::Index& index, const std::vector<Completed>& calls, const std::vector<std::string>& resourceAttributes,
               const std::vector<Price>& prices);

/// What a call costs; nothing if its model has no price or its tokens are unknown.
std::optional<double> costOf(const Call& call, const std::vector<Price>& prices);

}  // namespace driftlock::llm
