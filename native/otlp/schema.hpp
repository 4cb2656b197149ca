#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "otlp/wire.hpp"

/// The known messages of OTLP: tables that the reader checks a request against.
namespace driftlock::otlp::schemas {

/// How the value behind a tag is read.
enum class Step : std::uint8_t { Skip, Varint, Fixed64, Fixed32, Bytes, Packed, Message, Attribute, Value, Refuse };

struct Schema;

/// The rule for one field of a message.
struct Rule {
  /// The field's name; null if it is unknown or nobody reads it.
  const char* name = nullptr;
  Step step = Step::Refuse;
  /// The schema of the message for Step::Message.
  const Schema* message = nullptr;
  /// Whether it is a repeated number, which may also be packed.
  bool packable = false;
};

/// The fields of one message.
struct Schema {
  static constexpr std::size_t kNumbers = 17;

  const char* name;
  std::array<Rule, kNumbers> rules{};
  /// The step for each tag: Skip for unknown fields and Refuse for known ones of another wire type.
  std::array<Step, kNumbers * 8> steps{};

  constexpr Step step(std::uint32_t tag) const { return tag < steps.size() ? steps[tag] : Step::Skip; }
};

struct Entry {
  std::uint32_t number;
  Rule rule;
};
constexpr Entry bytes(std::uint32_t number, const char* name) { return {number, {name, Step::Bytes}}; }
constexpr Entry varint(std::uint32_t number, const char* name) { return {number, {name, Step::Varint}}; }
constexpr Entry fixed64(std::uint32_t number, const char* name) { return {number, {name, Step::Fixed64}}; }
constexpr Entry fixed32(std::uint32_t number, const char* name) { return {number, {name, Step::Fixed32}}; }
constexpr Entry varints(std::uint32_t number, const char* name) { return {number, {name, Step::Varint, nullptr, true}}; }
constexpr Entry fixed64s(std::uint32_t number, const char* name) { return {number, {name, Step::Fixed64, nullptr, true}}; }
constexpr Entry message(std::uint32_t number, const char* name, const Schema& schema) {
  return {number, {name, Step::Message, &schema}};
}
constexpr Entry attribute(std::uint32_t number, const char* name) { return {number, {name, Step::Attribute}}; }
constexpr Entry value(std::uint32_t number, const char* name) { return {number, {name, Step::Value}}; }

constexpr Wire wireOf(Step step) {
  switch (step) {
    case Step::Varint: return Wire::Varint;
    case Step::Fixed64: return Wire::Fixed64;
    case Step::Fixed32: return Wire::Fixed32;
    default: return Wire::Length;
  }
}

template <typename... Entries>
constexpr Schema schema(const char* name, Entries... entries) {
  Schema schema{name};
  for (const Entry& entry : {entries...}) {
    schema.rules[entry.number] = entry.rule;
    for (std::uint32_t wire = 0; wire < 8; ++wire) schema.steps[entry.number << 3 | wire] = Step::Refuse;
    if (entry.rule.packable) schema.steps[tag(entry.number, Wire::Length)] = Step::Packed;
    schema.steps[tag(entry.number, wireOf(entry.rule.step))] = entry.rule.step;
  }
  return schema;
}

extern const Schema kArrayValue;
extern const Schema kKeyValueList;

inline constexpr Schema kAnyValue =
    schema("AnyValue", bytes(1, "AnyValue.string_value"), varint(2, "AnyValue.bool_value"), varint(3, "AnyValue.int_value"),
           fixed64(4, "AnyValue.double_value"), message(5, "AnyValue.array_value", kArrayValue),
           message(6, "AnyValue.kvlist_value", kKeyValueList), bytes(7, "AnyValue.bytes_value"));
inline constexpr Schema kKeyValue = schema("KeyValue", bytes(1, "KeyValue.key"), value(2, "KeyValue.value"));
inline constexpr Schema kArrayValue = schema("ArrayValue", value(1, "ArrayValue.values"));
inline constexpr Schema kKeyValueList = schema("KeyValueList", attribute(1, "KeyValueList.values"));

inline constexpr Schema kResource = schema("Resource", attribute(1, "Resource.attributes"));
inline constexpr Schema kScope =
    schema("InstrumentationScope", bytes(1, "InstrumentationScope.name"), bytes(2, "InstrumentationScope.version"),
           attribute(3, "InstrumentationScope.attributes"));

inline constexpr Schema kLogRecord =
    schema("LogRecord", fixed64(1, "LogRecord.time_unix_nano"), varint(2, "LogRecord.severity_number"),
           bytes(3, "LogRecord.severity_text"), value(5, "LogRecord.body"), attribute(6, "LogRecord.attributes"),
           varint(7, "LogRecord.dropped_attributes_count"), fixed32(8, "LogRecord.flags"), bytes(9, "LogRecord.trace_id"),
           bytes(10, "LogRecord.span_id"), fixed64(11, "LogRecord.observed_time_unix_nano"), bytes(12, "LogRecord.event_name"));

inline constexpr Schema kSpanEvent = schema("Span.Event", fixed64(1, "Span.Event.time_unix_nano"), bytes(2, "Span.Event.name"),
                                            attribute(3, "Span.Event.attributes"));
inline constexpr Schema kSpanLink = schema("Span.Link", bytes(1, "Span.Link.trace_id"), bytes(2, "Span.Link.span_id"),
                                           bytes(3, "Span.Link.trace_state"), attribute(4, "Span.Link.attributes"));
inline constexpr Schema kStatus = schema("Status", bytes(2, "Status.message"), varint(3, "Status.code"));
inline constexpr Schema kSpan = schema(
    "Span", bytes(1, "Span.trace_id"), bytes(2, "Span.span_id"), bytes(3, "Span.trace_state"), bytes(4, "Span.parent_span_id"),
    bytes(5, "Span.name"), varint(6, "Span.kind"), fixed64(7, "Span.start_time_unix_nano"), fixed64(8, "Span.end_time_unix_nano"),
    attribute(9, "Span.attributes"), varint(10, "Span.dropped_attributes_count"), message(11, "Span.events", kSpanEvent),
    varint(12, "Span.dropped_events_count"), message(13, "Span.links", kSpanLink), varint(14, "Span.dropped_links_count"),
    message(15, "Span.status", kStatus), fixed32(16, "Span.flags"));

inline constexpr Schema kNumberPoint =
    schema("NumberDataPoint", fixed64(2, "NumberDataPoint.start_time_unix_nano"), fixed64(3, "NumberDataPoint.time_unix_nano"),
           fixed64(4, "NumberDataPoint.as_double"), bytes(5, "NumberDataPoint.exemplars"), fixed64(6, "NumberDataPoint.as_int"),
           attribute(7, "NumberDataPoint.attributes"), varint(8, "NumberDataPoint.flags"));
inline constexpr Schema kHistogramPoint = schema(
    "HistogramDataPoint", fixed64(2, "HistogramDataPoint.start_time_unix_nano"), fixed64(3, "HistogramDataPoint.time_unix_nano"),
    fixed64(4, "HistogramDataPoint.count"), fixed64(5, "HistogramDataPoint.sum"), fixed64s(6, "HistogramDataPoint.bucket_counts"),
    fixed64s(7, "HistogramDataPoint.explicit_bounds"), bytes(8, "HistogramDataPoint.exemplars"),
    attribute(9, "HistogramDataPoint.attributes"), varint(10, "HistogramDataPoint.flags"), fixed64(11, "HistogramDataPoint.min"),
    fixed64(12, "HistogramDataPoint.max"));
inline constexpr Schema kBuckets =
    schema("ExponentialHistogramDataPoint.Buckets", varint(1, "ExponentialHistogramDataPoint.Buckets.offset"),
           varints(2, "ExponentialHistogramDataPoint.Buckets.bucket_counts"));
inline constexpr Schema kExponentialHistogramPoint =
    schema("ExponentialHistogramDataPoint", attribute(1, "ExponentialHistogramDataPoint.attributes"),
           fixed64(2, "ExponentialHistogramDataPoint.start_time_unix_nano"),
           fixed64(3, "ExponentialHistogramDataPoint.time_unix_nano"), fixed64(4, "ExponentialHistogramDataPoint.count"),
           fixed64(5, "ExponentialHistogramDataPoint.sum"), varint(6, "ExponentialHistogramDataPoint.scale"),
           fixed64(7, "ExponentialHistogramDataPoint.zero_count"), message(8, "ExponentialHistogramDataPoint.positive", kBuckets),
           message(9, "ExponentialHistogramDataPoint.negative", kBuckets), varint(10, "ExponentialHistogramDataPoint.flags"),
           bytes(11, "ExponentialHistogramDataPoint.exemplars"), fixed64(12, "ExponentialHistogramDataPoint.min"),
           fixed64(13, "ExponentialHistogramDataPoint.max"), fixed64(14, "ExponentialHistogramDataPoint.zero_threshold"));
inline constexpr Schema kQuantile =
    schema("SummaryDataPoint.ValueAtQuantile", fixed64(1, "SummaryDataPoint.ValueAtQuantile.quantile"),
           fixed64(2, "SummaryDataPoint.ValueAtQuantile.value"));
inline constexpr Schema kSummaryPoint =
    schema("SummaryDataPoint", fixed64(2, "SummaryDataPoint.start_time_unix_nano"), fixed64(3, "SummaryDataPoint.time_unix_nano"),
           fixed64(4, "SummaryDataPoint.count"), fixed64(5, "SummaryDataPoint.sum"),
           message(6, "SummaryDataPoint.quantile_values", kQuantile), attribute(7, "SummaryDataPoint.attributes"),
           varint(8, "SummaryDataPoint.flags"));

/// The messages around the records of a signal.
struct Envelope {
  Schema request;
  Schema resource;
  Schema scope;
};

/// The envelopes, indexed by Signal.
inline constexpr Envelope kEnvelopes[] = {
    {schema("ExportLogsServiceRequest", bytes(1, "ExportLogsServiceRequest.resource_logs")),
     schema("ResourceLogs", message(1, "ResourceLogs.resource", kResource), bytes(2, "ResourceLogs.scope_logs"),
            bytes(3, "ResourceLogs.schema_url")),
     schema("ScopeLogs", message(1, "ScopeLogs.scope", kScope), message(2, "ScopeLogs.log_records", kLogRecord),
            bytes(3, "ScopeLogs.schema_url"))},
    {schema("ExportTraceServiceRequest", bytes(1, "ExportTraceServiceRequest.resource_spans")),
     schema("ResourceSpans", message(1, "ResourceSpans.resource", kResource), bytes(2, "ResourceSpans.scope_spans"),
            bytes(3, "ResourceSpans.schema_url")),
     schema("ScopeSpans", message(1, "ScopeSpans.scope", kScope), message(2, "ScopeSpans.spans", kSpan),
            bytes(3, "ScopeSpans.schema_url"))},
    {schema("ExportMetricsServiceRequest", bytes(1, "ExportMetricsServiceRequest.resource_metrics")),
     schema("ResourceMetrics", message(1, "ResourceMetrics.resource", kResource), bytes(2, "ResourceMetrics.scope_metrics"),
            bytes(3, "ResourceMetrics.schema_url")),
     schema("ScopeMetrics", message(1, "ScopeMetrics.scope", kScope), bytes(2, "ScopeMetrics.metrics"),
            bytes(3, "ScopeMetrics.schema_url"))}};

inline constexpr Schema kMetric = schema(
    "Metric", bytes(1, "Metric.name"), bytes(2, "Metric.description"), bytes(3, "Metric.unit"), bytes(5, "Metric.gauge"),
    bytes(7, "Metric.sum"), bytes(9, "Metric.histogram"), bytes(10, "Metric.exponential_histogram"), bytes(11, "Metric.summary"));

/// The messages around a metric's points, indexed by MetricType.
inline constexpr Schema kMetricData[] = {
    Schema{"Metric"},
    schema("Gauge", message(1, "Gauge.data_points", kNumberPoint)),
    schema("Sum", message(1, "Sum.data_points", kNumberPoint), varint(2, "Sum.aggregation_temporality"),
           varint(3, "Sum.is_monotonic")),
    schema("Histogram", message(1, "Histogram.data_points", kHistogramPoint), varint(2, "Histogram.aggregation_temporality")),
    schema("ExponentialHistogram", message(1, "ExponentialHistogram.data_points", kExponentialHistogramPoint),
           varint(2, "ExponentialHistogram.aggregation_temporality")),
    schema("Summary", message(1, "Summary.data_points", kSummaryPoint))};

}  // namespace driftlock::otlp::schemas
