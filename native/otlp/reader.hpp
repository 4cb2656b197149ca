#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.hpp"

/// Locates the records of a request. Nothing is copied; every position is an offset into the request.
namespace driftlock::otlp {

enum class Signal : std::uint8_t { Logs, Traces, Metrics };

/// The largest number of records in one request, and of enclosing messages; a request with more is refused.
inline constexpr std::uint32_t kMaxRecords = 1u << 20;

/// How deep arrays and key-value lists may nest in an attribute or a body. A level costs three messages on the wire (AnyValue,
/// KeyValueList, KeyValue), so that this matches protobuf's own usual limit of 100 messages.
inline constexpr std::uint32_t kMaxDepth = 32;

inline constexpr std::uint32_t kNone = UINT32_MAX;

/// Why a request was refused. Both strings are static.
struct WireError {
  /// The fault, such as "length beyond the enclosing message".
  const char* what = "";
  /// The place in the schema, such as "LogRecord.attributes".
  const char* field = "";
  /// The place in the request, in bytes from its start.
  std::size_t offset = 0;
};

/// Bytes [begin, end) of the request.
struct Range {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;

  bool operator==(const Range&) const = default;
};

/// A length-delimited message in the request: its tag begins at `field`, its content is [begin, end).
struct Frame {
  std::uint32_t field = 0;
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  /// The enclosing message in `Index::frames`; `none` for the request itself.
  std::uint32_t parent = kNone;

  bool operator==(const Frame&) const = default;
};

/// A ResourceLogs, ResourceSpans or ResourceMetrics.
struct Resource {
  std::uint32_t frame;
  /// The range from the first `resource` field to the end of the last, for `readResource`.
  Range resource;

  bool operator==(const Resource&) const = default;
};

/// A ScopeLogs, ScopeSpans or ScopeMetrics.
struct Scope {
  std::uint32_t frame;
  /// The index in `Index::resources`.
  std::uint32_t resource;
  /// The range from the first `scope` field to the end of the last, for `readScope`.
  Range scope;

  bool operator==(const Scope&) const = default;
};

enum class MetricType : std::uint8_t { None, Gauge, Sum, Histogram, ExponentialHistogram, Summary };

/// The values of the protocol; a number that is none of these is kept as received.
enum class Temporality : std::int32_t { Unspecified = 0, Delta = 1, Cumulative = 2 };

struct Metric {
  std::uint32_t frame;
  /// The index in `Index::scopes`.
  std::uint32_t scope;
  Range name;
  Range unit;
  MetricType type = MetricType::None;
  Temporality temporality = Temporality::Unspecified;
  bool monotonic = false;

  bool operator==(const Metric&) const = default;
};

/// A LogRecord, a Span or a data point.
struct Record {
  Frame frame;
  /// The index in `Index::scopes`.
  std::uint32_t scope;
  /// The index in `Index::metrics`; `none` for logs and spans.
  std::uint32_t metric;

  bool operator==(const Record&) const = default;
};

/// The positions of everything in one request. It is meant to be refilled: its vectors keep their memory.
struct Index {
  Signal signal = Signal::Logs;
  /// The request itself; it must outlive the index.
  Bytes request;
  /// All messages around records, outer before inner, in wire order.
  std::vector<Frame> frames;
  std::vector<Resource> resources;
  std::vector<Scope> scopes;
  std::vector<Metric> metrics;
  /// All records in wire order.
  std::vector<Record> records;
  /// The numbers of the log records and spans that have an attribute of a language model, such as gen_ai.request.model.
  std::vector<std::uint32_t> llm;

  Bytes bytes(Range range) const { return request.subspan(range.begin, range.end - range.begin); }
  Bytes bytes(const Frame& frame) const { return request.subspan(frame.begin, frame.end - frame.begin); }
  Bytes bytes(const Record& record) const { return bytes(record.frame); }

  const Scope& scopeOf(const Record& record) const { return scopes[record.scope]; }
  const Resource& resourceOf(const Record& record) const { return resources[scopes[record.scope].resource]; }
  /// The metric of a record, which must be a data point.
  const Metric& metricOf(const Record& record) const { return metrics[record.metric]; }
};

/// Checks an Export*ServiceRequest and locates its records. What the views (views.hpp) read is checked down to the last nested
/// length, so that they cannot fail afterwards. Returns false and fills `error` for a request that is malformed, beyond a limit
/// above, or longer than 2 GiB (protobuf's own limit); `out` is unusable then.
///
/// Choices that the protocol leaves open:
/// - A known field of another wire type is malformed, as for the Collector. Unknown fields are skipped; groups, which proto3 does
///   not have, are malformed.
/// - Strings need not be UTF-8: they are bytes here.
/// - `resource` or `scope` given several times is merged as protobuf requires. So is a metric's data of one type; data of another
///   type replaces the earlier data, whose points are then no records.
/// - Exemplars, entity references and metric metadata are skipped: nothing reads them.
[[nodiscard]] bool index(Signal signal, Bytes request, Index& out, WireError& error);

/// Returns the number of the `attributes` field of a record: 6 for LogRecord, 9 for Span, 7 for points of a gauge, sum or
/// summary, 9 for those of a histogram, 1 for those of an exponential histogram.
std::uint32_t attributesField(const Index& index, const Record& record);

}  // namespace driftlock::otlp
