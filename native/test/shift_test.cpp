#include "channels/shift/shift.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "requests.hpp"
#include "settings.hpp"
#include "stream/stream.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::test;
using Lesson = ShiftModel::Lesson;

namespace {

double uniform(Random& random) { return (random.next() + 0.5) / 4294967296.0; }
double normal(Random& random) {
  return std::sqrt(-2 * std::log(uniform(random))) * std::cos(6.283185307179586 * uniform(random));
}

/// What happens to the spans of one operation.
struct Fault {
  double slower = 1, errors = 0, rate = 1;
};

/// A service with three operations: a busy one, one with heavy tails that fails now and then, and a rare one.
struct Service {
  struct Kind {
    double perSecond, milliseconds, sigma, tail, errors;
  };
  std::vector<Kind> kinds = {{8, 10, 0.35, 0, 0}, {2, 40, 0.8, 0.03, 0.01}, {0.5, 100, 0.5, 0, 0}};
  Random random{1};
  double now = 1'800'000'000;
  ShiftModel model{};
  Lesson lesson = Lesson::All;
  /// The strangest tick since it was cleared, and the bits of all of them.
  ShiftFinding strangest{};
  std::vector<double> bits{};

  void run(double seconds, std::size_t victim = 0, const Fault& fault = {}) {
    double all = 0;
    for (std::size_t i = 0; i < kinds.size(); ++i) all += kinds[i].perSecond * (i == victim ? fault.rate : 1);
    for (const double end = now + seconds; now < end;) {
      now -= std::log(uniform(random)) / all;
      double left = uniform(random) * all;
      std::size_t at = 0;
      while (at + 1 < kinds.size() && (left -= kinds[at].perSecond * (at == victim ? fault.rate : 1)) > 0) ++at;
      const Kind& kind = kinds[at];
      double milliseconds = kind.milliseconds * std::exp(kind.sigma * normal(random)) * (uniform(random) < kind.tail ? 10 : 1);
      if (at == victim) milliseconds *= fault.slower;
      const bool failed = uniform(random) < kind.errors + (at == victim ? fault.errors : 0);
      if (const auto tick = model.advance(static_cast<std::uint64_t>(now * 1e9))) {
        if (tick->strangest.kind != ShiftKind::None) bits.push_back(tick->strangest.bits);
        if (tick->strangest.bits > strangest.bits) strangest = tick->strangest;
        model.settle(lesson);
      }
      model.count(static_cast<std::uint32_t>(100 + at), 2, static_cast<std::uint64_t>(milliseconds * 1e6), failed);
    }
  }
};

TEST(quietTicksAreHardlyStrange) {
  std::vector<double> bits;
  for (std::uint32_t seed = 1; seed <= 6; ++seed) {
    Service service{.random = Random(seed)};
    service.run(6 * 3600);
    bits.insert(bits.end(), service.bits.begin(), service.bits.end());
  }
  CHECK(bits.size() > 12'000);
  std::ranges::sort(bits);
  // A score of b bits has a chance of about 2^-b, for each of the statistics of each operation.
  CHECK(bits[bits.size() * 99 / 100] < 9);
  CHECK(bits.back() < 20);
}

/// Checks that no tick is compared with some of another length when the number of spans changes slowly.
TEST(ticksMayChangeTheirLength) {
  for (std::uint32_t seed = 1; seed <= 4; ++seed) {
    Service service{.kinds = {{0.15, 30, 0.5, 0, 0}, {1, 30, 0.5, 0, 0}}, .random = Random(seed)};
    for (int step = 0; step < 60; ++step) {
      for (auto& kind : service.kinds) kind.perSecond *= step < 30 ? 1.08 : 1 / 1.08;
      service.run(600);
    }
    CHECK(service.strangest.bits < 13);
  }
}

TEST(findsShiftsAfterTenMinutes) {
  const struct {
    std::size_t victim;
    Fault fault;
    ShiftKind kind;
  } cases[] = {
      {0, {.slower = 1.5}, ShiftKind::Slower}, {1, {.slower = 3}, ShiftKind::Slower},    {2, {.slower = 4}, ShiftKind::Slower},
      {0, {.slower = 0.5}, ShiftKind::Faster}, {0, {.errors = 0.05}, ShiftKind::Errors}, {1, {.errors = 0.3}, ShiftKind::Errors},
      {0, {.rate = 3}, ShiftKind::More},       {0, {.rate = 0.3}, ShiftKind::Fewer},
  };
  for (const auto& [victim, fault, kind] : cases) {
    Service service;
    service.run(600);
    const double before = *std::ranges::max_element(service.bits);
    service.strangest = {};
    // The ticks of the rare one are longer.
    service.run(victim == 2 ? 200 : 60, victim, fault);
    CHECK(service.strangest.bits > 14 && service.strangest.bits > 1.3 * before);
    // The operation itself is strange enough to be named, or it makes up most of the stream.
    CHECK(service.strangest.kind == kind || (kind == ShiftKind::Slower && service.strangest.kind == ShiftKind::Tail));
    CHECK(service.strangest.total ? victim == 0 : service.strangest.id == 100 + victim);
    const ShiftFinding& found = service.strangest;
    CHECK(found.value < found.low || found.value > found.high);
  }
}

/// Checks a change that is too small to be seen in one tick.
TEST(addsUpTicks) {
  Service service;
  service.run(1200);
  service.strangest = {};
  service.run(120, 1, {.slower = 1.7});
  CHECK(service.strangest.kind == ShiftKind::Slower && service.strangest.id == 101 && service.strangest.bits > 12);
  CHECK(service.strangest.nanos == 60'000'000'000);
}

/// Checks a change of all operations that is too small to be seen in one of them.
TEST(addsUpAllOperations) {
  Service service{.kinds = std::vector<Service::Kind>(20, {0.4, 20, 0.5, 0, 0})};
  service.run(1800);
  service.strangest = {};
  for (auto& kind : service.kinds) kind.milliseconds *= 1.5;
  service.run(60);
  CHECK(service.strangest.total && service.strangest.kind == ShiftKind::Slower && service.strangest.bits > 20);
  CHECK(std::fabs(service.strangest.value - std::log2(1.5)) < 0.2);
}

TEST(aLastingShiftIsLearnedWhenItMayBe) {
  Service service;
  service.run(1200);
  service.lesson = Lesson::Usual;
  service.run(3600, 0, {.slower = 2});
  service.strangest = {};
  service.run(600, 0, {.slower = 2});
  CHECK(service.strangest.bits > 50);
  service.lesson = Lesson::Lasting;
  service.run(300, 0, {.slower = 2});
  service.lesson = Lesson::All;
  service.run(1200, 0, {.slower = 2});
  service.strangest = {};
  service.run(600, 0, {.slower = 2});
  CHECK(service.strangest.bits < 14);
}

/// Checks that names without end take no more memory, and do not displace what is busy.
TEST(manyOperations) {
  Service service;
  service.run(600);
  Random random(4);
  for (std::uint32_t i = 0; i < 20'000; ++i) {
    const auto now = static_cast<std::uint64_t>(service.now * 1e9) + i * 20'000'000;
    if (service.model.advance(now)) service.model.settle(Lesson::All);
    service.model.count(1'000 + i, 2, random.below(1'000'000), false);
    if (i % 4 == 0) service.model.count(100, 2, 10'000'000, false);
  }
  CHECK(service.model.memory() < 8 * 1024);
  service.now += 20'000 * 0.02;
  service.strangest = {};
  service.lesson = Lesson::None;
  service.run(60, 0, {.slower = 8});
  CHECK(service.strangest.bits > 20);
}

TEST(state) {
  Service service;
  service.run(1234);
  std::vector<std::uint8_t> good, again;
  service.model.snapshot(good);
  Service copy{.random = service.random, .now = service.now};
  CHECK(copy.model.restore(good));
  copy.model.snapshot(again);
  CHECK(again == good);
  service.bits.clear();
  service.run(900, 1, {.slower = 2});
  copy.run(900, 1, {.slower = 2});
  CHECK(!service.bits.empty() && service.bits == copy.bits);
}

TEST(aModelContinuesFromWhateverItAccepts) {
  Service young, old;
  young.run(45), old.run(1234);
  Random random(9);
  for (int round = 0; round < 2'000; ++round) {
    const Service& base = round % 4 < 2 ? young : old;
    std::vector<std::uint8_t> bytes;
    base.model.snapshot(bytes);
    if (round % 2 == 0) {
      bytes[random.below(static_cast<std::uint32_t>(bytes.size()))] = static_cast<std::uint8_t>(random.next());
    } else {
      constexpr std::uint32_t kNumbers[] = {0xffffffff, 0x7149f2ca, 0x49742400, 0x447a0000, 0x00000001, 0x501502f9};
      const std::uint32_t number = kNumbers[random.below(std::size(kNumbers))];
      const std::size_t at = random.below(static_cast<std::uint32_t>(bytes.size() - 4));
      for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::uint8_t>(number >> 8 * i);
    }
    if (round % 10 == 0) bytes.resize(random.below(static_cast<std::uint32_t>(bytes.size())));
    Service victim{.now = base.now};
    if (!victim.model.restore(bytes)) continue;
    victim.run(90);
    for (const double bits : victim.bits) CHECK(bits >= 0);
    // What was accepted can be kept and restored again.
    std::vector<std::uint8_t> later;
    victim.model.snapshot(later);
    CHECK(Service().model.restore(later));
  }
}

/// Sends spans of two operations to a stream, 15 per second, of which one becomes slower. Returns the sentences on shifts
/// before and after.
std::array<std::vector<std::string>, 2> sentences(int before, double slower) {
  Settings settings = defaultSettings();
  Group group(1, 0);
  Stream stream({.hash = 1, .signal = otlp::Signal::Traces, .tenant = "t", .name = "traces"}, settings, group);
  Random random(3);
  Observation observation;
  std::vector<Event> events;
  std::array<std::vector<std::string>, 2> found;
  for (int i = 0; i < before + 1'800; ++i) {
    const bool cart = random.below(2) == 0;
    const double milliseconds = 10 * std::exp(0.35 * normal(random)) * (cart && i >= before ? slower : 1);
    const Message message =
        spanRecord(cart ? "GET /cart" : "GET /items", {.time = kStart + i * (kSecond / 15),
                                                       .duration = static_cast<std::uint64_t>(milliseconds * 1e6),
                                                       .trace = "trace-0123456789"});
    readFields(otlp::Signal::Traces, otlp::MetricType::None, message, observation.record);
    observation.raw = message;
    events.clear();
    const Verdict verdict = stream.observe(observation, events);
    if (verdict.flagged) stream.report(verdict, &observation);
    for (const Event& event : events) {
      if (event.ended) continue;
      stream.report(event.verdict, nullptr);
      Description description;
      event.finding->describe(stream.texts(), description);
      if (event.verdict.channel == ChannelId::Shift) found[i >= before].push_back(description.sentence);
    }
  }
  return found;
}

TEST(aStreamSeesIt) {
  // A stream that has learned within a minute, when the channel has judged a few ticks, and an older one.
  for (const int before : {9'000, 36'000}) {
    const auto [quiet, found] = sentences(before, 2);
    CHECK(quiet.empty());
    CHECK(!found.empty() && found[0].starts_with("Spans of \"GET /cart\" (server) took a mean of "));
    CHECK(!found.empty() && found[0].find("; usually ") != std::string::npos);
  }
}

/// The figures of calls: numbers and shares of what is so.
TEST(findsShiftsOfFigures) {
  Random random{3};
  ShiftModel model;
  double now = 1'800'000'000, most = 0;
  ShiftFinding strangest;
  const auto run = [&](int calls, double tokens, double refused) {
    for (int i = 0; i < calls; ++i) {
      now -= 12 * std::log(uniform(random));
      if (const auto tick = model.advance(static_cast<std::uint64_t>(now * 1e9))) {
        if (tick->strangest.bits > strangest.bits) strangest = tick->strangest;
        model.settle(Lesson::All);
      }
      model.countFigure(1, tokens * std::exp(0.5 * normal(random)), false);
      model.countFigure(2, 0, uniform(random) < refused);
    }
  };
  run(600, 100, 0.01);
  most = std::exchange(strangest, {}).bits;
  CHECK(most < 16);
  ShiftModel same = model;
  const double before = now;
  run(50, 100, 0.5);
  CHECK(strangest.kind == ShiftKind::Errors && strangest.id == 2 && strangest.spanKind == Operation::kFigure);
  CHECK(strangest.bits > 20);
  model = same, now = before, strangest = {};
  run(50, 300, 0.01);
  CHECK((strangest.kind == ShiftKind::Slower || strangest.kind == ShiftKind::Tail) && strangest.id == 1 && strangest.bits > 25);
}

}  // namespace
