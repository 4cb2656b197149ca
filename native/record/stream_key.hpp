#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "otlp/reader.hpp"
#include "privacy/policy.hpp"

namespace driftlock {

/// The number of shards of an engine, whatever its threads: limits hold per shard, so verdicts do not depend on the threads.
inline constexpr std::uint32_t kShardCount = 16;
/// The bits of a hash that determine its shard.
inline constexpr unsigned kShardShift = 32;
inline constexpr std::uint32_t shardOf(std::uint64_t hash) {
  return static_cast<std::uint32_t>(hash >> kShardShift) & (kShardCount - 1);
}
/// Returns the hash of a stream, moved to the shard of its resource group.
inline constexpr std::uint64_t inShardOf(std::uint64_t group, std::uint64_t stream) {
  constexpr std::uint64_t kBits = std::uint64_t{kShardCount - 1} << kShardShift;
  return (stream & ~kBits) | (group & kBits);
}

/// Identifies a stream. Its hash hardly ever equals another tenant's, but isolation must not depend on chance.
struct StreamId {
  std::uint64_t hash = 0;
  std::string_view tenant;

  bool operator==(const StreamId&) const = default;
  struct Hash {
    std::size_t operator()(const StreamId& id) const { return static_cast<std::size_t>(id.hash); }
  };
};

/// What the records of a stream are that the engine derives itself from the calls of language models.
enum class Derived : std::uint8_t {
  /// Nothing: they are as they were received.
  None,
  /// What a model is given to read, and what it says or gives to tools.
  Heard,
  Said,
  /// The tools of an agent in their order.
  Steps,
  /// The calls with their figures.
  Calls,
};

/// The attribute of derived resources that names what their records are.
inline constexpr std::string_view kTurnAttribute = "llm.turn";
inline constexpr Derived derivedOf(std::string_view turn) {
  if (turn == "call") return Derived::Calls;
  if (turn == "step") return Derived::Steps;
  return turn == "response" || turn == "tool_call" ? Derived::Said : Derived::Heard;
}

/// The properties that identify a stream, constant for its life.
struct StreamKey {
  std::uint64_t hash = 0;
  /// The hash of what the stream shares with its replicas: all but the instance. It is `hash` if no instance is named.
  std::uint64_t family = 0;
  /// The hash of the resource group. All three share the bits that determine the shard.
  std::uint64_t group = 0;
  otlp::Signal signal = otlp::Signal::Logs;
  /// The type of a metric's points.
  otlp::MetricType metricType = otlp::MetricType::None;
  Derived derived = Derived::None;
  std::string tenant{};
  /// The name for display: "logs service.name=checkout".
  std::string name{};
  /// The value of service.name, if the resource has one.
  std::string service{};
  /// The name of the metric, if the stream is of one.
  std::string metric{};
  /// The resource group for display: "service.name=checkout".
  std::string groupName{};
  /// The instance for display: "service.instance.id=checkout-1"; empty if none is named. The name of the stream leaves it out.
  std::string instance{};

  /// Where its texts come from, for privacy policies.
  privacy::Scope scope() const { return {tenant, static_cast<std::uint8_t>(signal), service, name}; }
};

}  // namespace driftlock
