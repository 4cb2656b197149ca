// Checks how anomalies grow: what is reported while one is open.

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "engine_bench.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

/// A service whose spans take 60 to 109 ms.
class Spans {
 public:
  explicit Spans(Settings settings = settingsOf()) : bench_(settings) {
    for (int i = 0; i < 1'000; ++i) pass();
    told.clear();
  }

  /// Lets a second pass with a usual span.
  void pass() { span(60'000'000 + random_.below(50'000'000)); }
  void span(std::uint64_t duration, std::uint32_t status = 0, const std::string& exception = "") {
    clock_ += kSecond;
    const std::string id = std::to_string(10'000'000 + clock_ / kSecond % 10'000'000);
    Message span =
        spanRecord("POST /pay", {.time = clock_, .duration = duration, .trace = id + id, .span = id, .status = status});
    if (!exception.empty()) span.add(9, attribute("exception.message", exception));
    for (Told& report : toldBy(*bench_.process(otlp::Signal::Traces, request("till", {span})))) told.push_back(std::move(report));
  }
  void pass(int seconds) {
    for (int i = 0; i < seconds; ++i) pass();
  }

  std::vector<Told> told;

 private:
  Bench bench_;
  Random random_{3};
  std::uint64_t clock_ = kStart;
};

constexpr std::uint64_t kSlow = 900'000'000, kUsual = 80'000'000;
constexpr std::uint64_t kContent = 1, kValue = 4;

/// Checks that a grave novelty within an open anomaly of another channel is reported at once, with its severity.
TEST(newsIsReportedInAnOpenAnomaly) {
  Spans spans;
  for (int i = 0; i < 2; ++i) {
    spans.span(kSlow);
    spans.pass(10);
  }
  CHECK(spans.told.size() == 2);
  spans.pass(80);
  spans.span(kUsual, 2, "ledger closed: refusing to post entries, data loss likely");
  CHECK(spans.told.size() == 3);
  const Told &first = spans.told[0], &second = spans.told[1], &grave = spans.told[2];
  CHECK(first.channel == kValue && first.news && !second.news);
  CHECK(grave.id == first.id && grave.occurrence == 3);
  CHECK(grave.channel == kContent && grave.news && grave.severity > first.severity);

  // Another novelty of the same channel and severity is news as well, the same one again is not.
  spans.span(kUsual, 2, "ledger closed: refusing to post entries, data loss likely");
  CHECK(spans.told.size() == 4 && !spans.told[3].news && spans.told[3].occurrence == 4);
  spans.span(kUsual, 2, "the vault of the second branch answers with garbage: KJHG 77");
  CHECK(spans.told.size() == 5 && spans.told[4].news && spans.told[4].occurrence == 5);
  spans.span(kUsual, 2, "the vault of the second branch answers with garbage: KJHG 77");
  CHECK(spans.told.size() == 5);
}

/// Checks that ever new findings are not all reported.
TEST(newsIsBounded) {
  Spans spans;
  Random random(8);
  for (int i = 0; i < 200; ++i) {
    std::string text(60, ' ');
    std::ranges::generate(text, [&] { return static_cast<char>('a' + random.below(26)); });
    spans.span(kUsual, 2, text);
  }
  CHECK(spans.told.size() > Shown::kMostFindings);
  CHECK(spans.told.size() <= Shown::kMostFindings + 8 + 4);
}

/// Checks that what flickers on for hours does not hide what begins then: it is an anomaly of its own, to which the flicker
/// adds nothing new.
TEST(flickerHidesNothing) {
  Spans spans;
  for (int i = 0; i < 45; ++i) {
    spans.span(kSlow);
    spans.pass(120);
  }
  const std::string flicker = spans.told[0].id;
  CHECK(std::ranges::all_of(spans.told, [&](const Told& each) { return each.id == flicker && !each.ended; }));
  spans.told.clear();
  spans.span(kUsual, 2, "ledger closed: refusing to post entries, data loss likely");
  CHECK(spans.told.size() == 2);
  CHECK(spans.told[0].id == flicker && spans.told[0].ended);
  CHECK(spans.told[1].id != flicker && spans.told[1].occurrence == 1 && spans.told[1].channel == kContent && spans.told[1].news);
  spans.told.clear();
  for (int i = 0; i < 3; ++i) spans.span(kSlow);
  CHECK(spans.told.size() == 2);
  CHECK(std::ranges::none_of(spans.told, [](const Told& each) { return each.news || each.ended; }));
}

/// Checks that an anomaly takes in what the budget does not allow to be an anomaly of its own, and reports it.
TEST(grownWithinTheBudget) {
  Settings settings = settingsOf();
  settings.alarmsPerStreamPerDay = 0.001;
  Spans spans(settings);
  std::set<std::string> ids;
  for (const char* text :
       {"ledger closed: data loss likely", "vault answers with garbage KJHG", "no route to the second branch",
        "printer on fire in the basement", "unknown currency of the customer", "queue of the till is full",
        "gateway timed out beyond the harbour", "certificate of the mint has lapsed", "clock of the exchange runs backwards",
        "replica quorum lost overnight", "warehouse reports negative stock", "invoice template vanished"}) {
    for (int i = 0; i < 40; ++i) {
      spans.span(kSlow);
      spans.pass(120);
    }
    spans.told.clear();
    spans.span(kUsual, 2, text);
    CHECK(spans.told.back().news);
    for (const Told& report : spans.told) ids.insert(report.id);
  }
  CHECK(ids.size() > 1 && ids.size() < 12);
}

/// Checks that reports of anomalies that come back as log records are neither judged nor a sign of life of the stream that they
/// are about, by the event's name or by the attribute, and that records beside them are judged.
TEST(returnedReportsAreNotJudged) {
  Bench bench(settingsOf());
  std::uint64_t clock = kStart;
  const Message event = logRecord("No records for 5 minutes", {.time = kStart, .severity = 17, .eventName = "driftlock.anomaly"});
  const Message attributed =
      logRecord("A burst", {.time = kStart, .attributes = {attribute("event.name", "driftlock.incident")}});
  const Message other = logRecord("A burst", {.time = kStart, .attributes = {attribute("event.name", "driftlock.anomalies")}});
  auto task = bench.process(otlp::Signal::Logs, request("shop", {event, attributed}));
  CHECK(task->records == 2 && task->returned == 2 && task->unjudged == 0 && task->flagged == 0);
  CHECK(task->scores[1] == 1 && bench.engine.stats().streams == 0);
  task = bench.process(otlp::Signal::Logs, request("shop", {event, other, attributed}));
  CHECK(task->returned == 2 && bench.engine.stats().streams == 1);
  Random random(4);
  for (int i = 0; i < 1'000; ++i) {
    clock += kSecond;
    bench.process(otlp::Signal::Logs, request("shop", {logRecord(normalLine(random), {.time = clock})}));
  }
  // The stream falls silent, and what is said of it does not end the silence.
  std::vector<Told> told;
  for (int i = 0; i < 60; ++i) {
    for (Told& report : toldBy(*bench.advance(10 * kSecond))) told.push_back(std::move(report));
    clock += 10 * kSecond;
    for (Told& report : toldBy(*bench.process(otlp::Signal::Logs, request("shop", {event})))) told.push_back(std::move(report));
  }
  CHECK(told.size() == 1 && !told[0].ended && told[0].explanation.starts_with("No records for "));
}

}  // namespace
