#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "channels/policy.hpp"
#include "record/stream_key.hpp"

namespace driftlock {

/// A policy, and the streams that it is for: those that match everything that is set. `*` in a pattern stands for any text,
/// and `?` for any byte.
struct PolicyRule {
  std::optional<otlp::Signal> signal{};
  /// Patterns; empty ones match everything.
  std::string tenant{}, service{}, stream{}, metric{};
  Policy policy{};

  bool matches(const StreamKey& key) const;
};

/// The rules in their order: the first that matches a stream decides.
using Policies = std::vector<PolicyRule>;

/// Returns the stream's policy, which keeps the rules alive.
std::shared_ptr<const Policy> policyOf(const std::shared_ptr<const Policies>& policies, const StreamKey& key);

/// Whether a pattern matches the whole text. The work is at most the product of their lengths.
bool matchesPattern(std::string_view pattern, std::string_view text);

}  // namespace driftlock
