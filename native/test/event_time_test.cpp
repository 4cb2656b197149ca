#include "record/event_time.hpp"

#include <utility>

#include "record/record.hpp"
#include "requests.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

RecordView logOf(std::uint64_t time, std::uint64_t observed = 0) {
  Message log;
  log.fixed(1, time).fixed(11, observed).add(5, Message().text(1, "a line"));
  RecordView record;
  readFields(otlp::Signal::Logs, otlp::MetricType::None, log, record);
  return record;
}

/// The fields of the returned record refer to bytes that last until the next call.
RecordView spanOf(std::uint64_t start, std::uint64_t end) {
  static Message span;
  span = Message();
  span.text(1, "0123456789abcdef").text(2, "01234567").text(5, "GET /cart").fixed(7, start).fixed(8, end);
  RecordView record;
  readFields(otlp::Signal::Traces, otlp::MetricType::None, span, record);
  return record;
}

/// Checks that a time in another unit than nanoseconds is recognised.
TEST(unitsOfTime) {
  for (const std::uint64_t unit : {1ull, 1'000ull, 1'000'000ull, 1'000'000'000ull}) {
    CHECK(unitOf(kStart / unit) == unit);
    const RecordView record = logOf(kStart / unit);
    CHECK(record.timeUnixNano == kStart && (record.timeFault == TimeFault::None) == (unit == 1));
    const RecordView span = spanOf(kStart / unit, (kStart + 5 * kSecond) / unit);
    CHECK(span.timeUnixNano == kStart && span.hasDuration && span.duration == 5 * kSecond);
  }
  for (const std::uint64_t time : {std::uint64_t{0}, kSecond / 2, 500 * kSecond, kLatestTime, UINT64_MAX})
    CHECK(unitOf(time) == 0);
}

/// Checks that a record without a time of this century is dated by the next best one.
TEST(datesOfRecords) {
  for (const std::uint64_t absurd : {std::uint64_t{0}, 500 * kSecond, UINT64_MAX}) {
    RecordView record = logOf(absurd);
    record.date(0);
    CHECK(record.timeUnixNano == absurd && record.timeFault == TimeFault::Absent);
    record.date(kStart);
    CHECK(record.timeUnixNano == kStart && record.timeFault == TimeFault::Absent);
    record = logOf(absurd, kStart + 7);
    record.date(kStart);
    // A log record may have only the time at which it was observed.
    CHECK(record.timeUnixNano == kStart + 7 && (record.timeFault == TimeFault::None) == (absurd == 0));
    record = spanOf(absurd, kStart + 9);
    CHECK(record.timeUnixNano == kStart + 9);
  }
  // A time that counts from the start of the sender is of this century only by chance.
  RecordView record = logOf(1'000'000'000'000);
  CHECK(record.timeFault == TimeFault::Unit);
  record.date(kStart);
  CHECK(record.timeUnixNano == kStart && record.timeFault == TimeFault::Absent);
  // Records of the past keep their time.
  record = logOf(kStart);
  record.date(kStart + 3'000 * 86'400 * kSecond);
  CHECK(record.timeUnixNano == kStart && record.timeFault == TimeFault::None);
}

/// Checks that spans whose times contradict each other have no duration, and say so.
TEST(durationsOfSpans) {
  const auto says = [](const RecordView& span) {
    std::string text;
    render(span, text);
    return text.find("clocks") != std::string::npos;
  };
  CHECK(spanOf(kStart, kStart).hasDuration && spanOf(kStart, kStart).duration == 0);
  using Times = std::pair<std::uint64_t, std::uint64_t>;
  for (const auto& [start, end] : {Times{kStart, kStart - 1}, Times{kStart, kStart + 400 * 86'400 * kSecond}, Times{7, kStart}}) {
    const RecordView span = spanOf(start, end);
    CHECK(!span.hasDuration && says(span));
  }
  for (const auto& [start, end] : {Times{0, kStart}, Times{kStart, 0}, Times{0, 0}}) {
    const RecordView span = spanOf(start, end);
    CHECK(!span.hasDuration && !says(span));
  }
  // A sender without the time of day measures durations all the same.
  CHECK(spanOf(500 * kSecond, 501 * kSecond).duration == kSecond);
}

}  // namespace
