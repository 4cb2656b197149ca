#include "graph/graphs.hpp"

#include <algorithm>

#include "base/state_bytes.hpp"

namespace driftlock {

void ServiceGraphs::observe(std::string_view tenant, const otlp::Index& index, std::uint64_t unixNanos,
                            std::vector<std::uint8_t>& page) {
  if (unixNanos == 0) return;
  change(find(tenant), [&](ServiceGraph& graph) {
    graph.advance(tenant, unixNanos, page);
    if (index.signal == otlp::Signal::Traces) graph.add(index, instanceBy_);
  });
  makeRoom();
}

void ServiceGraphs::pass(std::span<const std::pair<std::string, Moment>> moments, std::vector<std::uint8_t>& page) {
  for (const auto& [tenant, moment] : moments) {
    auto* const known = tenants_.find(tenant);
    if (!known || moment.event == 0) continue;
    change(known->value, [&](ServiceGraph& graph) { graph.advance(tenant, moment.event, page); });
  }
}

ServiceGraph& ServiceGraphs::find(std::string_view tenant) {
  if (auto* known = tenants_.use(tenant)) return known->value;
  if (tenants_.size() == kMostTenants) {
    change(tenants_.oldest().value, [](ServiceGraph& graph) { graph.reduce(0, 0, 0); });
    tenants_.erase(tenants_.oldest().key);
  }
  return tenants_.add(tenant, ServiceGraph(hash_)).value;
}

template <typename Step>
void ServiceGraphs::change(ServiceGraph& graph, Step&& step) {
  const std::size_t hadPlaces = graph.places(), hadCalls = graph.calls(), hadSpans = graph.spans();
  const std::uint64_t gave = graph.gaveWay();
  step(graph);
  places += graph.places() - hadPlaces;
  calls += graph.calls() - hadCalls;
  spans += graph.spans() - hadSpans;
  gaveWay += graph.gaveWay() - gave;
}

void ServiceGraphs::makeRoom() {
  // An eighth at a time, so that looking for the tenant is worth it.
  const auto reduce = [&](const std::atomic<std::uint64_t>& all, std::size_t most, auto size, auto reduced) {
    while (all > most) {
      ServiceGraph& graph = std::ranges::max_element(tenants_, {}, [&](const auto& each) { return (each.value.*size)(); })->value;
      const std::size_t left = (graph.*size)() - ((graph.*size)() + 7) / 8;
      change(graph, [&](ServiceGraph& each) { reduced(each, left); });
    }
  };
  constexpr std::size_t kAll = SIZE_MAX;
  reduce(places, kMostPlaces, &ServiceGraph::places,
         [](ServiceGraph& graph, std::size_t left) { graph.reduce(left, kAll, kAll); });
  reduce(calls, kMostCalls, &ServiceGraph::calls, [](ServiceGraph& graph, std::size_t left) { graph.reduce(kAll, left, kAll); });
  reduce(spans, kMostSpans, &ServiceGraph::spans, [](ServiceGraph& graph, std::size_t left) { graph.reduce(kAll, kAll, left); });
}

void ServiceGraphs::snapshot(std::vector<std::uint8_t>& out) const {
  StateWriter write(out);
  write(static_cast<std::uint32_t>(tenants_.size()));
  for (auto tenant = tenants_.rbegin(); tenant != tenants_.rend(); ++tenant) {
    write(tenant->key);
    putState(out, tenant->value);
  }
}

bool ServiceGraphs::restore(Bytes in) {
  StateReader read(in);
  const auto count = read.get<std::uint32_t>();
  if (count > kMostTenants) return false;
  for (std::uint32_t i = 0; i < count && read.ok(); ++i) {
    std::string name;
    read(name);
    const Bytes state = read.getBytes();
    if (!read.ok() || tenants_.contains(name)) return false;
    bool sound = false;
    change(tenants_.add(name, ServiceGraph(hash_)).value, [&](ServiceGraph& graph) { sound = graph.restore(state); });
    if (!sound) return false;
  }
  makeRoom();
  gaveWay = 0;
  return read.done();
}

}  // namespace driftlock
