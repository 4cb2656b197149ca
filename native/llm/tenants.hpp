#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.hpp"
#include "base/recency_table.hpp"
#include "llm/calls.hpp"
#include "otlp/reader.hpp"
#include "privacy/policy.hpp"

namespace driftlock::llm {

/// The calls and conversations of all tenants. They are used in the order of requests, by one thread at a time.
class Tenants {
 public:
  /// The most tenants, and bytes of all. Of what is too much, the tenant that has most of it loses its oldest.
  static constexpr std::size_t kMostTenants = 10'000, kMostBytes = 64 << 20;
  /// The most calls of a request that are reported and judged.
  static constexpr std::size_t kMostCompleted = 4096;

  explicit Tenants(const KeyedHash& hash) : hash_(hash) {}

  /// Reads the records of a request that have attributes of language models, and appends what they complete. Returns the number
  /// of calls that are left out because there are too many.
  std::uint32_t observe(std::string_view tenant, const otlp::Index& index, std::vector<Completed>& out);

  /// @param policy masks personal and secret values as it says for what is stored; its rules for services and signals do not
  /// apply
  void snapshot(std::vector<std::uint8_t>& out, const privacy::Policy& policy) const;
  /// Restores fresh tables. Returns false if the bytes are not a snapshot; they are then unusable.
  bool restore(Bytes in);

  // It is read from other threads.
  std::atomic<std::uint64_t> bytes{0};

 private:
  struct Tenant {
    explicit Tenant(const KeyedHash& hash = KeyedHash({})) : calls(hash) {}
    Calls calls;
    std::size_t accounted = 0;
  };

  Tenant& find(std::string_view name);
  void account(Tenant& tenant);
  void makeRoom();

  KeyedHash hash_;
  RecencyTable<std::string, Tenant> tenants_;
};

}  // namespace driftlock::llm
