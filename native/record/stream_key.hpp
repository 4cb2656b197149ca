#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "otlp/reader.hpp"

namespace driftlock {

/// Identifies a stream. Its hash hardly ever equals another tenant's, but isolation must not depend on chance.
struct StreamId {
  std::uint64_t hash = 0;
  std::string_view tenant;

  bool operator==(const StreamId&) const = default;
  struct Hash {
    std::size_t operator()(const StreamId& id) const { return static_cast<std::size_t>(id.hash); }
  };
};

/// The properties that identify a stream, constant for its life.
struct StreamKey {
  std::uint64_t hash = 0;
  otlp::Signal signal = otlp::Signal::Logs;
  /// The type of a metric's points.
  otlp::MetricType metricType = otlp::MetricType::None;
  std::string tenant{};
  /// The name for display: "logs service.name=checkout".
  std::string name{};
  /// The value of service.name, if the resource has one.
  std::string service{};
};

}  // namespace driftlock
