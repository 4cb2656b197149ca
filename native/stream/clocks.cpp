#include "stream/clocks.hpp"

#include <algorithm>

#include "cbad/state_bytes.hpp"

namespace driftlock {
namespace {

/// A tenant beyond them that was heard least lately starts anew: its streams are missed a little later.
constexpr std::size_t kMostTenants = 10'000;
constexpr std::uint64_t kSecond = 1'000'000'000;

}  // namespace

bool Clocks::observe(std::string_view tenant, std::uint64_t timeUnixNano, Moment& moment) {
  process_.observe(timeUnixNano);
  CommonClock& clock = find(tenant);
  const std::uint64_t before = clock.moment().now / kSecond;
  clock.observe(timeUnixNano);
  moment = clock.moment();
  return moment.now / kSecond != before;
}

std::vector<std::pair<std::string, Moment>> Clocks::pass(std::uint64_t nanos, const std::vector<std::string>& heard) {
  std::vector<std::pair<std::string, Moment>> moved;
  for (Tenant& tenant : order_) {
    if (std::ranges::find(heard, tenant.name) != heard.end()) continue;
    tenant.clock.pass(nanos);
    moved.emplace_back(tenant.name, tenant.clock.moment());
  }
  if (heard.empty()) process_.pass(nanos);
  return moved;
}

CommonClock& Clocks::find(std::string_view tenant) {
  if (const auto found = tenants_.find(tenant); found != tenants_.end()) {
    order_.splice(order_.begin(), order_, found->second);
    return order_.front().clock;
  }
  if (order_.size() == kMostTenants) {
    tenants_.erase(order_.back().name);
    order_.pop_back();
  }
  order_.emplace_front().name = tenant;
  tenants_[order_.front().name] = order_.begin();
  return order_.front().clock;
}

void Clocks::snapshot(std::vector<std::uint8_t>& out) const {
  StateWriter write(out);
  CommonClock::visit(process_, write);
  write(static_cast<std::uint32_t>(order_.size()));
  for (auto tenant = order_.rbegin(); tenant != order_.rend(); ++tenant) {
    write(tenant->name);
    CommonClock::visit(tenant->clock, write);
  }
}

bool Clocks::restore(Bytes in) {
  StateReader read(in);
  CommonClock::visit(process_, read);
  const auto count = read.get<std::uint32_t>();
  for (std::uint32_t i = 0; i < count && read.ok(); ++i) {
    std::string name;
    read(name);
    if (tenants_.contains(name)) return false;
    CommonClock::visit(find(name), read);
  }
  return read.done();
}

}  // namespace driftlock
