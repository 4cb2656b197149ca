#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "base/hash.hpp"
#include "llm/call.hpp"
#include "otlp/reader.hpp"

namespace driftlock::llm {

/// What a record is for the reader of calls.
struct Reading {
  /// A span states what a call took; an event states one message, or what the call's span would.
  enum class Source : std::uint8_t { Span, Message, Details };

  Source source = Source::Span;
  Bytes traceId, spanId, parentSpanId;
  Call call;
};

/// Reads a span, or a log record, that has an attribute of a language model (otlp::Index::llm); nothing if it is no call. The
/// bytes of the result point into the request.
std::optional<Reading> readCall(const otlp::Index& index, std::uint32_t record, const KeyedHash& hash);

}  // namespace driftlock::llm
