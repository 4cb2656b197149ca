#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "otlp/reader.hpp"
#include "otlp/value.hpp"
#include "record/call_texts.hpp"
#include "record/event_time.hpp"
#include "record/shape_point.hpp"

namespace driftlock {

/// One named value of a record.
struct Field {
  enum class Kind : std::uint8_t {
    /// A text in which variables are masked.
    Text,
    /// One of a few words, such as a severity or a span's kind, compared unchanged.
    Word,
    Integer,
    Real,
  };

  Bytes key;
  Bytes text;
  /// The bits of an Integer or Real.
  std::uint64_t bits = 0;
  Kind kind = Kind::Text;
};

/// The gravity that a record states for itself.
enum class Gravity : std::uint8_t { Normal, Warning, Error, Fatal };

/// What the number of a metric point states, by its metric's type, temporality and monotonicity.
enum class Accounting : std::uint8_t {
  /// What is now: a gauge, or a sum that may fall.
  Level,
  /// What came since the last point.
  Delta,
  /// What came since a start time.
  Total,
};

/// The event names of log records that report anomalies and incidents; some pipelines keep them only as the attribute event.name.
inline constexpr std::string_view kAnomalyEvent = "driftlock.anomaly", kIncidentEvent = "driftlock.incident";

/// What the names of metrics about streams begin with, as OTLP and as Prometheus name them.
inline constexpr std::string_view kStreamMetrics = "driftlock.stream.", kPrometheusStreamMetrics = "driftlock_stream_";

/// A record as the channels see it. Everything points into the request.
struct RecordView {
  std::vector<Field> fields;
  /// The time in nanoseconds since 1970, whatever its unit was; and what was wrong with it.
  std::uint64_t timeUnixNano = 0;
  TimeFault timeFault = TimeFault::None;
  Bytes traceId;
  Bytes spanId, parentSpanId;
  /// The kind of record, if it states that itself.
  Bytes eventName;
  /// The identifier of its session: the attribute session.id, or the trace's id. None if there is none.
  otlp::AnyValue session;
  /// Whether it comes from Driftlock itself: a log record that reports an anomaly or an incident (kAnomalyEvent), or a point
  /// of a metric about a stream (kStreamMetrics).
  bool own = false;
  /// Whether the session ends with this record: the event session.end, or the span that has no parent.
  bool last = false;
  /// The gravity by severity number, by the level's name in its place, or by span status; `gravityOf` also reads the text.
  Gravity gravity = Gravity::Normal;
  bool graded = false;
  /// The kind of a span, as OTLP numbers it; 0 if it has none.
  std::uint8_t spanKind = 0;
  /// The duration of a span in nanoseconds, and whether its times give one: it may have no end, or end before it starts.
  std::uint64_t duration = 0;
  bool hasDuration = false;
  /// The number of a gauge's or sum's point, or the sum of a histogram's or summary's values; and the number of those.
  double sum = 0, count = 0;
  bool hasValue = false;
  /// The start of what a metric point accounts for; 0 if it states none. Whether the point has a recorded value.
  std::uint64_t startUnixNano = 0;
  Accounting accounting = Accounting::Level;
  /// Whether the points of the metric are of a sum that never falls.
  bool monotonic = false;
  bool recorded = false;
  /// The unit of a metric point, as its sender named it.
  Bytes unit;
  /// The distribution of a histogram's or summary's point.
  ShapePoint shape;

  bool inSession() const { return session.type != otlp::AnyValue::Type::None; }
  /// Sets the time as the sender gave it.
  void setTime(std::uint64_t time);
  /// Dates a record without a time of its own by another time of its sender, if that is one.
  void dateBy(std::uint64_t other);
  /// Dates a record without any time of its sender by its arrival; 0 if that is unknown. A time that is of this century by
  /// chance, in a unit in which it is more than a year from the arrival, is none: it counts from the start of the sender, for
  /// example.
  void date(std::uint64_t arrivalUnixNano);
  void clear();
};

/// Fields and bytes of text beyond these limits are not read, so that a record's cost is bounded.
inline constexpr std::size_t kMaxFields = 256;
inline constexpr std::size_t kMaxTextSize = 16 * 1024;
inline constexpr std::size_t kMaxKeySize = 256;
/// A histogram with more buckets on one side of zero has no shape.
inline constexpr std::size_t kMaxBuckets = 4096;

/// Reads a checked record. `out` is reused: its vectors keep their memory.
void readFields(const otlp::Index& index, const otlp::Record& record, RecordView& out, CallTexts texts = CallTexts::Read);
/// Reads the same from a record's bytes alone, as a window keeps them.
void readFields(otlp::Signal signal, otlp::MetricType type, Bytes record, RecordView& out, CallTexts texts = CallTexts::Read);

/// Returns the name of a span's kind.
std::string_view spanKindName(std::uint8_t kind);
/// Returns the unit of a metric point as people read it, at most 64 bytes of it.
std::string metricUnit(const RecordView& record);

/// Returns the gravest level that a word of a record without a severity names in capitals, as loggers do.
Gravity gravityOf(const RecordView& record);

/// Renders a record for display: body, then key=value. `starts[i]` is where the i-th field's value begins in the text.
void render(const RecordView& record, std::string& text, std::vector<std::uint32_t>* starts = nullptr);

/// Returns the number of a field that has one.
double numberOf(const Field& field);

/// Returns a field's key for display: the first field, which has no key, is a log's body or a span's name.
std::string fieldName(Bytes key, otlp::Signal signal);

/// Renders a field's value as text.
void renderValue(const Field& field, std::string& text);

}  // namespace driftlock
