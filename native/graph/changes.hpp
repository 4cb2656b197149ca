#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/hash.hpp"
#include "base/slot_table.hpp"
#include "otlp/reader.hpp"
#include "otlp/value.hpp"
#include "privacy/policy.hpp"

namespace driftlock {

/// Values of identifying resource attributes that are new for their services, such as another version, in one tenant.
///
/// The first values of a service are no changes, nor are those that it has had within a day: during a rolling update both come by
/// turns, and replicas may differ.
class Changes {
 public:
  /// The most services of a tenant, and values of one of them. The least recently used gives way.
  static constexpr std::size_t kMostServices = 1024, kMostValues = 32;
  /// How long a service must have been known until a new value is a change, and how long values are remembered, in nanoseconds.
  static constexpr std::uint64_t kYoung = 600'000'000'000, kRemembered = 86'400'000'000'000;
  /// The most changes of a request that are told.
  static constexpr std::size_t kMostTold = 64;

  /// @param policy masks the values of this tenant; never null
  Changes(const KeyedHash& hash, std::shared_ptr<const privacy::Policy> policy, std::string_view tenant)
      : hash_(hash), policy_(std::move(policy)), tenant_(tenant) {}

  /// Looks at the resources of a request at this event time. Appends driftlock.v1.Change messages to `page`, as fields of an
  /// EvidencePage.
  /// @param part the attribute that names a part of the service, such as an agent, whose values are its own; a part's first value
  /// of an attribute is no change. Empty for the values of whole services.
  void observe(std::string_view tenant, const otlp::Index& index, std::uint64_t unixNanos,
               const std::vector<std::string>& attributes, std::vector<std::uint8_t>& page, std::string_view part = {});

  std::size_t services() const { return services_.size(); }
  /// The memory used beyond the object itself, in bytes.
  std::size_t memory() const { return services_.memory() + inValues_; }
  /// The number of services and values that gave way while they were remembered, and of changes that were not told.
  std::uint64_t leftOut() const { return leftOut_; }
  /// Lets the least recently used services give way until at most so many are left.
  void reduce(std::size_t services);

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Returns false if the bytes are not a snapshot; the object is then unusable.
  bool restore(Bytes in);

 private:
  struct Value {
    /// Hashes of the attribute's name and of both.
    std::uint64_t attribute = 0, hash = 0;
    /// When it was heard last.
    std::uint64_t heard = 0;
    std::string text;
  };
  struct Service {
    /// When it was heard first.
    std::uint64_t since = 0;
    std::vector<Value> values;

    template <class Self, class Visitor>
    static void visit(Self& self, Visitor& v);
    bool sound(std::size_t) const { return values.size() <= kMostValues; }
    std::size_t memory() const;
  };

  Service& serviceOf(const otlp::AnyValue& name, std::uint64_t part, std::uint64_t unixNanos);
  /// Notes a value. Returns true if it is a change, with the latest value before it.
  bool note(Service& service, std::uint64_t attribute, const otlp::AnyValue& value, std::uint64_t unixNanos, std::string& text,
            std::string& previous);

  /// Returns a value as people read it; the elements of an array, such as the tags of an image, one after the other.
  std::string textOf(const otlp::AnyValue& value) const;

  KeyedHash hash_;
  std::shared_ptr<const privacy::Policy> policy_;
  std::string tenant_;
  std::uint64_t leftOut_ = 0;
  /// The memory of all services' values.
  std::size_t inValues_ = 0;
  SlotTable<Service> services_;
};

}  // namespace driftlock
