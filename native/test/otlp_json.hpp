#pragma once

// Writes everything that the reader finds in a request as one line of JSON. 64-bit integers are decimal strings,
// doubles the 16 hex digits of their bits, strings and bytes hex: nothing is lost between languages.

#include <bit>
#include <cstdio>
#include <optional>
#include <string>

#include "otlp/reader.hpp"
#include "otlp/views.hpp"

namespace driftlock::test {

using namespace driftlock::otlp;

inline std::string hex(Bytes bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out = "\"";
  for (const std::uint8_t byte : bytes) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out + '"';
}

inline std::string json(double value) {
  char out[19];
  std::snprintf(out, sizeof out, "\"%016llx\"", static_cast<unsigned long long>(std::bit_cast<std::uint64_t>(value)));
  return out;
}
inline std::string json(std::uint64_t value) { return '"' + std::to_string(value) + '"'; }
inline std::string json(std::int64_t value) { return '"' + std::to_string(value) + '"'; }
inline std::string json(std::int32_t value) { return std::to_string(value); }
inline std::string json(std::uint32_t value) { return std::to_string(value); }
inline std::string json(bool value) { return value ? "true" : "false"; }
inline std::string json(const std::optional<double>& value) { return value ? json(*value) : "null"; }

std::string json(const AnyValue& value);
std::string json(const Attributes& attributes);

/// Writes an array: [element, element].
template <typename Range, typename Element>
std::string list(const Range& range, Element element) {
  std::string out = "[";
  for (const auto& item : range) {
    if (out.size() > 1) out += ',';
    out += element(item);
  }
  return out + ']';
}

template <typename Number, Wire Element>
std::string json(const Numbers<Number, Element>& numbers) {
  return list(numbers, [](Number number) { return json(number); });
}

inline std::string json(const AnyValue& value) {
  using Type = AnyValue::Type;
  switch (value.type) {
    case Type::None: return "null";
    case Type::String: return "{\"string\":" + hex(value.bytes) + '}';
    case Type::Bool: return "{\"bool\":" + json(value.boolean()) + '}';
    case Type::Int: return "{\"int\":" + json(value.integer()) + '}';
    case Type::Double: return "{\"double\":" + json(value.real()) + '}';
    case Type::Array: return "{\"array\":" + list(arrayOf(value), [](const AnyValue& element) { return json(element); }) + '}';
    case Type::List: return "{\"list\":" + json(listOf(value)) + '}';
    case Type::Bytes: return "{\"bytes\":" + hex(value.bytes) + '}';
  }
  return "";
}

inline std::string json(const Attributes& attributes) {
  return list(attributes, [](const KeyValue& attribute) { return '[' + hex(attribute.key) + ',' + json(attribute.value) + ']'; });
}

inline std::string json(const BucketsView& buckets) {
  return "{\"offset\":" + json(buckets.offset) + ",\"counts\":" + json(buckets.counts) + '}';
}

inline std::string json(const ScopeView& scope) {
  return "{\"name\":" + hex(scope.name) + ",\"version\":" + hex(scope.version) + ",\"attributes\":" + json(scope.attributes) +
         '}';
}

inline std::string json(const LogRecordView& log) {
  return "{\"time\":" + json(log.timeUnixNano) + ",\"observed\":" + json(log.observedTimeUnixNano) +
         ",\"severityNumber\":" + json(log.severityNumber) + ",\"severityText\":" + hex(log.severityText) +
         ",\"body\":" + json(log.body) + ",\"attributes\":" + json(log.attributes) + ",\"flags\":" + json(log.flags) +
         ",\"traceId\":" + hex(log.traceId) + ",\"spanId\":" + hex(log.spanId) + ",\"eventName\":" + hex(log.eventName) + '}';
}

inline std::string json(const SpanView& span) {
  return "{\"traceId\":" + hex(span.traceId) + ",\"spanId\":" + hex(span.spanId) + ",\"traceState\":" + hex(span.traceState) +
         ",\"parentSpanId\":" + hex(span.parentSpanId) + ",\"name\":" + hex(span.name) + ",\"kind\":" + json(span.kind) +
         ",\"start\":" + json(span.startTimeUnixNano) + ",\"end\":" + json(span.endTimeUnixNano) +
         ",\"attributes\":" + json(span.attributes) + ",\"events\":" +
         list(span.events,
              [](const EventView& event) {
                return "{\"time\":" + json(event.timeUnixNano) + ",\"name\":" + hex(event.name) +
                       ",\"attributes\":" + json(event.attributes) + '}';
              }) +
         ",\"links\":" +
         list(span.links,
              [](const LinkView& link) {
                return "{\"traceId\":" + hex(link.traceId) + ",\"spanId\":" + hex(link.spanId) +
                       ",\"traceState\":" + hex(link.traceState) + ",\"attributes\":" + json(link.attributes) + '}';
              }) +
         ",\"statusCode\":" + json(span.statusCode) + ",\"statusMessage\":" + hex(span.statusMessage) +
         ",\"flags\":" + json(span.flags) + '}';
}

inline std::string json(const PointView& point) {
  using Number = PointView::Number;
  const std::string number = point.number == Number::Double ? "{\"double\":" + json(point.asDouble) + '}'
                             : point.number == Number::Int  ? "{\"int\":" + json(point.asInt) + '}'
                                                            : "null";
  return "{\"start\":" + json(point.startTimeUnixNano) + ",\"time\":" + json(point.timeUnixNano) +
         ",\"flags\":" + json(point.flags) + ",\"attributes\":" + json(point.attributes) + ",\"number\":" + number +
         ",\"count\":" + json(point.count) + ",\"sum\":" + json(point.sum) + ",\"min\":" + json(point.min) +
         ",\"max\":" + json(point.max) + ",\"bucketCounts\":" + json(point.bucketCounts) +
         ",\"explicitBounds\":" + json(point.explicitBounds) + ",\"scale\":" + json(point.scale) +
         ",\"zeroCount\":" + json(point.zeroCount) + ",\"zeroThreshold\":" + json(point.zeroThreshold) +
         ",\"positive\":" + json(point.positive) + ",\"negative\":" + json(point.negative) + ",\"quantiles\":" +
         list(point.quantiles, [](const QuantileView& at) { return '[' + json(at.quantile) + ',' + json(at.value) + ']'; }) + '}';
}

inline std::string json(const Index& index, const Record& record) {
  const Bytes bytes = index.bytes(record);
  switch (index.signal) {
    case Signal::Logs: return json(readLogRecord(bytes));
    case Signal::Traces: return json(readSpan(bytes));
    case Signal::Metrics: return json(readPoint(index.metricOf(record).type, bytes));
  }
  return "";
}

inline std::string json(const Index& index) {
  return "{\"resources\":" +
         list(index.resources,
              [&](const Resource& resource) {
                return "{\"attributes\":" + json(readResource(index, resource).attributes) + '}';
              }) +
         ",\"scopes\":" +
         list(index.scopes,
              [&](const Scope& scope) {
                return "{\"resource\":" + json(scope.resource) + ",\"scope\":" + json(readScope(index, scope)) + '}';
              }) +
         ",\"metrics\":" +
         list(index.metrics,
              [&](const Metric& metric) {
                return "{\"scope\":" + json(metric.scope) + ",\"name\":" + hex(index.bytes(metric.name)) +
                       ",\"unit\":" + hex(index.bytes(metric.unit)) +
                       ",\"type\":" + json(static_cast<std::uint32_t>(metric.type)) +
                       ",\"temporality\":" + json(static_cast<std::int32_t>(metric.temporality)) +
                       ",\"monotonic\":" + json(metric.monotonic) + '}';
              }) +
         ",\"records\":" +
         list(index.records,
              [&](const Record& record) {
                return "{\"scope\":" + json(record.scope) +
                       ",\"metric\":" + (record.metric == kNone ? "null" : json(record.metric)) +
                       ",\"record\":" + json(index, record) + '}';
              }) +
         '}';
}

}  // namespace driftlock::test
