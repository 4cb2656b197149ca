#include "engine/active_groups.hpp"

#include <algorithm>

#include "base/state_bytes.hpp"

namespace driftlock {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kDay = 86'400 * kSecond;
/// Nothing of a group is judged before it has been heard for so long, unless its records are many.
constexpr std::uint64_t kLearning = 300 * kSecond;
constexpr std::size_t kMostTenants = 10'000;

}  // namespace

bool ActiveGroups::Heard::counts() const { return last - first >= kLearning; }

void ActiveGroups::Tenant::forget() {
  active -= groups.oldest().value.counts();
  groups.erase(groups.oldest().key);
}

std::uint32_t ActiveGroups::hear(std::string_view name, const StreamKeys& keys, std::uint64_t timeUnixNano) {
  Tenant& tenant = find(name);
  tenant.clock.observe(timeUnixNano);
  const std::uint64_t now = tenant.clock.now();
  for (const StreamKeys::Group& group : keys.groups()) {
    auto* known = tenant.groups.use(group.hash);
    if (!known) {
      known = &tenant.groups.add(group.hash, {.first = now, .last = now});
      ++groups_;
    }
    Heard& heard = known->value;
    const bool counted = heard.counts();
    heard.last = now;
    tenant.active += heard.counts() - counted;
  }
  while (!tenant.groups.empty() && now - tenant.groups.oldest().value.last > kDay) {
    tenant.forget();
    --groups_;
  }
  makeRoom();
  return std::max(1u, tenant.active);
}

ActiveGroups::Tenant& ActiveGroups::find(std::string_view name) {
  auto* known = tenants_.use(name);
  return known ? known->value : tenants_.add(name).value;
}

void ActiveGroups::makeRoom() {
  while (tenants_.size() > 1 && (tenants_.size() > kMostTenants || groups_ > most_)) {
    groups_ -= tenants_.oldest().value.groups.size();
    tenants_.erase(tenants_.oldest().key);
  }
  for (; groups_ > most_; --groups_) tenants_.oldest().value.forget();
}

void ActiveGroups::snapshot(std::vector<std::uint8_t>& out) const {
  StateWriter write(out);
  write(static_cast<std::uint32_t>(tenants_.size()));
  for (auto tenant = tenants_.rbegin(); tenant != tenants_.rend(); ++tenant) {
    write(tenant->key);
    StreamClock::visit(tenant->value.clock, write);
    write(static_cast<std::uint32_t>(tenant->value.groups.size()));
    for (auto group = tenant->value.groups.rbegin(); group != tenant->value.groups.rend(); ++group) {
      write(group->key), write(group->value.first), write(group->value.last);
    }
  }
}

bool ActiveGroups::restore(Bytes in) {
  StateReader read(in);
  const auto tenants = read.get<std::uint32_t>();
  for (std::uint32_t i = 0; i < tenants && read.ok(); ++i) {
    std::string name;
    read(name);
    if (tenants_.contains(name)) return false;
    Tenant& tenant = find(name);
    StreamClock::visit(tenant.clock, read);
    const auto count = read.get<std::uint32_t>();
    for (std::uint32_t k = 0; k < count && read.ok(); ++k) {
      const auto hash = read.get<std::uint64_t>();
      Heard heard;
      read(heard.first), read(heard.last);
      if (tenant.groups.contains(hash) || heard.last < heard.first || heard.last > tenant.clock.now()) return false;
      tenant.groups.add(hash, heard);
      tenant.active += heard.counts();
      ++groups_;
    }
    makeRoom();
  }
  return read.done();
}

}  // namespace driftlock
