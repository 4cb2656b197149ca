#include "stream/quota.hpp"

#include <algorithm>
#include <iterator>

#include "cbad/state_bytes.hpp"
#include "stream/fields.hpp"

namespace driftlock {
namespace {

constexpr std::uint64_t kIdleNanos = 3'600'000'000'000;
constexpr std::size_t kMostTenants = 10'000;

}  // namespace

std::uint32_t Quota::admit(const otlp::Index& index, const StreamKeys& keys, std::string_view tenantName,
                           std::vector<std::uint8_t>& refused) {
  refused.clear();
  if (perTenant_ == 0 || index.records.empty()) return 0;
  Tenant& tenant = find(tenantName);
  thread_local RecordView first;
  readFields(index, index.records.front(), first);
  tenant.clock.observe(first.timeUnixNano);

  std::uint32_t count = 0;
  std::uint64_t last = 0;
  bool admitted = false;
  for (std::uint32_t i = 0; i < index.records.size(); ++i) {
    // Records of a stream come together.
    if (const std::uint64_t hash = keys.hash(i); i == 0 || hash != last) {
      admitted = admit(tenant, hash);
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
  if (const auto found = tenants_.find(name); found != tenants_.end()) {
    order_.splice(order_.begin(), order_, found->second);
  } else {
    order_.emplace_front().name = name;
    tenants_[order_.front().name] = order_.begin();
  }
  return order_.front();
}

bool Quota::admit(Tenant& tenant, std::uint64_t hash) {
  const std::uint64_t now = tenant.clock.now();
  auto& [name, clock, order, places] = tenant;
  if (const auto found = places.find(hash); found != places.end()) {
    order.splice(order.begin(), order, found->second);
    order.front().usedAt = now;
    return true;
  }
  if (order.size() < perTenant_) {
    order.push_front({hash, now});
    ++places_;
  } else {
    if (now - order.back().usedAt <= kIdleNanos) return false;
    places.erase(order.back().hash);
    order.back() = {hash, now};
    order.splice(order.begin(), order, std::prev(order.end()));
  }
  places[hash] = order.begin();
  return true;
}

void Quota::makeRoom() {
  while (order_.size() > 1 && (order_.size() > kMostTenants || places_ > inAll_)) {
    places_ -= order_.back().order.size();
    tenants_.erase(order_.back().name);
    order_.pop_back();
  }
}

void Quota::snapshot(std::vector<std::uint8_t>& out) const {
  StateWriter write(out);
  write(static_cast<std::uint32_t>(order_.size()));
  for (auto tenant = order_.rbegin(); tenant != order_.rend(); ++tenant) {
    write(tenant->name);
    StreamClock::visit(tenant->clock, write);
    write(static_cast<std::uint32_t>(tenant->order.size()));
    for (auto place = tenant->order.rbegin(); place != tenant->order.rend(); ++place) write(place->hash), write(place->usedAt);
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
    const auto count = read.get<std::uint32_t>();
    if (!read.ok()) return false;
    // Without a limit nothing is kept, and what was is of no use.
    Tenant* tenant = perTenant_ == 0 ? nullptr : &find(name);
    if (tenant) tenant->clock = clock;
    for (std::uint32_t k = 0; k < count && read.ok(); ++k) {
      const Place place{read.get<std::uint64_t>(), read.get<std::uint64_t>()};
      if (!tenant || count - k > perTenant_) continue;
      if (tenant->places.contains(place.hash) || place.usedAt > clock.now()) return false;
      tenant->order.push_front(place);
      tenant->places[place.hash] = tenant->order.begin();
      ++places_;
    }
    makeRoom();
  }
  return read.done();
}

}  // namespace driftlock
