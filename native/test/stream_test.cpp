#include "stream/stream.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "channels/fields/fields.hpp"
#include "report/report.hpp"
#include "requests.hpp"
#include "settings.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

Settings settingsOf() {
  Settings settings = defaultSettings();
  settings.baselineRecords = 200;
  settings.windowRecords = 64;
  settings.windowHop = 32;
  settings.alarmsPerStreamPerDay = 20;
  return settings;
}

/// A stream, and all of its results for the last record.
struct Bench {
  explicit Bench(Settings s = settingsOf(), otlp::Signal signal = otlp::Signal::Logs)
      : settings(s),
        stream({.hash = 7, .signal = signal, .metricType = otlp::MetricType::None, .tenant = "default", .name = "logs"}, settings,
               group) {}

  Verdict observe(const Message& message) {
    raw = message.bytes();
    readFields(stream.key().signal, stream.key().metricType, raw, observation.record);
    observation.raw = raw;
    ++observation.request;
    events.clear();
    const Verdict verdict = stream.observe(observation, events);
    told = 0;
    for (const Event& event : events) {
      ended += event.ended;
      if (!event.ended) told += stream.report(event.verdict, nullptr, event.finding.get()).reported;
    }
    if (verdict.flagged) told += stream.report(verdict, &observation).reported;
    return verdict;
  }
  Verdict log(const std::string& line, std::uint64_t step = kSecond) {
    clock += step;
    return observe(logRecord(line, {.time = clock}));
  }
  void teach(int records) {
    for (int i = 0; i < records; ++i) log(normalLine(random));
  }

  Settings settings;
  Group group{settings.alarmsPerStreamPerDay, 0};
  Stream stream;
  Observation observation;
  std::vector<Event> events;
  std::vector<std::uint8_t> raw;
  Random random{1};
  std::uint64_t clock = kStart;
  int told = 0, ended = 0;
};

Description descriptionOf(const Stream& stream, const Event& event) {
  Description description;
  description.bits = event.verdict.bits;
  description.usualBits = event.verdict.usualBits;
  event.finding->describe(stream.texts(), description);
  return description;
}

constexpr std::uint64_t kDay = 86'400 * kSecond;
const std::string kStrange = "java.sql.SQLTransientConnectionException: HikariPool-1 - Connection is not available";

TEST(learnsThenJudges) {
  Bench b;
  for (int i = 0; i < 200; ++i) {
    const Verdict verdict = b.log(i == 50 ? kStrange : normalLine(b.random));
    CHECK(verdict.learning);
    CHECK(!verdict.flagged);
    CHECK(b.told == 0);
    CHECK(!b.stream.window());
  }
  CHECK(!b.stream.learning());
  int flagged = 0;
  for (int i = 0; i < 2'000; ++i) flagged += b.log(normalLine(b.random)).flagged;
  CHECK(flagged <= 1);
  const Verdict verdict = b.log("kernel panic: not syncing, attempted to kill init in interrupt handler");
  CHECK(verdict.flagged);
  CHECK(verdict.channel == ChannelId::Content);
  CHECK(verdict.channelScore > verdict.limit && verdict.limit > 0);
  CHECK(verdict.pValue < 0.01);
  CHECK(b.told == 1);
}

/// Checks that a stream that few records reach is judged once they cover some time, unless the number is exact.
TEST(learningEndsByRecordsOrTime) {
  const auto learned = [](std::uint64_t step, bool exact) {
    Settings settings = settingsOf();
    settings.baselineRecords = 1'000;
    settings.exactBaseline = exact;
    Bench b(settings);
    int records = 0;
    for (; b.stream.learning(); ++records) b.log(normalLine(b.random), step);
    CHECK(b.stream.progress() == 1);
    return records;
  };
  CHECK(learned(kSecond / 100, false) == 1'000);
  CHECK(learned(kSecond, false) == 301);
  CHECK(learned(10 * kSecond, false) == 128);
  CHECK(learned(3'600 * kSecond, false) == 32);
  CHECK(learned(10 * kSecond, true) == 1'000);
}

TEST(stormIsOneAnomaly) {
  Bench b;
  b.teach(2'000);
  int told = 0, flagged = 0;
  for (int i = 0; i < 1'000; ++i) {
    flagged += b.log(kStrange + " after " + std::to_string(i) + " ms", kSecond / 100).flagged;
    told += b.told;
  }
  CHECK(flagged > 100);
  CHECK(told <= 13);
  CHECK(b.ended == 0);
  const OpenAnomaly open = b.stream.anomaly();
  CHECK(open.id.size() == 32);
  CHECK(open.occurrences >= static_cast<std::uint64_t>(flagged));
  CHECK(open.endUnixNano > open.startUnixNano);
  // Five quiet minutes after the last tick that is about it end it.
  for (int i = 0; i < 290; ++i) b.log(normalLine(b.random));
  CHECK(b.ended == 0);
  for (int i = 0; i < 30; ++i) b.log(normalLine(b.random));
  CHECK(b.ended == 1);
  CHECK(b.stream.anomaly().occurrences == 0);
}

/// Checks that novelty becomes normal when it has come often and for the configured time, not before.
TEST(lastingNewsBecomesNormal) {
  Settings settings = settingsOf();
  settings.acceptAfterNanos = 3'600 * kSecond;
  Bench b(settings);
  b.teach(2'000);
  const auto score = [&] {
    b.log(kStrange, 60 * kSecond);
    return b.observation.content.score;
  };
  for (int minute = 0; minute < 55; ++minute) CHECK(score() > 1);
  for (int minute = 0; minute < 10; ++minute) score();
  CHECK(score() == 0);
}

/// Checks that reported novelty is reported again when it returns after it had stopped, and not while it keeps coming now and
/// then.
TEST(reportedNewsIsToldWhenItReturns) {
  Settings settings = settingsOf();
  settings.alarmsPerStreamPerDay = 10;
  settings.acceptAfterNanos = 12 * 3'600 * kSecond;
  Bench b(settings);
  b.teach(2'000);
  CHECK(b.log(kStrange).flagged);
  CHECK(b.told == 1);
  for (int hour = 1; hour < 6; ++hour) {
    for (int minute = 0; minute < 60; ++minute) b.log(normalLine(b.random), 60 * kSecond);
    const Verdict again = b.log(kStrange);
    // It comes every hour, so it has not stopped.
    CHECK(!again.flagged && again.score > 1 && b.told == 0);
  }
  for (int minute = 0; minute < 5 * 60; ++minute) b.log(normalLine(b.random), 60 * kSecond);
  CHECK(b.log(kStrange).flagged);
  CHECK(b.told == 1);
}

/// Checks that windows are compared by their novelty and by their mix of templates, whatever severity the records have.
TEST(windowsShowNewsAndBursts) {
  Settings settings = settingsOf();
  settings.windowRecords = settings.windowHop = 50;
  Bench b(settings);
  double usual = -1e9;
  const auto window = [&](std::size_t at, std::size_t count, const std::string& line) {
    for (std::size_t i = 0; i < 50; ++i) b.log(i >= at && i < at + count ? line : normalLine(b.random));
    CHECK(b.stream.window().has_value() == !b.stream.learning());
    return b.stream.window().value_or(WindowVerdict{.score = -1e9});
  };
  for (int i = 0; i < 60; ++i) usual = std::max(usual, window(0, 0, "").score);
  const WindowVerdict news = window(17, 1, kStrange);
  CHECK(news.score > usual && news.channel == ChannelId::Content);
  const WindowVerdict burst = window(9, 25, normalLine(b.random));
  CHECK(burst.score > usual && burst.channel == ChannelId::Volume);
}

TEST(idsBeginWithTheTime) {
  Bench b;
  b.teach(2'000);
  CHECK(b.log(kStrange).flagged);
  const OpenAnomaly anomaly = b.stream.anomaly();
  CHECK(anomaly.id.size() == 32);
  CHECK(std::stoull(anomaly.id.substr(0, 12), nullptr, 16) == anomaly.startUnixNano / 1'000'000);
}

TEST(acceptedIsNormalAtOnce) {
  Bench b;
  b.teach(2'000);
  CHECK(b.log(kStrange).flagged);
  const std::string id = b.stream.anomaly().id;
  std::vector<Event> events;
  CHECK(!b.stream.applyFeedback("0123", Feedback::Accept, events));
  CHECK(events.empty());
  CHECK(b.stream.applyFeedback(id, Feedback::Accept, events));
  CHECK(events.size() == 1);
  CHECK(events.front().ended);
  CHECK(events.front().ending == Ending::Accepted);
  CHECK(events.front().anomaly.id == id);
  CHECK(b.stream.anomaly().occurrences == 0);
  CHECK(!b.stream.applyFeedback(id, Feedback::Accept, events));
  CHECK(!b.log(kStrange).flagged);
  CHECK(b.observation.content.score == 0);
  // Other novelty stays novel.
  b.log("kernel panic: not syncing, attempted to kill init in interrupt handler");
  CHECK(b.observation.content.score > 1);
}

TEST(acceptedAfterItEnded) {
  Bench b;
  b.teach(2'000);
  CHECK(b.log(kStrange).flagged);
  const std::string id = b.stream.anomaly().id;
  b.teach(400);
  CHECK(b.ended == 1);
  std::vector<Event> events;
  CHECK(b.stream.applyFeedback(id, Feedback::Accept, events));
  CHECK(events.empty());
  b.log(kStrange);
  CHECK(b.observation.content.score == 0);
}

/// Checks more kinds of novelty than there is room for examples: the rest is known as it is.
TEST(acceptedBeyondExamples) {
  Bench b;
  b.teach(2'000);
  const auto line = [](int i) {
    Random random(static_cast<std::uint32_t>(100 + i));
    std::string line = "unheard-of";
    for (int k = 0; k < 60; ++k) line += static_cast<char>(k % 9 == 0 ? ' ' : 'a' + random.below(26));
    return line;
  };
  for (int i = 0; i < 20; ++i) b.log(line(i), kSecond / 10);
  const std::string id = b.stream.anomaly().id;
  std::vector<Event> events;
  CHECK(b.stream.applyFeedback(id, Feedback::Accept, events));
  for (int i = 0; i < 20; ++i) {
    CHECK(!b.log(line(i), kSecond / 10).flagged);
    CHECK(b.observation.content.score == 0);
  }
}

TEST(falseAlarmRaisesTheLimit) {
  Bench b;
  b.teach(2'000);
  CHECK(b.log(kStrange).flagged);
  std::vector<Event> events;
  CHECK(b.stream.applyFeedback(b.stream.anomaly().id, Feedback::FalseAlarm, events));
  CHECK(events.size() == 1);
  CHECK(events.front().ending == Ending::FalseAlarm);
  // It stays novel, but similar records are no longer flagged.
  const Verdict again = b.log(kStrange);
  CHECK(b.observation.content.score > 1);
  CHECK(!again.flagged);
}

/// Checks that an alarm says how much was withheld since the last one, and that what is graver gets through.
TEST(alarmsSayWhatWasWithheld) {
  Settings settings = settingsOf();
  settings.alarmsPerStreamPerDay = 1;
  Bench b(settings);
  b.teach(2'000);
  const auto news = [&](std::uint32_t severity) {
    for (int i = 0; i < 400; ++i) b.log(normalLine(b.random));
    std::string line;
    for (int k = 0; k < 80; ++k) line += static_cast<char>(k % 9 == 0 ? ' ' : 'a' + b.random.below(26));
    b.clock += kSecond;
    return b.observe(logRecord(line, {.time = b.clock, .severity = severity}));
  };
  std::uint64_t withheld = 0, shown = 0;
  for (int i = 0; i < 60; ++i) {
    const Verdict verdict = news(i % 20 == 19 ? 21 : 9);
    if (i % 20 == 19) CHECK(verdict.alarm == Alarm::Raised);
    if (verdict.alarm == Alarm::Withheld) ++withheld;
    if (verdict.alarm != Alarm::Raised) continue;
    CHECK(verdict.withheld.count == withheld);
    CHECK((withheld > 0) == (verdict.withheld.score > 0));
    CHECK(verdict.channelScore >= verdict.limit && verdict.score >= 1);
    shown += std::exchange(withheld, 0);
  }
  CHECK(shown > 0);
}

/// Checks that one record from the future or the past changes nothing for those that follow.
TEST(wildTimesDoNoHarm) {
  for (const std::uint64_t wild :
       {std::uint64_t{1}, kStart - 400 * kDay, kStart + 30'000 * kDay, UINT64_MAX, UINT64_MAX / 2, UINT64_MAX / 2 + 1}) {
    Bench a, b;
    a.teach(2'000), b.teach(2'000);
    b.observe(logRecord(normalLine(b.random), {.time = wild}));
    CHECK(b.log(kStrange).flagged);
    CHECK(b.told == 1);
    for (int i = 0; i < 310; ++i) b.log(normalLine(b.random));
    CHECK(b.ended == 1);
    // The budget fills again, so the next day's novelty is reported.
    b.clock += 86'000 * kSecond;
    for (int i = 0; i < 600; ++i) b.log(normalLine(b.random));
    CHECK(b.log("kernel panic: not syncing, attempted to kill init in interrupt handler").flagged);
    CHECK(b.told == 1);
  }
}

/// Checks that the stream continues if the clocks of all senders were wrong and are corrected, in either direction.
TEST(clockSetRight) {
  for (const bool ahead : {false, true}) {
    Bench b;
    const std::uint64_t right = b.clock;
    b.clock = ahead ? right + 5'000 * kDay : right - 5'000 * kDay;
    b.teach(2'000);
    CHECK(b.log(kStrange).flagged);
    b.clock = right;
    for (int i = 0; i < 400; ++i) b.log(normalLine(b.random));
    CHECK(b.ended >= 1);
    b.clock += 86'000 * kSecond;
    for (int i = 0; i < 600; ++i) b.log(normalLine(b.random));
    CHECK(b.log("kernel panic: not syncing, attempted to kill init in interrupt handler").flagged);
    CHECK(b.stream.anomaly().startUnixNano >= right);
    CHECK(b.stream.anomaly().startUnixNano < right + 2 * kDay);
  }
}

/// Checks that late, equal and missing times are accepted.
TEST(timesOfAnyKind) {
  Bench b;
  Random times(5);
  for (int i = 0; i < 3'000; ++i) {
    const std::uint64_t time = i % 7 == 0 ? 0 : b.clock + kSecond * i - times.below(20) * kSecond;
    b.observe(logRecord(normalLine(b.random), {.time = time}));
  }
  CHECK(!b.stream.learning());
  Bench untimed;
  for (int i = 0; i < 2'000; ++i) untimed.observe(logRecord(normalLine(untimed.random)));
  CHECK(untimed.observe(logRecord(kStrange)).flagged);
  for (int i = 0; i < 310; ++i) untimed.observe(logRecord(normalLine(untimed.random)));
  CHECK(untimed.ended == 1);
}

/// Checks that a template that comes thirty times as often is reported as an event of the tick.
TEST(burstIsAnEvent) {
  Settings settings = settingsOf();
  settings.alarmsPerStreamPerDay = 200;
  Bench b(settings);
  bool burst = false;
  int told = 0;
  const auto tick = [&](int hits) {
    for (int i = 0; i < 20 + hits; ++i) {
      b.log(i < 20 ? normalLine(b.random) : "password rejected for user admin", i < 20 ? kSecond / 2 : kSecond / 1000);
      for (const Event& event : b.events) {
        burst |= event.verdict.channel == ChannelId::Volume && event.verdict.flagged &&
                 descriptionOf(b.stream, event).sentence.starts_with("A burst in ");
      }
      told += b.told;
    }
  };
  for (int i = 0; i < 600; ++i) tick(1 + static_cast<int>(b.random.below(3)));
  CHECK(!burst);
  for (int i = 0; i < 4; ++i) tick(60);
  CHECK(told > 0);
  CHECK(burst);
}

/// Records with attributes whose values are drawn anew each time.
struct Shop {
  explicit Shop(std::uint64_t seed = 1) : b(settings()), random(static_cast<std::uint32_t>(seed)) {}

  static Settings settings() {
    Settings settings = settingsOf();
    settings.windowRecords = 128;
    settings.windowHop = 64;
    return settings;
  }
  Message message() {
    clock += kSecond;
    const double wait = 40 + random.below(40) + random.below(40);
    return logRecord(normalLine(random), {.time = clock,
                                          .attributes = {attribute("region", random.below(100) < eu ? "eu-west"
                                                                             : random.below(3)      ? "us-east"
                                                                                                    : "us-west"),
                                                         attribute("code", std::uint64_t{random.below(20) == 0 ? 404u : 200u}),
                                                         attribute("size", static_cast<std::uint64_t>(wait * slower))}});
  }
  /// Counts the events of the fields channel while `records` records pass.
  int run(int records) {
    int shifts = 0;
    for (int i = 0; i < records; ++i) {
      b.observe(message());
      told += b.told;
      for (const Event& event : b.events) {
        if (!event.verdict.flagged || event.verdict.channel != ChannelId::Fields) continue;
        ++shifts;
        // Only what is reported is described: the 1st, 2nd, 4th … flag.
        const Description description = descriptionOf(b.stream, event);
        if (description.field.empty()) continue;
        report.verdict = event.verdict;
        report.timeUnixNano = event.timeUnixNano;
        report.description = description;
        shiftedAt = clock;
      }
    }
    return shifts;
  }
  std::string explanation() const { return explain(report); }

  Bench b;
  Random random;
  std::uint64_t clock = kStart, shiftedAt = 0;
  std::uint32_t eu = 2;
  double slower = 1;
  int told = 0;
  /// The shift that was described last.
  Report report;
};

constexpr int kTaught = 64 * 100;

/// Checks that a change in the shares of an attribute's values is reported, although nothing is new, more or less
/// frequent, or in another order.
TEST(shiftedSharesAreTold) {
  Shop shop;
  CHECK(shop.run(kTaught) == 0);
  CHECK(shop.told == 0);
  shop.eu = 60;
  CHECK(shop.run(64 * 6) >= 4);
  CHECK(shop.report.description.field == "region");
  CHECK(shop.report.description.usual == "us-east");
  CHECK(shop.report.timeUnixNano == shop.shiftedAt);
  const std::string explanation = shop.explanation();
  CHECK(explanation.starts_with("region: \"eu-west\" made up "));
  CHECK(explanation.find("% of the last 64 records; usually ") != std::string::npos);
  CHECK(explanation.find("; the most usual is \"us-east\"") != std::string::npos);
  // These are Anomaly.field, and Anomaly.expected with only its nearest text.
  const std::vector<std::uint8_t> message = encodeAnomaly(shop.report);
  const Message field = Message().text(23, "region").add(24, Message().text(1, "us-east"));
  // Clang 14 does not accept std::ranges::search of this standard library.
  CHECK(std::search(message.begin(), message.end(), field.bytes().begin(), field.bytes().end()) != message.end());
  // There is one anomaly, reported at its 1st, 2nd and 4th flagged block.
  CHECK(shop.told <= 3);
  CHECK(shop.b.stream.anomaly().occurrences >= 4);
}

/// Checks that a shift becomes usual that keeps its hour, such as that of a job, and is told at another time.
TEST(recurringShiftsAreLearnt) {
  Shop shop;
  shop.run(kTaught);
  const auto job = [&] {
    shop.eu = 60;
    int shifts = shop.run(200);
    shop.eu = 2;
    // Its last records are in a block that ends after it.
    shifts += shop.run(64);
    return shifts;
  };
  for (int hour = 0; hour < 8; ++hour) {
    const int shifts = job();
    CHECK((shifts > 0) == (hour < 3));
    CHECK(shop.run(3'336) == 0);
  }
  CHECK(shop.run(1'800) == 0);
  CHECK(job() > 0);
}

TEST(shiftedNumbersAreTold) {
  Shop shop(2);
  CHECK(shop.run(kTaught) == 0);
  shop.slower = 1.5;
  CHECK(shop.run(64 * 4) >= 2);
  const Description& description = shop.report.description;
  CHECK(description.field == "size");
  CHECK(description.range && description.range->low > 30 && description.range->high < 130);
  CHECK(shop.explanation().starts_with("size: values around "));
}

TEST(unshiftedFieldsAreQuiet) {
  int shifts = 0;
  for (int seed = 1; seed <= 5; ++seed) shifts += Shop(static_cast<std::uint64_t>(seed)).run(20'000);
  CHECK(shifts <= 1);
}

/// Checks that an accepted shift is usual within the pardoned blocks.
TEST(acceptedSharesAreUsual) {
  Shop shop(3);
  shop.run(kTaught);
  shop.eu = 60;
  CHECK(shop.run(64 * 4) >= 2);
  std::vector<Event> events;
  CHECK(shop.b.stream.applyFeedback(shop.b.stream.anomaly().id, Feedback::Accept, events));
  CHECK(events.size() == 1);
  CHECK(shop.run(64 * 60) == 0);
  // A shift back is a shift as well.
  shop.eu = 2;
  CHECK(shop.run(64 * 4) >= 2);
}

TEST(falseShiftRaisesTheLimit) {
  const auto flaggedAgain = [](bool falseAlarm) {
    Shop shop(4);
    shop.run(kTaught);
    shop.eu = 40;
    CHECK(shop.run(64 * 2) >= 1);
    std::vector<Event> events;
    if (falseAlarm) CHECK(shop.b.stream.applyFeedback(shop.b.stream.anomaly().id, Feedback::FalseAlarm, events));
    shop.eu = 2;
    shop.run(64 * 100);
    shop.eu = 40;
    return shop.run(64 * 2);
  };
  CHECK(flaggedAgain(false) > 0);
  CHECK(flaggedAgain(true) == 0);
}

/// Checks that a shift that lasts as long as novelty takes to become normal is normal then.
TEST(lastingSharesBecomeUsual) {
  Shop shop(5);
  shop.b.settings.acceptAfterNanos = 3'600 * kSecond;
  shop.run(kTaught);
  shop.eu = 60;
  CHECK(shop.run(3'000) > 40);
  shop.run(2'000);
  CHECK(shop.run(2'000) == 0);
}

/// Checks that a restart in the middle of a block changes nothing.
TEST(goesOnWithinABlock) {
  Shop shop(6);
  shop.run(kTaught + 20);
  std::vector<std::uint8_t> bytes;
  shop.b.stream.snapshot(bytes);
  StateReader read(bytes);
  auto key = Stream::keyOf(read);
  CHECK(key.has_value());
  Stream copy(std::move(*key), shop.b.settings, shop.b.group);
  CHECK(copy.restore(read));
  shop.eu = 60;
  int shifts = 0;
  for (int i = 0; i < 64 * 3; ++i) {
    const Verdict verdict = shop.b.observe(shop.message());
    Observation observation;
    readFields(otlp::Signal::Logs, otlp::MetricType::None, shop.b.raw, observation.record);
    observation.raw = shop.b.raw;
    observation.request = shop.b.observation.request;
    std::vector<Event> events;
    CHECK(copy.observe(observation, events).pValue == verdict.pValue);
    CHECK(events.size() == shop.b.events.size());
    for (std::size_t e = 0; e < events.size(); ++e) {
      CHECK(events[e].verdict.pValue == shop.b.events[e].verdict.pValue);
      if (events[e].finding)
        CHECK(descriptionOf(copy, events[e]).sentence == descriptionOf(shop.b.stream, shop.b.events[e]).sentence);
      shifts += events[e].verdict.channel == ChannelId::Fields;
      if (!events[e].ended) copy.report(events[e].verdict, nullptr, events[e].finding.get());
    }
    if (verdict.flagged) copy.report(verdict, &observation);
  }
  CHECK(shifts > 0);
  std::vector<std::uint8_t> one, other;
  shop.b.stream.snapshot(one), copy.snapshot(other);
  CHECK(one == other);
}

/// Checks that hops with too few records for a column, and records with only a body, cost nothing.
TEST(fieldsOnlyWhereThereAreSome) {
  Settings settings = settingsOf();
  Bench plain(settings), few(Shop::settings());
  for (int i = 0; i < 400; ++i) {
    plain.clock += kSecond;
    plain.observe(logRecord(normalLine(plain.random), {.time = plain.clock, .severity = 0}));
    few.clock += kSecond;
    few.observe(logRecord(normalLine(few.random), {.time = few.clock, .severity = 9}));
  }
  CHECK(few.stream.memory() > plain.stream.memory() + sizeof(FieldsModel));
  settings.windowHop = FieldsModel::kMinBlock - 1;
  Bench hasty(settings);
  for (int i = 0; i < 400; ++i) {
    hasty.clock += kSecond;
    hasty.observe(logRecord(normalLine(hasty.random), {.time = hasty.clock, .severity = 9}));
  }
  CHECK(hasty.stream.memory() + sizeof(FieldsModel) < few.stream.memory());
}

/// Checks that a stream with ever diverse records holds at most 100 KiB at the default settings.
TEST(memoryIsBounded) {
  struct Kind {
    const char* name;
    otlp::Signal signal;
    otlp::MetricType type;
  };
  for (const Kind kind :
       {Kind{"logs", otlp::Signal::Logs, otlp::MetricType::None}, Kind{"traces", otlp::Signal::Traces, otlp::MetricType::None},
        Kind{"metrics", otlp::Signal::Metrics, otlp::MetricType::Gauge}}) {
    Settings settings = defaultSettings();
    Group group(1, 0);
    Stream stream({.hash = 1, .signal = kind.signal, .metricType = kind.type, .tenant = "t", .name = kind.name}, settings, group);
    Random random(3);
    Observation observation;
    std::vector<Event> events;
    std::size_t most = 0;
    for (std::uint32_t i = 0; i < 100'000; ++i) {
      const std::uint64_t time = kStart + i * kSecond / 20;
      std::string words;
      for (int w = 0; w < 6; ++w) {
        std::string word;
        for (std::uint32_t k = 0; k < 3 + random.below(9); ++k) word += static_cast<char>('a' + random.below(26));
        words += word + ' ';
      }
      Message message;
      if (kind.signal == otlp::Signal::Metrics) {
        message.fixed(3, time).real(4, random.below(1'000'000) * 0.37).add(7, attribute("host", words));
      } else if (kind.signal == otlp::Signal::Traces) {
        message = spanRecord(random.below(2) ? words : "op " + std::string(1, static_cast<char>('a' + random.below(26))),
                             {.time = time,
                              .duration = random.next(),
                              .trace = "trace-" + std::to_string(10'000'000 + random.below(400)),
                              .parent = "p0000000"});
      } else {
        std::vector<Message> attributes;
        for (int a = 0; a < 4; ++a) attributes.push_back(attribute(words.substr(0, 1 + random.below(6)), random.next()));
        message = logRecord(words, {.time = time,
                                    .trace = "s" + std::to_string(random.below(400)),
                                    .eventName = words.substr(0, 5),
                                    .attributes = attributes});
      }
      readFields(kind.signal, kind.type, message, observation.record);
      observation.raw = message;
      events.clear();
      const Verdict verdict = stream.observe(observation, events);
      for (const Event& event : events) {
        if (!event.ended) stream.report(event.verdict, nullptr, event.finding.get());
      }
      if (verdict.flagged) stream.report(verdict, &observation);
      most = std::max(most, stream.memory());
    }
    std::vector<std::uint8_t> snapshot;
    stream.snapshot(snapshot);
    std::printf("%s: %zu bytes at the most, snapshot %zu\n", kind.name, most, snapshot.size());
    CHECK(most <= 96 * 1024);
    CHECK(snapshot.size() <= 100 * 1024);
  }
}

/// Checks that changed bytes of a snapshot have no worse effect than another verdict.
TEST(hostileState) {
  Bench b;
  for (int i = 0; i < 400; ++i) {
    b.clock += kSecond;
    b.observe(logRecord(normalLine(b.random), {.time = b.clock, .trace = "trace-" + std::to_string(i / 5)}));
  }
  b.log(kStrange);
  std::vector<std::uint8_t> good;
  b.stream.snapshot(good);
  int taken = 0;
  Random random(11);
  for (int round = 0; round < 3'000; ++round) {
    std::vector<std::uint8_t> bytes = good;
    const int changes = 1 + static_cast<int>(random.below(3));
    for (int i = 0; i < changes; ++i)
      bytes[random.below(static_cast<std::uint32_t>(bytes.size()))] = static_cast<std::uint8_t>(random.next());
    if (round % 10 == 0) bytes.resize(random.below(static_cast<std::uint32_t>(bytes.size())));
    StateReader read(bytes);
    auto key = Stream::keyOf(read);
    if (!key) continue;
    Stream victim(std::move(*key), b.settings, b.group);
    if (!victim.restore(read)) continue;
    ++taken;
    Bench other;
    for (int i = 0; i < 3; ++i) {
      const Message message = logRecord(i == 1 ? kStrange : normalLine(random), {.time = b.clock, .trace = "trace-1"});
      readFields(otlp::Signal::Logs, otlp::MetricType::None, message, other.observation.record);
      other.observation.raw = message;
      std::vector<Event> events;
      victim.observe(other.observation, events);
    }
    std::vector<std::string> baseline, window;
    victim.windows().texts(victim.key(), victim.policy(), baseline, window);
    Description description;
    victim.find({.channel = ChannelId::Sequence}, nullptr)->describe(victim.texts(), description);
    std::vector<Event> events;
    victim.applyFeedback(victim.anomaly().id, Feedback::Accept, events);
  }
  CHECK(taken > 10);
  StateReader read(good);
  auto key = Stream::keyOf(read);
  CHECK(key.has_value());
  Stream copy(*key, b.settings, b.group);
  CHECK(copy.restore(read));
  std::vector<std::uint8_t> again;
  copy.snapshot(again);
  CHECK(again == good);
  // This is a window's record that no request could hold.
  Bench bad;
  const std::vector<std::uint8_t> broken = {0x0a, 0x7f, 1};
  Message nothing;
  bad.observation.raw = broken;
  bad.stream.observe(bad.observation, bad.events);
  std::vector<std::uint8_t> bytes;
  bad.stream.snapshot(bytes);
  StateReader in(bytes);
  auto name = Stream::keyOf(in);
  Stream victim(*name, b.settings, b.group);
  CHECK(!victim.restore(in));
}

}  // namespace
