#include "stream/keys.hpp"

#include <algorithm>

#include "otlp/views.hpp"
#include "stream/fields.hpp"
#include "stream/hash.hpp"
#include "text/readable.hpp"

namespace driftlock {
namespace {

constexpr std::size_t kMaxName = 512;
constexpr std::size_t kMaxValue = 128;

std::uint64_t hashOf(const otlp::AnyValue& value, std::uint64_t seed) {
  return hash(value.bytes, hash(value.bits, seed + static_cast<std::uint64_t>(value.type)));
}

/// The value of the resource's attribute of that name; None where it has none.
otlp::AnyValue attribute(const otlp::ResourceView& resource, std::string_view name) {
  for (const otlp::KeyValue& attribute : resource.attributes) {
    if (textOf(attribute.key) == name) return attribute.value;
  }
  return {};
}

/// A point's attributes in whatever order: their hashes are added up.
std::uint64_t hashOf(const otlp::Attributes& attributes) {
  std::uint64_t sum = 0;
  for (const otlp::KeyValue& attribute : attributes) sum += hashOf(attribute.value, hash(attribute.key));
  return sum;
}

void appendValue(const otlp::AnyValue& value, std::string& out) {
  Field field;
  switch (value.type) {
    case otlp::AnyValue::Type::Int:
      field.kind = Field::Kind::Integer;
      break;
    case otlp::AnyValue::Type::Double:
      field.kind = Field::Kind::Real;
      break;
    case otlp::AnyValue::Type::Bool:
      out += value.boolean() ? "true" : "false";
      return;
    default:
      field.text = value.bytes.first(std::min(value.bytes.size(), kMaxValue));
  }
  field.bits = value.bits;
  renderValue(field, out);
}

}  // namespace

void StreamKeys::find(const otlp::Index& index, std::string_view tenant, const std::vector<std::string>& streamBy) {
  const std::uint64_t base = driftlock::hash(bytesOf(tenant), static_cast<std::uint64_t>(index.signal) + 1);
  std::vector<std::uint64_t> ofResource;
  for (const otlp::Resource& resource : index.resources) {
    const otlp::ResourceView view = otlp::readResource(index, resource);
    std::uint64_t h = base;
    for (const std::string& name : streamBy) h = hashOf(attribute(view, name), driftlock::hash(h, 1));
    ofResource.push_back(h);
  }
  hashes_.clear();
  hashes_.reserve(index.records.size());
  for (const otlp::Record& record : index.records) {
    std::uint64_t h = ofResource[index.scopes[record.scope].resource];
    if (record.metric != otlp::none) {
      const otlp::Metric& metric = index.metricOf(record);
      h = driftlock::hash(index.bytes(metric.name), h + static_cast<std::uint64_t>(metric.type));
      h = driftlock::hash(hashOf(otlp::Attributes(index.bytes(record), otlp::attributesField(index, record))), h);
    }
    hashes_.push_back(h);
  }
}

StreamKey StreamKeys::make(const otlp::Index& index, std::uint32_t number, std::string_view tenant,
                           const std::vector<std::string>& streamBy) const {
  static constexpr std::string_view kSignals[] = {"logs", "traces", "metrics"};
  const otlp::Record& record = index.records[number];
  StreamKey key{.hash = hashes_[number], .signal = index.signal, .tenant = std::string(tenant)};
  key.name = kSignals[static_cast<std::size_t>(index.signal)];
  const otlp::ResourceView resource = otlp::readResource(index, index.resourceOf(record));
  for (const std::string& name : streamBy) {
    key.name += ' ' + name + '=';
    appendValue(attribute(resource, name), key.name);
  }
  key.service = textOf(attribute(resource, "service.name").bytes).substr(0, kMaxValue);
  if (record.metric != otlp::none) {
    const otlp::Metric& metric = index.metricOf(record);
    key.metricType = metric.type;
    key.cumulative = metric.temporality == otlp::Temporality::Cumulative;
    key.monotonic = metric.monotonic;
    key.name += ' ';
    key.name += textOf(index.bytes(metric.name)).substr(0, kMaxValue);
    for (const otlp::KeyValue& attribute : otlp::Attributes(index.bytes(record), otlp::attributesField(index, record))) {
      if (key.name.size() > kMaxName) break;
      key.name += ' ';
      key.name += textOf(attribute.key).substr(0, kMaxValue);
      key.name += '=';
      appendValue(attribute.value, key.name);
    }
  }
  if (key.name.size() > kMaxName) key.name.resize(kMaxName);
  text::makeReadable(key.name);
  text::makeReadable(key.service);
  return key;
}

}  // namespace driftlock
