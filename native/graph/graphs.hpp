#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/common_clock.hpp"
#include "base/hash.hpp"
#include "base/recency_table.hpp"
#include "graph/changes.hpp"
#include "graph/service_graph.hpp"

namespace driftlock {

/// The service graphs and changes of all tenants. They are used in the order of requests, by one thread at a time.
class ServiceGraphs {
 public:
  /// The most tenants with a graph, and what all have together. Of what is too much, the tenant that has most of it loses its
  /// least recently used.
  static constexpr std::size_t kMostTenants = 10'000;
  static constexpr std::size_t kMostPlaces = 65'536, kMostCalls = 131'072, kMostSpans = 262'144, kMostServices = 16'384;

  ServiceGraphs(const KeyedHash& hash, std::vector<std::string> instanceBy, std::vector<std::string> changeAttributes,
                std::shared_ptr<const privacy::Policy> policy)
      : hash_(hash),
        instanceBy_(std::move(instanceBy)),
        changeAttributes_(std::move(changeAttributes)),
        policy_(std::move(policy)) {}

  /// Notes new values of other attributes of a request's resources: see Changes::observe.
  void observeChanges(std::string_view tenant, const otlp::Index& index, std::uint64_t unixNanos,
                      const std::vector<std::string>& attributes, std::string_view part, std::vector<std::uint8_t>& page);
  /// Adds a request of the tenant at this event time, and appends what is complete by then to the fields of an EvidencePage.
  void observe(std::string_view tenant, const otlp::Index& index, std::uint64_t unixNanos, std::vector<std::uint8_t>& page);
  /// Lets time pass for tenants.
  void pass(std::span<const std::pair<std::string, Moment>> moments, std::vector<std::uint8_t>& page);

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Restores fresh graphs. Returns false if the bytes are not a snapshot of them; they are then unusable.
  bool restore(Bytes in);

  // These are read from other threads.
  std::atomic<std::uint64_t> places{0}, calls{0}, spans{0}, services{0}, gaveWay{0}, bytes{0};

 private:
  struct Tenant {
    Tenant(const ServiceGraphs& all, std::string_view name)
        : graph(all.hash_, all.policy_, name), changes(all.hash_, all.policy_, name) {}

    ServiceGraph graph;
    Changes changes;
  };

  Tenant& find(std::string_view tenant);
  /// Runs a step on what a tenant has, and counts what that changes.
  template <typename Step>
  void change(Tenant& tenant, Step&& step);
  void makeRoom();

  KeyedHash hash_;
  std::vector<std::string> instanceBy_, changeAttributes_;
  std::shared_ptr<const privacy::Policy> policy_;
  RecencyTable<std::string, Tenant> tenants_;
};

}  // namespace driftlock
