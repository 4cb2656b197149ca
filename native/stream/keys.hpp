#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "otlp/reader.hpp"
#include "otlp/value.hpp"
#include "stream/stream.hpp"

namespace driftlock {

/// Tells the streams of a request's records: tenant, signal, the chosen resource attributes, and for metrics the metric's
/// name and the point's attributes.
class StreamKeys {
 public:
  /// Finds the stream of each record.
  void find(const otlp::Index& index, std::string_view tenant, const std::vector<std::string>& streamBy, const KeyedHash& hash);

  /// By record.
  std::uint64_t hash(std::uint32_t record) const { return hashes_[record]; }
  /// Whole, with the name that people see; made only where a stream is new.
  StreamKey make(const otlp::Index& index, std::uint32_t record, std::string_view tenant,
                 const std::vector<std::string>& streamBy) const;

 private:
  std::vector<std::uint64_t> hashes_;
  /// For each resource, the values of `streamBy` and then of service.name, so that a resource is read once however many of
  /// its records begin streams.
  std::vector<otlp::AnyValue> named_;
  std::size_t namedSize_ = 0;
};

}  // namespace driftlock
