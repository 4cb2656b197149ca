#include "stream/keys.hpp"

#include <algorithm>
#include <span>

#include "base/hash.hpp"
#include "base/work.hpp"
#include "otlp/views.hpp"
#include "record/identity.hpp"
#include "text/readable.hpp"

namespace driftlock {
namespace {

constexpr std::size_t kMaxName = 512;

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

bool isAmong(const std::string& name, const std::vector<std::string>& names) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

void StreamKeys::find(const otlp::Index& index, std::string_view tenant, const Settings& settings, const KeyedHash& hash,
                      std::span<const std::string_view> also) {
  also_ = also;
  const std::uint64_t base = hash(bytesOf(tenant), static_cast<std::uint64_t>(index.signal) + 1);
  const std::uint64_t groupBase = hash(bytesOf(tenant), 0);
  const std::size_t streamBy = settings.streamBy.size(), groupBy = settings.groupBy.size();
  const std::size_t instanceBy = index.signal == otlp::Signal::Metrics ? settings.instanceBy.size() : 0;
  std::vector<std::string_view> names(settings.streamBy.begin(), settings.streamBy.end());
  names.push_back("service.name");
  names.insert(names.end(), settings.groupBy.begin(), settings.groupBy.end());
  const auto instanceNames = std::span(settings.instanceBy).first(instanceBy);
  names.insert(names.end(), instanceNames.begin(), instanceNames.end());
  names.insert(names.end(), also.begin(), also.end());
  namedSize_ = names.size();
  named_.clear();
  groups_.clear();
  std::vector<std::uint64_t> ofResource;
  bool instances = false;
  for (const otlp::Resource& resource : index.resources) {
    findNamed(otlp::readResource(index, resource), names, named_);
    const otlp::AnyValue* const named = &named_[named_.size() - namedSize_];
    std::uint64_t h = base, group = groupBase;
    for (std::size_t i = 0; i < streamBy; ++i) h = hashOf(named[i], hash(h, 1), hash);
    for (std::size_t i = namedSize_ - also.size(); i < namedSize_; ++i) h = hashOf(named[i], hash(h, 2), hash);
    std::size_t by = 0;
    while (by < groupBy && !isName(named[streamBy + 1 + by])) ++by;
    if (by < groupBy) {
      group = hashOf(named[streamBy + 1 + by], hash(by + 1, group), hash);
    } else {
      for (std::size_t i = 0; i < streamBy; ++i) group = hashOf(named[i], hash(group, 1), hash);
    }
    if (const otlp::AnyValue* const agent = named + namedSize_ - also.size(); !also.empty() && isName(*agent)) {
      group = inShardOf(group, hashOf(*agent, hash(2, group), hash));
    }
    std::size_t instance = 0;
    for (; instance < instanceBy; ++instance) {
      const std::string& name = settings.instanceBy[instance];
      const bool known = (by < groupBy && name == settings.groupBy[by]) || isAmong(name, settings.streamBy);
      if (!known && isName(named[streamBy + 1 + groupBy + instance])) break;
    }
    std::uint64_t ofInstance = 0;
    if (instance < instanceBy) {
      ofInstance = hashOf(named[streamBy + 1 + groupBy + instance], hash(instance + 1, 0), hash);
      instances = true;
    }
    groups_.push_back({group, by, ofInstance, instance});
    ofResource.push_back(hash(h, group));
  }
  hashes_.clear();
  hashes_.reserve(index.records.size());
  families_.clear();
  if (instances) families_.reserve(index.records.size());
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
    const Group& grouped = groups_[index.scopes[record.scope].resource];
    h = inShardOf(grouped.hash, h);
    if (instances) {
      families_.push_back(h);
      if (grouped.instance != 0) h = inShardOf(grouped.hash, hash(grouped.instance, h));
    }
    hashes_.push_back(h);
  }
}

StreamKey StreamKeys::make(const otlp::Index& index, std::uint32_t number, std::string_view tenant,
                           const Settings& settings) const {
  static constexpr std::string_view kSignals[] = {"logs", "traces", "metrics"};
  const otlp::Record& record = index.records[number];
  const std::uint32_t resource = index.scopeOf(record).resource;
  const Group& group = groups_[resource];
  StreamKey key{.hash = hashes_[number],
                .family = family(number),
                .group = group.hash,
                .signal = index.signal,
                .tenant = std::string(tenant)};
  key.name = kSignals[static_cast<std::size_t>(index.signal)];
  const otlp::AnyValue* const namedOf = &named_[namedSize_ * resource];
  const otlp::AnyValue* named = namedOf;
  std::string pairs;
  const auto append = [](const std::string& name, const otlp::AnyValue& value, std::string& out) {
    out += (out.empty() ? "" : " ") + name + '=';
    appendName(value, out);
  };
  for (const std::string& name : settings.streamBy) append(name, *named++, pairs);
  key.service = textOf(named->bytes).substr(0, kMaxNameValue);
  if (group.by < settings.groupBy.size()) {
    const std::string& by = settings.groupBy[group.by];
    append(by, named[1 + group.by], key.groupName);
    if (!isAmong(by, settings.streamBy)) append(by, named[1 + group.by], pairs);
  } else {
    key.groupName = pairs;
  }
  if (key.hash != key.family) {
    append(settings.instanceBy[group.instanceBy], named[1 + settings.groupBy.size() + group.instanceBy], key.instance);
  }
  for (std::size_t i = 0; i < also_.size(); ++i) {
    const otlp::AnyValue& value = namedOf[namedSize_ - also_.size() + i];
    if (isName(value)) append(std::string(also_[i]), value, pairs);
    if (i == 0 && isName(value)) append(std::string(also_[i]), value, key.groupName);
    if (also_[i] == kTurnAttribute) key.derived = derivedOf(textOf(value.bytes));
  }
  if (!pairs.empty()) key.name += ' ' + pairs;
  if (record.metric != otlp::kNone) {
    const otlp::Metric& metric = index.metricOf(record);
    key.metricType = metric.type;
    key.metric = textOf(index.bytes(metric.name)).substr(0, kMaxNameValue);
    key.name += ' ' + key.metric;
    for (const otlp::KeyValue& attribute : otlp::Attributes(index.bytes(record), otlp::attributesField(index, record))) {
      if (key.name.size() > kMaxName) break;
      key.name += ' ';
      key.name += textOf(attribute.key).substr(0, kMaxNameValue);
      key.name += '=';
      appendName(attribute.value, key.name);
    }
  }
  if (key.name.size() > kMaxName) key.name.resize(kMaxName);
  const std::string service = key.service;
  const privacy::Masking masking(*settings.privacy, privacy::Place::Stored,
                                 {tenant, static_cast<std::uint8_t>(index.signal), service});
  for (std::string* const name : {&key.name, &key.service, &key.metric, &key.groupName, &key.instance}) {
    masking.label(*name);
    text::makeReadable(*name);
  }
  return key;
}

}  // namespace driftlock
