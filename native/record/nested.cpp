#include "record/nested.hpp"

#include <algorithm>
#include <iterator>

namespace driftlock {
namespace {

namespace schemas = otlp::schemas;
using schemas::Schema;

constexpr Schema kExemplar = schemas::schema("Exemplar", schemas::attribute(7, "Exemplar.filtered_attributes"));

}  // namespace

const Schema* nestedIn(otlp::Signal signal, const Schema& schema, std::uint32_t number) {
  const schemas::Envelope& envelope = schemas::kEnvelopes[static_cast<std::size_t>(signal)];
  if (&schema == &envelope.request) return number == 1 ? &envelope.resource : nullptr;
  if (&schema == &envelope.resource) return number == 2 ? &envelope.scope : nullptr;
  if (signal != otlp::Signal::Metrics) return nullptr;
  if (&schema == &envelope.scope) return number == 2 ? &schemas::kMetric : nullptr;
  if (&schema == &schemas::kMetric) {
    // Gauge, sum, histogram, exponential histogram, summary.
    constexpr std::uint32_t kData[] = {5, 7, 9, 10, 11};
    const auto* const type = std::ranges::find(kData, number);
    return type == std::end(kData) ? nullptr : &schemas::kMetricData[1 + (type - std::begin(kData))];
  }
  const bool exemplars = (&schema == &schemas::kNumberPoint && number == 5) ||
                         (&schema == &schemas::kHistogramPoint && number == 8) ||
                         (&schema == &schemas::kExponentialHistogramPoint && number == 11);
  return exemplars ? &kExemplar : nullptr;
}

bool isRecord(otlp::Signal signal, const Schema& schema, std::uint32_t number) {
  if (signal != otlp::Signal::Metrics)
    return &schema == &schemas::kEnvelopes[static_cast<std::size_t>(signal)].scope && number == 2;
  return number == 1 && std::ranges::any_of(schemas::kMetricData, [&](const Schema& data) { return &data == &schema; });
}

}  // namespace driftlock
