#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "otlp/reader.hpp"

namespace driftlock {

/// Tells streams apart. The hash alone hardly ever meets another tenant's, but that must not depend on chance.
struct StreamId {
  std::uint64_t hash = 0;
  std::string_view tenant;

  bool operator==(const StreamId&) const = default;
  struct Hash {
    std::size_t operator()(const StreamId& id) const { return static_cast<std::size_t>(id.hash); }
  };
};

/// What makes a stream; constant for its life.
struct StreamKey {
  std::uint64_t hash = 0;
  otlp::Signal signal = otlp::Signal::Logs;
  /// Of metrics: the type of its points, whether they accumulate, and whether they only rise.
  otlp::MetricType metricType = otlp::MetricType::None;
  bool cumulative = false, monotonic = false;
  std::string tenant{};
  /// As shown to people: "logs service.name=checkout".
  std::string name{};
  /// Value of service.name, where the resource has one.
  std::string service{};
};

}  // namespace driftlock
