#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/codec.hpp"
#include "otlp/reader.hpp"
#include "privacy/policy.hpp"

namespace driftlock {

/// A text in which something was found, masked and shortened around the value.
struct PrivacyExample {
  privacy::Kind kind;
  /// The name of its attribute; empty for other texts.
  std::string attribute;
  std::string text;
};

/// Where a request comes from and where it goes.
struct Redaction {
  std::string_view tenant;
  privacy::Place place;
  /// A second place at which values are counted, since the policy does the same there.
  std::optional<privacy::Place> also{};
  /// Returns the name of the stream of a record, by the beginning of its bytes; none if no rule asks for it.
  std::function<std::string(const std::uint8_t*)> streamOf{};
};

/// A request with values replaced.
struct Redacted {
  OwnedBytes request;
  otlp::Index index;
};

/// Returns a request with the personal and secret values in it replaced as the policy says at this place, in whatever field they
/// are: bodies, names, attributes of resources, scopes, records, events, links, points and exemplars. All other bytes stay as
/// they are, unknown fields included. Nothing if that changes nothing.
/// @param examples receives one example of each kind and attribute, at most so many as it has capacity for; null for none
std::optional<Redacted> redact(const otlp::Index& index, const Redaction& of, const privacy::Policy& policy,
                               std::vector<PrivacyExample>* examples = nullptr);

}  // namespace driftlock
