#include "channels/silence.hpp"

#include <cmath>
#include <map>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "engine/clocks.hpp"
#include "engine_bench.hpp"
#include "requests.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

constexpr std::uint64_t kMinute = 60 * kSecond, kHour = 60 * kMinute, kDay = 24 * kHour;

/// Checks that the median of nine requests moves the clock; a few wrong clocks do not, nor does a time without requests.
TEST(clockOfMany) {
  CommonClock clock;
  for (std::uint64_t i = 0; i <= 100; ++i) clock.observe(kStart + i * kSecond);
  CHECK(clock.moment().event == kStart + 96 * kSecond && clock.moment().front == kStart + 98 * kSecond);
  const std::uint64_t before = clock.moment().now;
  for (std::uint64_t i = 101; i <= 200; ++i) {
    // Every third sender is an hour ahead, and one is in 1970.
    clock.observe(i % 3 == 0 ? kStart + i * kSecond + kHour : i % 10 == 1 ? kSecond : kStart + i * kSecond);
  }
  CHECK(clock.moment().event < kStart + 210 * kSecond && clock.moment().event > kStart + 180 * kSecond);
  CHECK(clock.moment().front >= clock.moment().event && clock.moment().front <= clock.moment().event + kMinute);
  CHECK(clock.moment().now - before < 115 * kSecond);

  const Moment outage = clock.moment();
  for (std::uint64_t i = 0; i < 20; ++i) clock.observe(kStart + 5 * kHour + i * kSecond);
  CHECK(clock.moment().event > kStart + 5 * kHour);
  CHECK(clock.moment().now - outage.now < 2 * kMinute + 20 * kSecond);

  // A clock that was ahead goes back in event time, but `now` does not.
  const Moment ahead = clock.moment();
  for (std::uint64_t i = 0; i < 80; ++i) clock.observe(kStart + kHour + i * kSecond);
  CHECK(clock.moment().event < kStart + 2 * kHour && clock.moment().front <= clock.moment().event + kMinute);
  CHECK(clock.moment().now >= ahead.now && clock.moment().now < ahead.now + 2 * kMinute);

  const Moment quiet = clock.moment();
  clock.pass(10 * kSecond);
  CHECK(clock.moment().now == quiet.now + 10 * kSecond && clock.moment().event == quiet.event + 10 * kSecond);
  clock.observe(0);
  clock.observe(UINT64_MAX);
  CHECK(clock.moment().now == quiet.now + 10 * kSecond);
}

/// Checks that requests move only their tenant's clock, and that time without requests moves those of inactive tenants.
TEST(clocksOfTenants) {
  Clocks clocks;
  Moment a, b;
  for (std::uint64_t i = 0; i < 40; ++i) {
    CHECK(clocks.observe("a", kStart + i * kSecond, a) == (i < 9 ? i % 2 == 1 : true));
    clocks.observe("b", kStart + (i < 20 ? 0 : i * kHour), b);
  }
  clocks.observe("a", kStart + 40 * kSecond, a);
  CHECK(a.event == kStart + 36 * kSecond);
  const auto moved = clocks.pass(10 * kSecond, {"b"});
  CHECK(moved.size() == 1 && moved[0].first == "a" && moved[0].second.now == a.now + 10 * kSecond);
  CHECK(clocks.pass(10 * kSecond, {}).size() == 2);

  std::vector<std::uint8_t> bytes;
  clocks.snapshot(bytes);
  Clocks same;
  CHECK(same.restore(bytes));
  std::vector<std::uint8_t> again;
  same.snapshot(again);
  CHECK(again == bytes);
  Moment x, y;
  for (std::uint64_t i = 90; i < 120; ++i)
    CHECK(same.observe("a", kStart + i * kSecond, x) == clocks.observe("a", kStart + i * kSecond, y));
  CHECK(x.now == y.now && x.event == y.event);
  bytes.pop_back();
  CHECK(!Clocks().restore(bytes));

  // If there are too many tenants, the least recently active one's clock is reset.
  for (int i = 0; i < 10'001; ++i) clocks.observe("t" + std::to_string(i), kStart, x);
  clocks.observe("a", kStart, x);
  CHECK(x.now < a.now);
}

/// Checks that recurring gaps are usual, that a longer one is as rare as they are many, and that an outage is learned in part.
TEST(gaps) {
  Silence silence;
  std::uint64_t now = 1;
  const auto hear = [&](std::uint64_t gap) {
    now += gap;
    silence.hear({now, kStart + now});
  };
  hear(0);
  for (int i = 0; i < 2'000; ++i) hear(kMinute + static_cast<std::uint64_t>(i % 5) * kSecond);
  CHECK(silence.learnt() == 2'000);
  CHECK(silence.chance(kMinute) > 0.5);
  CHECK(silence.chance(10 * kMinute) < 1e-4);
  const std::uint64_t limit = silence.after(1e-4);
  CHECK(limit > 90 * kSecond && limit < 10 * kMinute);
  CHECK(silence.chance(limit) <= 1e-4);
  CHECK(silence.after(1e-12) > limit && silence.chance(silence.after(1e-12) - kSecond) > 1e-12);
  // A few seconds more than ever before are not reported, however rare they are.
  CHECK(silence.chance(66 * kSecond) < 1e-3 && silence.after(1e-3) >= 2 * kMinute);

  CHECK(silence.lasting({now + kHour, 0}) == kHour && silence.shown({now + kHour, kStart + now + 2 * kHour}) == 2 * kHour);
  silence.judged({now + limit, kStart + now + limit});
  CHECK(silence.isJudged());
  hear(12 * kHour);
  CHECK(!silence.isJudged());
  CHECK(silence.after(1e-4) < kHour);
  // A person accepts it as normal.
  silence.judged({now + limit, 0});
  silence.accept();
  hear(12 * kHour);
  CHECK(silence.after(1e-4) > 11 * kHour || silence.after(1e-4) == 0);

  std::vector<std::uint8_t> bytes;
  silence.snapshot(bytes);
  Silence same;
  CHECK(same.restore(bytes) && same.chance(kHour) == silence.chance(kHour) && same.heard().now == now);
  for (std::size_t i = 0; i < bytes.size(); i += 7) {
    auto cut = bytes;
    cut.resize(i);
    CHECK(!Silence().restore(cut));
  }
  // A clock that starts anew reveals no gap.
  const std::uint64_t learnt = silence.learnt();
  now = 1;
  hear(0);
  CHECK(silence.learnt() == learnt && silence.lasting({now, 0}) == 0);
}

/// One of many senders, with the timing of its requests.
struct Sender {
  std::string name;
  std::uint32_t records;
  /// The seconds to the next request, by the hour of the day and a random number in [0, 1).
  double (*gap)(double hour, double u);
  /// The largest delay of its records before the request.
  std::uint64_t late = 0;
};

double exponential(double mean, double u) { return -std::log(1 - u) * mean; }

const std::vector<Sender>& senders() {
  static const std::vector<Sender> all = {
      {"steady", 1, [](double, double u) { return exponential(5, u); }},
      {"flushes", 4, [](double, double) { return 10.0; }},
      {"minutely", 1, [](double, double u) { return 59 + 2 * u; }},
      {"batches", 40, [](double, double u) { return 58 + 4 * u; }},
      {"late", 20, [](double, double u) { return 30 + 60 * u; }, 40 * kSecond},
      {"hourly", 100, [](double, double u) { return 3'600 + 60 * u; }},
      {"daily", 1, [](double h, double u) { return exponential(std::pow(10, 1.5 - 1 * std::sin((h - 6) / 24 * 6.2831853)), u); }},
  };
  return all;
}

/// The requests of all senders in the order of time, starting at midnight.
class Day {
 public:
  struct Step {
    const Sender* sender;
    std::uint64_t time;
    Message bytes;
  };

  Day() {
    for (std::size_t i = 0; i < senders().size(); ++i) next_.push({static_cast<double>(random_.below(60)), i});
  }

  Step next() {
    const auto [at, i] = next_.top();
    next_.pop();
    const Sender& sender = senders()[i];
    const std::uint64_t time = kStart - kStart % kDay + static_cast<std::uint64_t>(at * 1e9);
    next_.push({at + sender.gap(std::fmod(at / 3'600, 24), random_.below(1'000'000) / 1e6), i});
    std::vector<Message> records;
    const std::uint64_t late = sender.late == 0 ? 0 : random_.next() % (sender.late / 1'000'000) * 1'000'000;
    for (std::uint32_t k = 0; k < sender.records; ++k) {
      records.push_back(logRecord(normalLine(random_), {.time = time - late - (sender.records - k) * kSecond / 8}));
    }
    return {&sender, time, request(sender.name, records)};
  }

 private:
  Random random_{17};
  std::priority_queue<std::pair<double, std::size_t>, std::vector<std::pair<double, std::size_t>>, std::greater<>> next_;
};

Settings silenceSettings(std::uint32_t threads) {
  Settings settings = settingsOf(threads);
  settings.alarmsPerStreamPerDay = 4;
  settings.baselineRecords = 500;
  settings.permutations = 0;
  return settings;
}

std::vector<Told> silencesOf(const Task& task) {
  std::vector<Told> silences;
  for (const Told& told : toldBy(task)) {
    if (told.explanation.starts_with("No records for ")) silences.push_back(told);
  }
  return silences;
}

/// Checks that streams of all kinds raise hardly any alarms; each that stops is reported once, soon, on any number of
/// threads, and the anomaly ends when the stream comes back.
TEST(streamsThatStop) {
  Bench one(silenceSettings(1)), eight(silenceSettings(8));
  Day day;
  std::map<std::string, int> before, after;
  std::map<std::string, std::uint64_t> toldAt;
  bool equal = true;
  const std::uint64_t midnight = kStart - kStart % kDay, stop = midnight + kDay + 12 * kHour, resume = stop + 2 * kHour;
  std::map<std::string, Told> open;
  std::size_t ended = 0;
  for (Day::Step step = day.next(); step.time < resume + kHour; step = day.next()) {
    const bool stops = step.sender->name != "steady" && step.sender->name != "daily" && step.sender->name != "hourly";
    if (stops && step.time >= stop && step.time < resume) continue;
    const auto a = one.process(otlp::Signal::Logs, step.bytes), b = eight.process(otlp::Signal::Logs, step.bytes);
    equal = equal && same(*a, *b);
    for (const Told& told : silencesOf(*a)) {
      const std::string name = told.stream.substr(told.stream.find('=') + 1);
      ++(step.time < stop ? before : after)[name];
      if (step.time < stop) continue;
      CHECK(told.channel == static_cast<std::uint64_t>(ChannelId::Volume) && told.severity >= 2 && told.occurrence == 1);
      CHECK(told.start < stop + 5 * kSecond && told.end > told.start + kMinute);
      toldAt[name] = step.time - stop;
      open.emplace(told.id, told);
    }
    for (const Told& told : toldBy(*a)) {
      if (!told.ended || !open.contains(told.id)) continue;
      ++ended;
      CHECK(told.explanation == "Records come again: the silence is over");
      CHECK(told.end > resume - 2 * kMinute && step.time >= resume);
    }
  }
  CHECK(equal);
  CHECK(one.snapshot() == eight.snapshot());
  int alarms = 0;
  for (const auto& [name, n] : before) alarms += n;
  CHECK(alarms <= 2);
  CHECK(after.size() == 4 && ended == 4);
  for (const auto& [name, n] : after) CHECK(n == 1);
  CHECK(toldAt["flushes"] < 4 * kMinute);
  for (const auto& [name, delay] : toldAt) CHECK(delay < (name == "late" ? 60 : 10) * kMinute);
}

/// Checks that time passes from outside for a process without any requests; a restart in between changes nothing.
TEST(nobodySpeaks) {
  Bench one(silenceSettings(1));
  Random random(3);
  std::uint64_t clock = kStart;
  for (int i = 0; i < 20'000; ++i, clock += 5 * kSecond) {
    const std::string name = "service-" + std::to_string(i % 2);
    one.process(otlp::Signal::Logs, request(name, {logRecord(normalLine(random), {.time = clock})}));
    // A stream with few records so far is not missed.
    if (i % 1'000 == 0) one.process(otlp::Signal::Logs, request("young", {logRecord(normalLine(random), {.time = clock})}));
  }
  Bench two(silenceSettings(3));
  CHECK(two.restore(one.snapshot()));
  std::vector<Told> told;
  for (int i = 0; i < 360; ++i) {
    const auto a = one.advance(10 * kSecond), b = two.advance(10 * kSecond);
    CHECK(same(*a, *b));
    for (const Told& each : toldBy(*a)) told.push_back(each);
  }
  CHECK(told.size() == 2);
  for (const Told& each : told) CHECK(each.explanation.starts_with("No records for ") && !each.ended && each.occurrence == 1);
  CHECK(told[0].explanation.find("usually one every 10 s") != std::string::npos);
  CHECK(one.advance(10 * kSecond, {"default"})->anomalies.empty());

  clock += kHour;
  const Message again = request("service-0", {logRecord(normalLine(random), {.time = clock})});
  const auto a = toldBy(*one.process(otlp::Signal::Logs, again)), b = toldBy(*two.process(otlp::Signal::Logs, again));
  CHECK(a.size() == 1 && b.size() == 1);
  CHECK(a[0].ended && a[0].id == b[0].id);
}

/// Checks that feedback on a silence is applied: an accepted one is not reported again.
TEST(acceptedSilence) {
  Bench bench(silenceSettings(1));
  Random random(5);
  std::uint64_t clock = kStart;
  const auto speak = [&](const char* service) {
    return bench.process(otlp::Signal::Logs, request(service, {logRecord(normalLine(random), {.time = clock})}));
  };
  /// Runs an hour in which the first service is active, then one in which it is silent.
  const auto round = [&] {
    std::vector<Told> told;
    for (int i = 0; i < 1'440; ++i, clock += 5 * kSecond) {
      if (i < 720) speak("office");
      for (const Told& each : silencesOf(*speak("busy"))) told.push_back(each);
    }
    return told;
  };
  for (int i = 0; i < 8'000; ++i, clock += 5 * kSecond) speak("office"), speak("busy");
  const auto first = round();
  CHECK(first.size() == 1);
  if (first.empty()) return;
  FeedbackVisit word("default", first[0].id, Feedback::Accept);
  bench.visit([&](std::uint32_t, Shard& shard) { word.visit(shard); });
  CHECK(word.found());
  CHECK(!word.ended().empty());
  for (int i = 0; i < 3; ++i) CHECK(round().empty());
}

}  // namespace
