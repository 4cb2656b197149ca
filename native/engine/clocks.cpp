#include "engine/clocks.hpp"

#include <string_view>
#include <unordered_set>

#include "base/state_bytes.hpp"

namespace driftlock {
namespace {

/// The most tenants with a clock. Beyond it, the least recently active tenant's clock is reset, so its silent streams
/// are noticed a little later.
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
  const std::unordered_set<std::string_view> active(heard.begin(), heard.end());
  for (auto& [name, clock] : tenants_) {
    if (active.contains(name)) continue;
    clock.pass(nanos);
    moved.emplace_back(name, clock.moment());
  }
  if (heard.empty()) process_.pass(nanos);
  return moved;
}

void Clocks::interrupt() {
  process_.interrupt();
  for (auto& [name, clock] : tenants_) clock.interrupt();
}

CommonClock& Clocks::find(std::string_view tenant) {
  if (auto* known = tenants_.use(tenant)) return known->value;
  if (tenants_.size() == kMostTenants) tenants_.erase(tenants_.oldest().key);
  return tenants_.add(tenant).value;
}

void Clocks::snapshot(std::vector<std::uint8_t>& out) const {
  StateWriter write(out);
  CommonClock::visit(process_, write);
  write(static_cast<std::uint32_t>(tenants_.size()));
  for (auto tenant = tenants_.rbegin(); tenant != tenants_.rend(); ++tenant) {
    write(tenant->key);
    CommonClock::visit(tenant->value, write);
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
