#pragma once

#include <cstdint>

#include "otlp/reader.hpp"
#include "otlp/schema.hpp"

namespace driftlock {

/// The message that a field of another holds, if the reader's tables have it as bytes: the messages around records, which the
/// reader enters by itself, and exemplars, which it does not read. Null for all other fields.
const otlp::schemas::Schema* nestedIn(otlp::Signal signal, const otlp::schemas::Schema& schema, std::uint32_t number);

/// Whether a field holds a log record, a span or a data point.
bool isRecord(otlp::Signal signal, const otlp::schemas::Schema& schema, std::uint32_t number);

/// Whether a field holds the id of a trace or span, which is no text.
inline bool holdsId(const otlp::schemas::Schema& schema, std::uint32_t number) {
  namespace schemas = otlp::schemas;
  if (&schema == &schemas::kSpan) return number == 1 || number == 2 || number == 4;
  if (&schema == &schemas::kSpanLink) return number == 1 || number == 2;
  return &schema == &schemas::kLogRecord && (number == 9 || number == 10);
}

/// Whether a field is the name of a span.
inline bool isSpanName(const otlp::schemas::Schema& schema, std::uint32_t number) {
  return &schema == &otlp::schemas::kSpan && number == 5;
}

}  // namespace driftlock
