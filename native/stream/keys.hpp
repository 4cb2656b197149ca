#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "otlp/reader.hpp"
#include "otlp/value.hpp"
#include "stream/stream.hpp"

namespace driftlock {

/// Finds the streams of a request's records, which are identified by tenant, signal, the chosen resource attributes,
/// and for metrics the metric's name and the point's attributes.
class StreamKeys {
 public:
  /// Finds the stream of each record.
  void find(const otlp::Index& index, std::string_view tenant, const std::vector<std::string>& streamBy, const KeyedHash& hash);

  /// The hash of a record's stream.
  std::uint64_t hash(std::uint32_t record) const { return hashes_[record]; }
  /// Makes the whole key of a record's stream, with the name that people see. This is done only for new streams.
  StreamKey make(const otlp::Index& index, std::uint32_t record, std::string_view tenant,
                 const std::vector<std::string>& streamBy) const;

 private:
  std::vector<std::uint64_t> hashes_;
  /// The values of `streamBy` and then of service.name for each resource, so that a resource is read once however many
  /// of its records begin streams.
  std::vector<otlp::AnyValue> named_;
  std::size_t namedSize_ = 0;
};

}  // namespace driftlock
