#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "otlp/reader.hpp"
#include "otlp/value.hpp"
#include "stream/settings.hpp"
#include "stream/stream.hpp"

namespace driftlock {

/// Finds the streams of a request's records, which are identified by tenant, signal, resource group, the chosen resource
/// attributes, and for metrics the metric's name and the point's attributes.
///
/// The resource group is named by the first of the attributes `groupBy` that the resource has, or else by the values of
/// `streamBy`. All streams of a group have the same shard.
class StreamKeys {
 public:
  /// Finds the stream of each record.
  void find(const otlp::Index& index, std::string_view tenant, const Settings& settings, const KeyedHash& hash);

  /// The hash of a record's stream.
  std::uint64_t hash(std::uint32_t record) const { return hashes_[record]; }
  /// Makes the whole key of a record's stream, with the name that people see. This is done only for new streams.
  StreamKey make(const otlp::Index& index, std::uint32_t record, std::string_view tenant, const Settings& settings) const;

 private:
  /// The resource group of a resource: its hash, and which attribute of `groupBy` names it (their number if none does).
  struct Grouped {
    std::uint64_t hash = 0;
    std::size_t by = 0;
  };

  std::vector<std::uint64_t> hashes_;
  /// The values of `streamBy`, of service.name and of `groupBy` for each resource, so that a resource is read once
  /// however many of its records begin streams.
  std::vector<otlp::AnyValue> named_;
  std::size_t namedSize_ = 0;
  std::vector<Grouped> groups_;
};

}  // namespace driftlock
