#include "llm/tenants.hpp"

#include <algorithm>
#include <utility>

#include "base/state_bytes.hpp"
#include "llm/read.hpp"
#include "otlp/views.hpp"
#include "record/identity.hpp"

namespace driftlock::llm {
namespace {

std::string serviceOf(const otlp::Index& index, const otlp::Resource& resource) {
  std::string service;
  for (const otlp::KeyValue& attribute : otlp::readResource(index, resource).attributes) {
    if (textOf(attribute.key) != "service.name") continue;
    appendName(attribute.value, service);
    break;
  }
  return service;
}

}  // namespace

std::uint32_t Tenants::observe(std::string_view tenant, const otlp::Index& index, std::vector<Completed>& out) {
  if (index.llm.empty()) return 0;
  Tenant* own = nullptr;
  std::uint32_t leftOut = 0, resource = otlp::kNone;
  std::string service;
  for (const std::uint32_t record : index.llm) {
    std::optional<Reading> reading = readCall(index, record, hash_);
    if (!reading) continue;
    if (!own) own = &find(tenant);
    if (const std::uint32_t each = index.scopeOf(index.records[record]).resource; each != resource) {
      resource = each;
      service = serviceOf(index, index.resources[resource]);
    }
    const std::size_t before = out.size();
    own->calls.add(std::move(*reading), service, record, out);
    if (out.size() > kMostCompleted) leftOut += static_cast<std::uint32_t>(out.size() - before), out.resize(before);
  }
  if (own) {
    account(*own);
    makeRoom();
  }
  return leftOut;
}

Tenants::Tenant& Tenants::find(std::string_view name) {
  if (auto* known = tenants_.use(name)) return known->value;
  if (tenants_.size() == kMostTenants) {
    bytes -= tenants_.oldest().value.accounted;
    tenants_.erase(tenants_.oldest().key);
  }
  return tenants_.add(name, Tenant(hash_)).value;
}

void Tenants::account(Tenant& tenant) {
  const std::size_t now = sizeof tenant + tenant.calls.memory();
  bytes += now - std::exchange(tenant.accounted, now);
}

void Tenants::makeRoom() {
  while (bytes > kMostBytes) {
    auto& largest = *std::ranges::max_element(tenants_, {}, [](const auto& each) { return each.value.accounted; });
    const std::size_t before = largest.value.accounted;
    largest.value.calls.reduce();
    account(largest.value);
    // What is left of it takes no less.
    if (largest.value.accounted < before) continue;
    bytes -= before;
    tenants_.erase(largest.key);
  }
}

void Tenants::snapshot(std::vector<std::uint8_t>& out, const privacy::Policy& policy) const {
  StateWriter write(out);
  write(static_cast<std::uint32_t>(tenants_.size()));
  for (auto tenant = tenants_.rbegin(); tenant != tenants_.rend(); ++tenant) {
    write(tenant->key);
    std::vector<std::uint8_t> calls;
    tenant->value.calls.snapshot(calls, {policy, privacy::Place::Stored, {.tenant = tenant->key}});
    putBytes(out, calls);
  }
}

bool Tenants::restore(Bytes in) {
  StateReader read(in);
  const auto count = read.get<std::uint32_t>();
  if (count > kMostTenants) return false;
  for (std::uint32_t i = 0; i < count && read.ok(); ++i) {
    std::string name;
    read(name);
    const Bytes calls = read.getBytes();
    if (!read.ok() || tenants_.contains(name)) return false;
    Tenant& tenant = tenants_.add(name, Tenant(hash_)).value;
    if (!tenant.calls.restore(calls)) return false;
    account(tenant);
  }
  makeRoom();
  return read.done();
}

}  // namespace driftlock::llm
