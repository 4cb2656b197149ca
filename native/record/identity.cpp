#include "record/identity.hpp"

#include <algorithm>

#include "base/bytes.hpp"
#include "base/work.hpp"
#include "otlp/views.hpp"
#include "record/record.hpp"
#include "text/readable.hpp"

namespace driftlock {

bool isName(const otlp::AnyValue& value) {
  return value.type != otlp::AnyValue::Type::None && (value.type != otlp::AnyValue::Type::String || !value.bytes.empty());
}

void appendName(const otlp::AnyValue& value, std::string& out) {
  Field field;
  switch (value.type) {
    case otlp::AnyValue::Type::Int: field.kind = Field::Kind::Integer; break;
    case otlp::AnyValue::Type::Double: field.kind = Field::Kind::Real; break;
    case otlp::AnyValue::Type::Bool: out += value.boolean() ? "true" : "false"; return;
    default: field.text = value.bytes.first(std::min(value.bytes.size(), kMaxNameValue));
  }
  field.bits = value.bits;
  renderValue(field, out);
}

Identity identityOf(const otlp::Index& index, const otlp::Resource& resource, const std::vector<std::string>& instanceBy,
                    const privacy::Masking& masking) {
  Identity identity;
  const auto take = [](const otlp::AnyValue& value, std::string& out) {
    // The first of several attributes of one name counts.
    if (out.empty() && isName(value)) appendName(value, out);
  };
  std::size_t by = instanceBy.size();
  otlp::AnyValue instance;
  for (const otlp::KeyValue& attribute : otlp::readResource(index, resource).attributes) {
    const std::string_view key = textOf(attribute.key);
    if (key == "service.name") take(attribute.value, identity.service);
    if (key == "host.name") take(attribute.value, identity.host);
    for (std::size_t i = 0; i < by; ++i) {
      if (key.size() != instanceBy[i].size()) continue;
      countWork(key.size());
      if (key != instanceBy[i] || !isName(attribute.value)) continue;
      by = i;
      instance = attribute.value;
    }
  }
  if (by < instanceBy.size()) {
    identity.instance = instanceBy[by] + '=';
    appendName(instance, identity.instance);
  }
  for (std::string* const name : {&identity.service, &identity.instance, &identity.host}) {
    masking.label(*name);
    text::makeReadable(*name);
  }
  return identity;
}

}  // namespace driftlock
