#include "graph/changes.hpp"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "base/timed_id.hpp"
#include "base/work.hpp"
#include "otlp/views.hpp"
#include "otlp/writer.hpp"
#include "record/identity.hpp"
#include "text/readable.hpp"

namespace driftlock {
namespace {

std::uint64_t hashOf(const otlp::AnyValue& value, std::uint64_t seed, const KeyedHash& hash) {
  return hash(value.bytes, hash(value.bits, seed + static_cast<std::uint64_t>(value.type)));
}

}  // namespace

template <class Self, class Visitor>
void Changes::Service::visit(Self& self, Visitor& v) {
  v(self.since);
  auto count = static_cast<std::uint8_t>(self.values.size());
  v(count);
  if constexpr (!std::is_const_v<Self>) self.values.resize(std::min<std::size_t>(count, kMostValues + 1));
  for (auto& each : self.values) v(each.attribute), v(each.hash), v(each.heard), v(each.text);
}

std::size_t Changes::Service::memory() const {
  std::size_t bytes = values.capacity() * sizeof(Value);
  for (const Value& each : values) bytes += heapOf(each.text);
  return bytes;
}

void Changes::observe(std::string_view tenant, const otlp::Index& index, std::uint64_t unixNanos,
                      const std::vector<std::string>& attributes, std::vector<std::uint8_t>& page, std::string_view part) {
  std::size_t told = 0;
  std::vector<std::pair<std::size_t, otlp::AnyValue>> found;
  for (const otlp::Resource& resource : index.resources) {
    otlp::AnyValue name, partName;
    found.clear();
    for (const otlp::KeyValue& attribute : otlp::readResource(index, resource).attributes) {
      const std::string_view key = driftlock::textOf(attribute.key);
      if (name.type == otlp::AnyValue::Type::None && key == "service.name") name = attribute.value;
      if (!part.empty() && key == part) partName = attribute.value;
      for (std::size_t i = 0; i < attributes.size(); ++i) {
        if (key.size() != attributes[i].size()) continue;
        countWork(key.size());
        if (key == attributes[i] && isName(attribute.value)) found.emplace_back(i, attribute.value);
      }
    }
    if (!isName(name)) continue;
    const std::uint64_t ofPart = part.empty() ? 0 : hashOf(partName, hash_(bytesOf(part)), hash_);
    Service& service = serviceOf(name, ofPart, unixNanos);
    for (const auto& [number, value] : found) {
      std::string text, previous;
      const std::uint64_t attribute = hash_(bytesOf(attributes[number]));
      if (!note(service, attribute, value, unixNanos, text, previous) || (!part.empty() && previous.empty())) continue;
      if (++told > kMostTold) {
        ++leftOut_;
        continue;
      }
      const std::uint64_t origin = hash_(bytesOf(tenant), hashOf(name, hashOf(value, attribute + ofPart, hash_), hash_));
      std::vector<std::uint8_t> out;
      otlp::Writer write(out);
      write.string(1, timedId(unixNanos, origin, hash_(unixNanos, origin)));
      write.string(2, tenant);
      write.fixed(3, unixNanos);
      write.string(4, textOf(name));
      write.string(5, attributes[number]);
      write.string(6, text);
      write.string(7, previous);
      otlp::Writer(page).message(3, out);
    }
  }
}

std::string Changes::textOf(const otlp::AnyValue& value) const {
  std::string text;
  if (value.type != otlp::AnyValue::Type::Array) {
    appendName(value, text);
  } else {
    for (const otlp::AnyValue& each : otlp::arrayOf(value)) {
      if (text.size() >= kMaxNameValue) break;
      if (!text.empty()) text += ", ";
      appendName(each, text);
    }
  }
  if (text.size() > kMaxNameValue) text.resize(kMaxNameValue);
  privacy::Masking(*policy_, privacy::Place::Stored, {tenant_}).label(text);
  text::makeReadable(text);
  return text;
}

Changes::Service& Changes::serviceOf(const otlp::AnyValue& name, std::uint64_t part, std::uint64_t unixNanos) {
  const std::uint64_t key = hashOf(name, part, hash_);
  std::uint32_t slot = services_.find(key);
  if (slot != services_.kNone) {
    services_.touch(slot);
  } else {
    if (services_.size() == kMostServices) reduce(kMostServices - 1);
    slot = services_.add(key);
    services_[slot].since = unixNanos;
  }
  Service& service = services_[slot];
  // A clock that was ahead is set back.
  service.since = std::min(service.since, unixNanos);
  return service;
}

bool Changes::note(Service& service, std::uint64_t attribute, const otlp::AnyValue& value, std::uint64_t unixNanos,
                   std::string& text, std::string& previous) {
  const auto old = [&](const Value& each) { return each.heard + kRemembered < unixNanos; };
  const std::uint64_t hash = hashOf(value, attribute, hash_);
  const Value* latest = nullptr;
  for (Value& each : service.values) {
    if (each.hash == hash && !old(each)) {
      each.heard = unixNanos;
      return false;
    }
    if (each.attribute == attribute && each.hash != hash && (!latest || each.heard >= latest->heard)) latest = &each;
  }
  text = textOf(value);
  if (latest) previous = latest->text;
  inValues_ -= service.memory();
  bool crowded = false;
  std::erase_if(service.values, [&](const Value& each) { return each.hash == hash; });
  if (service.values.size() == kMostValues) {
    const auto oldest = std::ranges::min_element(service.values, {}, &Value::heard);
    // Of a service with so many values at a time, none is news.
    crowded = !old(*oldest);
    service.values.erase(oldest);
  }
  service.values.push_back({attribute, hash, unixNanos, text});
  inValues_ += service.memory();
  leftOut_ += crowded;
  return !crowded && unixNanos - service.since >= kYoung;
}

void Changes::reduce(std::size_t services) {
  for (; services_.size() > services; ++leftOut_) {
    inValues_ -= services_[services_.oldest()].memory();
    services_.erase(services_.oldest());
  }
}

void Changes::snapshot(std::vector<std::uint8_t>& out) const { services_.snapshot(out); }

bool Changes::restore(Bytes in) {
  if (!services_.restore(in, kMostServices)) return false;
  for (std::uint32_t slot = services_.oldest(); slot != services_.kNone; slot = services_.after(slot)) {
    inValues_ += services_[slot].memory();
  }
  return true;
}

}  // namespace driftlock
