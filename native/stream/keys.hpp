#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "otlp/reader.hpp"
#include "otlp/value.hpp"
#include "stream/settings.hpp"
#include "stream/stream.hpp"

namespace driftlock {

/// Finds the streams of a request's records, which are identified by tenant, signal, resource group, the chosen resource
/// attributes, and for metrics the metric's name, the point's attributes and the instance.
///
/// The resource group is named by the first of the attributes `groupBy` that the resource has, or else by the values of
/// `streamBy`. All streams of a group have the same shard.
///
/// The instance is named by the first of the attributes `instanceBy` that the resource has, unless that identifies the stream
/// anyway. Streams that differ by nothing else are replicas, which are one family. Points of several instances are several
/// series: their totals, for example, have nothing to do with each other. Logs and spans of all instances are one stream.
class StreamKeys {
 public:
  /// The resource group of a resource: its hash, and which attribute of `groupBy` names it (their number if none does). The
  /// same of its instance.
  struct Group {
    std::uint64_t hash = 0;
    std::size_t by = 0;
    std::uint64_t instance = 0;
    std::size_t instanceBy = 0;
  };

  /// Finds the stream of each record.
  /// @param also the names of resource attributes that tell streams of derived records apart beside those of the settings: the
  /// first names an agent, whose streams are a group of their own, and the last what the records are. They must outlive the keys.
  void find(const otlp::Index& index, std::string_view tenant, const Settings& settings, const KeyedHash& hash,
            std::span<const std::string_view> also = {});

  /// The groups of the request's resources, in their order.
  std::span<const Group> groups() const { return groups_; }
  /// The hash of a record's stream.
  std::uint64_t hash(std::uint32_t record) const { return hashes_[record]; }
  /// The hash of the family that the record's stream is in; that of the stream if no instance is named.
  std::uint64_t family(std::uint32_t record) const { return families_.empty() ? hashes_[record] : families_[record]; }
  /// Makes the whole key of a record's stream, with the name that people see. This is done only for new streams.
  StreamKey make(const otlp::Index& index, std::uint32_t record, std::string_view tenant, const Settings& settings) const;

 private:
  std::vector<std::uint64_t> hashes_;
  /// Empty if no resource names an instance.
  std::vector<std::uint64_t> families_;
  /// The values of `streamBy`, of service.name, of `groupBy`, of `instanceBy` and of `also` for each resource, so that a resource
  /// is read once however many of its records begin streams.
  std::vector<otlp::AnyValue> named_;
  std::size_t namedSize_ = 0;
  std::span<const std::string_view> also_;
  std::vector<Group> groups_;
};

}  // namespace driftlock
