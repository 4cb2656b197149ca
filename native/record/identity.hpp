#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "otlp/reader.hpp"
#include "otlp/value.hpp"
#include "privacy/policy.hpp"

namespace driftlock {

/// The most bytes of a value that names something.
inline constexpr std::size_t kMaxNameValue = 128;

/// Whether a value can name something: it is there, and no empty text.
bool isName(const otlp::AnyValue& value);
/// Appends the text of a value, cut off after `kMaxNameValue` bytes.
void appendName(const otlp::AnyValue& value, std::string& out);

/// What a resource says about itself, for people; what it does not name is empty.
struct Identity {
  /// The value of service.name, what names the instance, such as "service.instance.id=checkout-1", and the value of host.name.
  std::string service, instance, host;

  bool operator==(const Identity&) const = default;
};

/// Reads the identity of a resource; the first of the attributes `instanceBy` that it has names the instance. Personal and secret
/// values in it are masked.
Identity identityOf(const otlp::Index& index, const otlp::Resource& resource, const std::vector<std::string>& instanceBy,
                    const privacy::Masking& masking);

}  // namespace driftlock
