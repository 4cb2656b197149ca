#pragma once

#include <cstdint>
#include <span>

#include "otlp/reader.hpp"
#include "privacy/policy.hpp"

namespace driftlock {

/// Masks the personal and secret values in the bytes of a checked record, in place: texts in bodies, attributes, names, events,
/// links and exemplars, and whole numbers. The record stays as long and as well-formed as it was.
void conceal(otlp::Signal signal, otlp::MetricType type, std::span<std::uint8_t> record, const privacy::Masking& masking);

/// Does the same to a whole request, with its resources, scopes and metrics.
void concealRequest(otlp::Signal signal, std::span<std::uint8_t> request, const privacy::Masking& masking);

}  // namespace driftlock
