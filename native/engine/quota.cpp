#include "engine/quota.hpp"

#include <algorithm>

#include "base/state_bytes.hpp"
#include "record/record.hpp"

namespace driftlock {
namespace {

constexpr std::uint64_t kIdleNanos = 3'600'000'000'000, kIdleInstanceNanos = 600'000'000'000;
constexpr std::size_t kMostTenants = 10'000;

}  // namespace

std::uint32_t Quota::admit(const otlp::Index& index, const StreamKeys& keys, std::string_view tenantName, std::uint64_t received,
                           std::vector<std::uint8_t>& refused) {
  refused.clear();
  if (perTenant_ == 0 || index.records.empty()) return 0;
  Tenant& tenant = find(tenantName);
  thread_local RecordView first;
  readFields(index, index.records.front(), first);
  first.date(received);
  tenant.clock.observe(first.timeUnixNano);

  std::uint32_t count = 0;
  std::uint64_t last = 0;
  bool admitted = false;
  for (std::uint32_t i = 0; i < index.records.size(); ++i) {
    // The records of a stream usually follow each other.
    if (const std::uint64_t hash = keys.hash(i); i == 0 || hash != last) {
      admitted = admit(tenant, hash, keys.family(i) != hash);
      last = hash;
    }
    if (admitted) continue;
    if (refused.empty()) refused.resize(index.records.size());
    refused[i] = 1;
    ++count;
  }
  makeRoom();
  return count;
}

Quota::Tenant& Quota::find(std::string_view name) {
  auto* known = tenants_.use(name);
  return known ? known->value : tenants_.add(name).value;
}

bool Quota::admit(Tenant& tenant, std::uint64_t hash, bool instance) {
  const std::uint64_t now = tenant.clock.now();
  auto& places = instance ? tenant.instances : tenant.others;
  if (auto* known = places.use(hash)) {
    known->value = now;
    return true;
  }
  const auto release = [now](auto& from, std::uint64_t idle) {
    return !from.empty() && now - from.oldest().value > idle && from.erase(from.oldest().key);
  };
  if (tenant.places() < perTenant_) {
    ++places_;
  } else if (!release(tenant.instances, kIdleInstanceNanos) && !release(tenant.others, kIdleNanos)) {
    return false;
  }
  places.add(hash, now);
  return true;
}

void Quota::makeRoom() {
  while (tenants_.size() > 1 && (tenants_.size() > kMostTenants || places_ > inAll_)) {
    places_ -= tenants_.oldest().value.places();
    tenants_.erase(tenants_.oldest().key);
  }
}

void Quota::snapshot(std::vector<std::uint8_t>& out) const {
  StateWriter write(out);
  write(static_cast<std::uint32_t>(tenants_.size()));
  for (auto entry = tenants_.rbegin(); entry != tenants_.rend(); ++entry) {
    const Tenant& tenant = entry->value;
    write(entry->key);
    StreamClock::visit(tenant.clock, write);
    for (const auto* places : {&tenant.others, &tenant.instances}) {
      write(static_cast<std::uint32_t>(places->size()));
      for (auto place = places->rbegin(); place != places->rend(); ++place) write(place->key), write(place->value);
    }
  }
}

bool Quota::restore(Bytes in) {
  StateReader read(in);
  const auto tenants = read.get<std::uint32_t>();
  for (std::uint32_t i = 0; i < tenants && read.ok(); ++i) {
    std::string name;
    read(name);
    if (tenants_.contains(name)) return false;
    StreamClock clock;
    StreamClock::visit(clock, read);
    if (!read.ok()) return false;
    // Without a limit nothing is kept, and what was restored is ignored.
    Tenant* tenant = perTenant_ == 0 ? nullptr : &find(name);
    if (tenant) tenant->clock = clock;
    for (const auto part : {&Tenant::others, &Tenant::instances}) {
      const std::size_t room = tenant ? perTenant_ - tenant->places() : 0;
      const auto count = read.get<std::uint32_t>();
      for (std::uint32_t k = 0; k < count && read.ok(); ++k) {
        const auto hash = read.get<std::uint64_t>(), usedAt = read.get<std::uint64_t>();
        if (count - k > room) continue;
        auto& places = tenant->*part;
        if (places.contains(hash) || usedAt > clock.now()) return false;
        places.add(hash, usedAt);
        ++places_;
      }
    }
    makeRoom();
  }
  return read.done();
}

}  // namespace driftlock
