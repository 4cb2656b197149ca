#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "otlp/reader.hpp"
#include "otlp/value.hpp"
#include "record/shape_point.hpp"

namespace driftlock {

/// One named value of a record.
struct Field {
  enum class Kind : std::uint8_t {
    /// Words among which variables are masked.
    Text,
    /// One of a few words, such as a severity or a span's kind: compared as it is.
    Word,
    Integer,
    Real,
  };

  Bytes key;
  Bytes text;
  /// Of Integer and Real.
  std::uint64_t bits = 0;
  Kind kind = Kind::Text;
};

/// How grave a record calls itself.
enum class Gravity : std::uint8_t { Normal, Warning, Error, Fatal };

/// A record as the channels see it. Everything points into the request.
struct RecordView {
  std::vector<Field> fields;
  std::uint64_t timeUnixNano = 0;
  Bytes traceId;
  Bytes spanId, parentSpanId;
  /// What kind of record it is, where it says so itself.
  Bytes eventName;
  /// What names its session: the attribute session.id, or the trace's id. None for none.
  otlp::AnyValue session;
  /// The session ends with this record: the event session.end, or the span that has no parent.
  bool last = false;
  /// By severity number, the level's name in its place, or span status; what only the text says is for `gravityOf`.
  Gravity gravity = Gravity::Normal;
  bool graded = false;
  /// Of a span, in nanoseconds.
  std::uint64_t duration = 0;
  /// Of a gauge's, sum's, histogram's or summary's point: its value, or its mean; its sum, and how many values are in it.
  double value = 0, sum = 0, count = 0;
  bool hasValue = false;
  /// Of a histogram's or a summary's point: where its values lie.
  ShapePoint shape;

  bool inSession() const { return session.type != otlp::AnyValue::Type::None; }
  void clear();
};

/// Fields and bytes of text beyond these are not looked at: a record's cost has a bound.
inline constexpr std::size_t kMaxFields = 256;
inline constexpr std::size_t kMaxTextSize = 16 * 1024;
inline constexpr std::size_t kMaxKeySize = 256;
/// A histogram of more buckets, on one side of zero, has no shape.
inline constexpr std::size_t kMaxBuckets = 4096;

/// Reads a checked record. `out` is reused: its vectors keep their memory.
void readFields(const otlp::Index& index, const otlp::Record& record, RecordView& out);
/// The same from a record's bytes alone, as a window keeps them.
void readFields(otlp::Signal signal, otlp::MetricType type, Bytes record, RecordView& out);

/// Of a record without a severity: the gravest level that one of its words names in capitals, as loggers do.
Gravity gravityOf(const RecordView& record);

/// A record as people read it: body, then key=value. `starts[i]` is where the i-th field's value begins in the text.
void render(const RecordView& record, std::string& text, std::vector<std::uint32_t>* starts = nullptr);

/// Of a field that has a number.
double numberOf(const Field& field);

/// A field's key as shown to people: the first one, which has none, is a log's body, or a span's name.
std::string fieldName(Bytes key, otlp::Signal signal);

/// A field's value as text.
void renderValue(const Field& field, std::string& text);

}  // namespace driftlock
