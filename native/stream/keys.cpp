#include "stream/keys.hpp"

#include <algorithm>

#include "base/hash.hpp"
#include "base/work.hpp"
#include "otlp/views.hpp"
#include "record/record.hpp"
#include "text/readable.hpp"

namespace driftlock {
namespace {

constexpr std::size_t kMaxName = 512;
constexpr std::size_t kMaxValue = 128;

std::uint64_t hashOf(const otlp::AnyValue& value, std::uint64_t seed, const KeyedHash& hash) {
  return hash(value.bytes, hash(value.bits, seed + static_cast<std::uint64_t>(value.type)));
}

/// Appends the values of the resource's attributes with these names, None for a name that is missing. It reads the
/// attributes once, whatever the number of names.
void findNamed(const otlp::ResourceView& resource, const std::vector<std::string_view>& names, std::vector<otlp::AnyValue>& out) {
  const std::size_t begin = out.size();
  out.resize(begin + names.size());
  std::vector<bool> found(names.size());
  for (const otlp::KeyValue& attribute : resource.attributes) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (found[i] || attribute.key.size() != names[i].size()) continue;
      countWork(names[i].size());
      if (textOf(attribute.key) != names[i]) continue;
      // The first of several attributes of one name counts.
      found[i] = true;
      out[begin + i] = attribute.value;
    }
  }
}

/// Hashes a point's attributes in any order by adding up their hashes. Without the key, nobody can choose attributes
/// with the same sum.
std::uint64_t hashOf(const otlp::Attributes& attributes, const KeyedHash& hash) {
  std::uint64_t sum = 0;
  for (const otlp::KeyValue& attribute : attributes) sum += hashOf(attribute.value, hash(attribute.key), hash);
  return sum;
}

void appendValue(const otlp::AnyValue& value, std::string& out) {
  Field field;
  switch (value.type) {
    case otlp::AnyValue::Type::Int: field.kind = Field::Kind::Integer; break;
    case otlp::AnyValue::Type::Double: field.kind = Field::Kind::Real; break;
    case otlp::AnyValue::Type::Bool: out += value.boolean() ? "true" : "false"; return;
    default: field.text = value.bytes.first(std::min(value.bytes.size(), kMaxValue));
  }
  field.bits = value.bits;
  renderValue(field, out);
}

}  // namespace

void StreamKeys::find(const otlp::Index& index, std::string_view tenant, const std::vector<std::string>& streamBy,
                      const KeyedHash& hash) {
  const std::uint64_t base = hash(bytesOf(tenant), static_cast<std::uint64_t>(index.signal) + 1);
  std::vector<std::string_view> names(streamBy.begin(), streamBy.end());
  names.push_back("service.name");
  namedSize_ = names.size();
  named_.clear();
  std::vector<std::uint64_t> ofResource;
  for (const otlp::Resource& resource : index.resources) {
    findNamed(otlp::readResource(index, resource), names, named_);
    std::uint64_t h = base;
    for (std::size_t i = 0; i < streamBy.size(); ++i) h = hashOf(named_[named_.size() - namedSize_ + i], hash(h, 1), hash);
    ofResource.push_back(h);
  }
  hashes_.clear();
  hashes_.reserve(index.records.size());
  // A metric's points follow one another: its name is hashed once for all of them.
  std::uint32_t metric = otlp::kNone;
  std::uint64_t ofMetric = 0;
  for (const otlp::Record& record : index.records) {
    std::uint64_t h = ofResource[index.scopes[record.scope].resource];
    if (record.metric != otlp::kNone) {
      if (record.metric != metric) {
        metric = record.metric;
        ofMetric = hash(index.bytes(index.metrics[metric].name), h + static_cast<std::uint64_t>(index.metrics[metric].type));
      }
      h = hash(hashOf(otlp::Attributes(index.bytes(record), otlp::attributesField(index, record)), hash), ofMetric);
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
  const otlp::AnyValue* named = &named_[namedSize_ * index.scopeOf(record).resource];
  for (const std::string& name : streamBy) {
    key.name += ' ' + name + '=';
    appendValue(*named++, key.name);
  }
  key.service = textOf(named->bytes).substr(0, kMaxValue);
  if (record.metric != otlp::kNone) {
    const otlp::Metric& metric = index.metricOf(record);
    key.metricType = metric.type;
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
