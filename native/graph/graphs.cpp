#include "graph/graphs.hpp"

#include <algorithm>

#include "base/state_bytes.hpp"

namespace driftlock {

void ServiceGraphs::observe(std::string_view tenant, const otlp::Index& index, std::uint64_t unixNanos,
                            std::vector<std::uint8_t>& page) {
  if (unixNanos == 0) return;
  change(find(tenant), [&](Tenant& own) {
    own.graph.advance(tenant, unixNanos, page);
    if (index.signal == otlp::Signal::Traces) own.graph.add(index, instanceBy_);
    own.changes.observe(tenant, index, unixNanos, changeAttributes_, page);
  });
  makeRoom();
}

void ServiceGraphs::observeChanges(std::string_view tenant, const otlp::Index& index, std::uint64_t unixNanos,
                                   const std::vector<std::string>& attributes, std::string_view part,
                                   std::vector<std::uint8_t>& page) {
  if (unixNanos == 0) return;
  change(find(tenant), [&](Tenant& own) { own.changes.observe(tenant, index, unixNanos, attributes, page, part); });
  makeRoom();
}

void ServiceGraphs::pass(std::span<const std::pair<std::string, Moment>> moments, std::vector<std::uint8_t>& page) {
  for (const auto& each : moments) {
    const std::uint64_t front = each.second.front;
    auto* const known = tenants_.find(each.first);
    if (!known || front == 0) continue;
    change(known->value, [&](Tenant& own) { own.graph.advance(each.first, front, page); });
  }
}

ServiceGraphs::Tenant& ServiceGraphs::find(std::string_view tenant) {
  if (auto* known = tenants_.use(tenant)) return known->value;
  if (tenants_.size() == kMostTenants) {
    change(tenants_.oldest().value, [](Tenant& oldest) {
      oldest.graph.reduce(0, 0, 0);
      oldest.changes.reduce(0);
    });
    bytes -= tenants_.oldest().value.graph.memory() + tenants_.oldest().value.changes.memory();
    tenants_.erase(tenants_.oldest().key);
  }
  return tenants_.add(tenant, Tenant(*this, tenant)).value;
}

template <typename Step>
void ServiceGraphs::change(Tenant& tenant, Step&& step) {
  const auto add = [&](std::uint64_t sign) {
    places += sign * tenant.graph.places();
    calls += sign * tenant.graph.calls();
    spans += sign * tenant.graph.spans();
    services += sign * tenant.changes.services();
    bytes += sign * (tenant.graph.memory() + tenant.changes.memory());
    gaveWay += sign * (tenant.graph.gaveWay() + tenant.changes.leftOut());
  };
  const std::uint64_t minus = 0 - std::uint64_t{1};
  add(minus);
  step(tenant);
  add(1);
}

void ServiceGraphs::makeRoom() {
  // An eighth at a time, so that looking for the tenant is worth it.
  const auto reduce = [&](const std::atomic<std::uint64_t>& all, std::size_t most, auto size, auto reduced) {
    while (all > most) {
      Tenant& tenant = std::ranges::max_element(tenants_, {}, [&](const auto& each) { return size(each.value); })->value;
      change(tenant, [&](Tenant& each) { reduced(each, size(each) - (size(each) + 7) / 8); });
    }
  };
  constexpr std::size_t kAll = SIZE_MAX;
  reduce(
      places, kMostPlaces, [](const Tenant& each) { return each.graph.places(); },
      [](Tenant& each, std::size_t left) { each.graph.reduce(left, kAll, kAll); });
  reduce(
      calls, kMostCalls, [](const Tenant& each) { return each.graph.calls(); },
      [](Tenant& each, std::size_t left) { each.graph.reduce(kAll, left, kAll); });
  reduce(
      spans, kMostSpans, [](const Tenant& each) { return each.graph.spans(); },
      [](Tenant& each, std::size_t left) { each.graph.reduce(kAll, kAll, left); });
  reduce(
      services, kMostServices, [](const Tenant& each) { return each.changes.services(); },
      [](Tenant& each, std::size_t left) { each.changes.reduce(left); });
}

void ServiceGraphs::snapshot(std::vector<std::uint8_t>& out) const {
  StateWriter write(out);
  write(static_cast<std::uint32_t>(tenants_.size()));
  for (auto tenant = tenants_.rbegin(); tenant != tenants_.rend(); ++tenant) {
    write(tenant->key);
    putState(out, tenant->value.graph);
    putState(out, tenant->value.changes);
  }
}

bool ServiceGraphs::restore(Bytes in) {
  StateReader read(in);
  const auto count = read.get<std::uint32_t>();
  if (count > kMostTenants) return false;
  for (std::uint32_t i = 0; i < count && read.ok(); ++i) {
    std::string name;
    read(name);
    const Bytes graph = read.getBytes(), changes = read.getBytes();
    if (!read.ok() || tenants_.contains(name)) return false;
    bool sound = false;
    change(tenants_.add(name, Tenant(*this, name)).value,
           [&](Tenant& own) { sound = own.graph.restore(graph) && own.changes.restore(changes); });
    if (!sound) return false;
  }
  makeRoom();
  return read.done();
}

}  // namespace driftlock
