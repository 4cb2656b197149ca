#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.hpp"

/// The first look at a request: where its records lie. Nothing is copied; every position is an offset into the request.
namespace driftlock::otlp {

enum class Signal : std::uint8_t { Logs, Traces, Metrics };

/// The records of one request at the most; a request with more is refused. So are more enclosing messages than this.
inline constexpr std::uint32_t kMaxRecords = 1u << 20;

/// How deep arrays and key-value lists may nest in an attribute or a body. A level costs three messages on the wire
/// (AnyValue, KeyValueList, KeyValue), so this is what protobuf's own usual limit of 100 messages comes to.
inline constexpr std::uint32_t kMaxDepth = 32;

inline constexpr std::uint32_t kNone = UINT32_MAX;

/// Why a request was refused. Both strings are static.
struct WireError {
  /// What is wrong, such as "length beyond the enclosing message".
  const char* what = "";
  /// Where in the schema, such as "LogRecord.attributes".
  const char* field = "";
  /// Where in the request: bytes from its start.
  std::size_t offset = 0;
};

/// Bytes [begin, end) of the request.
struct Range {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
};

/// A length-delimited message in the request: its tag begins at `field`, its content is [begin, end).
struct Frame {
  std::uint32_t field = 0;
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  /// The enclosing message in `Index::frames`; `none` for the request itself.
  std::uint32_t parent = kNone;
};

/// A ResourceLogs, ResourceSpans or ResourceMetrics.
struct Resource {
  std::uint32_t frame;
  /// From the first `resource` field to the end of the last; for `readResource`.
  Range resource;
};

/// A ScopeLogs, ScopeSpans or ScopeMetrics.
struct Scope {
  std::uint32_t frame;
  /// In `Index::resources`.
  std::uint32_t resource;
  /// From the first `scope` field to the end of the last; for `readScope`.
  Range scope;
};

enum class MetricType : std::uint8_t { None, Gauge, Sum, Histogram, ExponentialHistogram, Summary };

/// As in the protocol; a number that is none of these is kept as it came.
enum class Temporality : std::int32_t { Unspecified = 0, Delta = 1, Cumulative = 2 };

struct Metric {
  std::uint32_t frame;
  /// In `Index::scopes`.
  std::uint32_t scope;
  Range name;
  Range unit;
  MetricType type = MetricType::None;
  Temporality temporality = Temporality::Unspecified;
  bool monotonic = false;
};

/// A LogRecord, a Span or a data point.
struct Record {
  Frame frame;
  /// In `Index::scopes`.
  std::uint32_t scope;
  /// In `Index::metrics`; `none` for logs and spans.
  std::uint32_t metric;
};

/// Where everything lies in one request. Meant to be filled again and again: its vectors keep their memory.
struct Index {
  Signal signal = Signal::Logs;
  /// The request itself; it must outlive the index.
  Bytes request;
  /// Every message around records, outer before inner, in wire order.
  std::vector<Frame> frames;
  std::vector<Resource> resources;
  std::vector<Scope> scopes;
  std::vector<Metric> metrics;
  /// In wire order.
  std::vector<Record> records;

  Bytes bytes(Range range) const { return request.subspan(range.begin, range.end - range.begin); }
  Bytes bytes(const Frame& frame) const { return request.subspan(frame.begin, frame.end - frame.begin); }
  Bytes bytes(const Record& record) const { return bytes(record.frame); }

  const Scope& scopeOf(const Record& record) const { return scopes[record.scope]; }
  const Resource& resourceOf(const Record& record) const { return resources[scopes[record.scope].resource]; }
  /// Of a data point only.
  const Metric& metricOf(const Record& record) const { return metrics[record.metric]; }
};

/// Checks an Export*ServiceRequest and says where its records lie. What the views (views.hpp) read is checked down to
/// the last nested length, so they cannot fail afterwards. False, and `error` filled, for a request that is malformed,
/// beyond a limit above, or longer than 2 GiB (protobuf's own limit); `out` is of no use then.
///
/// What the protocol leaves open, and what is done here:
/// - A known field of another wire type is malformed, as for the Collector. Unknown fields are stepped over; groups,
///   which proto3 does not have, are malformed.
/// - Strings need not be UTF-8: they are bytes here.
/// - `resource` or `scope` given several times is merged as protobuf says. So is a metric's data of one type; data of
///   another type replaces what came before, whose points are then no records.
/// - Exemplars, entity references and metric metadata are stepped over: nothing reads them.
[[nodiscard]] bool index(Signal signal, Bytes request, Index& out, WireError& error);

/// The number of the `attributes` field of a record: LogRecord 6, Span 9, points of a gauge, sum or summary 7, of a
/// histogram 9, of an exponential histogram 1.
std::uint32_t attributesField(const Index& index, const Record& record);

}  // namespace driftlock::otlp
