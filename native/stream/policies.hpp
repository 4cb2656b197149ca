#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/pattern.hpp"
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

}  // namespace driftlock
