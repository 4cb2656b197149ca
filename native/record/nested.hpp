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
bool holdsId(const otlp::schemas::Schema& schema, std::uint32_t number);

/// Whether a field is the name of a span.
bool isSpanName(const otlp::schemas::Schema& schema, std::uint32_t number);

}  // namespace driftlock
