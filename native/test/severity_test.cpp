#include "otlp/severity.hpp"

#include <string_view>

#include "record/record.hpp"
#include "requests.hpp"
#include "test.hpp"

using namespace driftlock;

namespace {

RecordView read(const test::Message& record) {
  RecordView view;
  readFields(otlp::Signal::Logs, otlp::MetricType::None, record, view);
  return view;
}

/// Checks that a level's name has the effect of its number, and that a number takes precedence over a name.
TEST(namesStandForNumbers) {
  for (const std::string_view name : {"trace2", "Verbose", "INFORMATION", "notice", "Warning", "err", "Severe", "crit", "ALERT",
                                      "panic", " emerg\n", "fatal4", "critical"}) {
    const auto number = static_cast<std::uint64_t>(severityNumberOf(name));
    CHECK(number > 0);
    const auto named = read(test::Message().text(3, name));
    const auto numbered = read(test::Message().varint(2, number));
    CHECK(named.graded && numbered.graded);
    CHECK(named.gravity == numbered.gravity);
    CHECK(read(test::Message().varint(2, 9).text(3, name)).gravity == Gravity::Normal);
  }
  CHECK(read(test::Message().text(3, "err")).gravity == Gravity::Error);
  CHECK(read(test::Message().text(3, "emerg")).gravity == Gravity::Fatal);
  for (const std::string_view name : {"", "ERR!", "warn5", "error0", "17", "info1", "a name that is longer than any level's"}) {
    CHECK(severityNumberOf(name) == 0);
    CHECK(!read(test::Message().text(3, name)).graded);
  }
}

}  // namespace
