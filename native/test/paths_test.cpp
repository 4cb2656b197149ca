#include "channels/paths/paths.hpp"

#include <string>

#include "requests.hpp"
#include "settings.hpp"
#include "stream/stream.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::test;
using Lesson = PathModel::Lesson;

namespace {

constexpr std::uint32_t kRoot = 1, kQuery = 2, kCache = 3, kDay = 86'400;

/// Runs a trace of a root with two children, one of which may be under the other, with the root first or last.
double trace(PathModel& model, std::uint64_t number, bool rootFirst, bool astray = false, Lesson lesson = Lesson::Learn,
             std::uint32_t now = 1) {
  const std::uint64_t root = 1 + number * 7'777'777'777, cache = root + 1, query = root + 2;
  double most = 0;
  const auto span = [&](std::uint64_t id, std::uint64_t parent, std::uint32_t name) {
    const auto finding = model.observe(id, parent, name);
    if (finding) most = std::max(most, finding->bits);
    model.settle(finding && finding->bits > 4 ? lesson : Lesson::Learn, now, kDay);
  };
  if (rootFirst) span(root, 0, kRoot);
  span(cache, root, kCache);
  span(query, astray ? cache : root, kQuery);
  if (!rootFirst) span(root, 0, kRoot);
  return most;
}

TEST(wrongParentCosts) {
  PathModel model;
  for (std::uint64_t i = 0; i < 500; ++i) CHECK(trace(model, i, i % 2 == 0) < (i < 2 ? 3 : 0.1));
  for (const bool rootFirst : {false, true}) {
    const double bits = trace(model, 1'000 + rootFirst, rootFirst, true, Lesson::Strange);
    CHECK(bits > 9 && bits < 11);
    CHECK(trace(model, 2'000 + rootFirst, rootFirst) < 0.1);
  }
}

TEST(namesTheUsualParent) {
  PathModel model;
  for (std::uint64_t i = 0; i < 100; ++i) trace(model, i, true);
  model.observe(11, 0, kCache);
  const auto finding = model.observe(12, 11, kQuery);
  CHECK(finding && finding->parent == kCache && finding->child == kQuery && finding->usual == kRoot);
}

/// Checks that unknown parents make no pair, and that all of a parent's many children are seen.
TEST(remoteParentsAndManyChildren) {
  PathModel model;
  for (std::uint64_t i = 0; i < 1'000; ++i) CHECK(!model.observe(5'000'000 + i, 1'000'000'000 + i, kQuery));
  for (std::uint64_t i = 0; i < 40; ++i) CHECK(!model.observe(100 + i, 77, kCache));
  CHECK(model.observe(77, 0, kRoot).has_value());
  for (std::uint64_t i = 0; i < 40; ++i) CHECK(model.observe(200 + i, 77, kCache).has_value());
}

/// Checks that a child of many parents is not strange under one more.
TEST(promiscuousChildren) {
  PathModel model;
  Random random(1);
  double most = 0;
  for (std::uint64_t i = 0; i < 4'000; ++i) {
    model.observe(2 * i + 1'000, 0, 100 + random.below(500));
    model.settle(Lesson::Learn, 1, kDay);
    const auto finding = model.observe(2 * i + 1'001, 2 * i + 1'000, kQuery);
    CHECK(finding.has_value());
    if (i > 1'000) most = std::max(most, finding->bits);
    model.settle(Lesson::Learn, 1, kDay);
  }
  CHECK(most < 8);
}

TEST(aNewPathBecomesNormal) {
  PathModel model;
  for (std::uint64_t i = 0; i < 500; ++i) trace(model, i, false);
  std::uint32_t hour = 0;
  for (; hour < 24; ++hour) CHECK(trace(model, 1'000 + hour, false, true, Lesson::Strange, 1 + hour * 3'600) > 9);
  trace(model, 2'000, false, true, Lesson::Strange, 1 + hour * 3'600);
  CHECK(trace(model, 2'001, false, true) < 4);
  PathModel other;
  for (std::uint64_t i = 0; i < 500; ++i) trace(other, i, false);
  CHECK(trace(other, 1'000, false, true, Lesson::Accept) > 9);
  CHECK(trace(other, 1'001, false, true) < 4);
}

/// Checks that a rare pair stays as rare as it is, although whoever judges it never lets it be learned as usual.
TEST(theUsualIsNeverMadeRarer) {
  PathModel model;
  double most = 0, latest = 0;
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    const bool rare = i % 200 == 0;
    const double bits = trace(model, i, true, rare, i < 1'000 ? Lesson::Learn : Lesson::Strange);
    if (!rare || i < 1'000) continue;
    most = std::max(most, bits);
    latest = bits;
  }
  CHECK(most < 9.5 && latest > 5);
}

TEST(state) {
  PathModel model;
  Random random(2);
  for (std::uint64_t i = 0; i < 600; ++i) trace(model, i, random.below(2) == 0, random.below(20) == 0);
  model.observe(999, 998, kQuery);
  model.settle(Lesson::Learn, 1, kDay);
  std::vector<std::uint8_t> good, again;
  model.snapshot(good);
  PathModel copy;
  CHECK(copy.restore(good));
  copy.snapshot(again);
  CHECK(again == good);
  PathModel third;
  CHECK(third.restore(good));
  const auto waited = third.observe(998, 0, kRoot);
  CHECK(waited && waited->child == kQuery);
  for (std::uint64_t i = 600; i < 900; ++i)
    CHECK(trace(model, i, i % 2 == 0, i % 9 == 0) == trace(copy, i, i % 2 == 0, i % 9 == 0));
  for (int round = 0; round < 3'000; ++round) {
    std::vector<std::uint8_t> bytes = good;
    bytes[random.below(static_cast<std::uint32_t>(bytes.size()))] = static_cast<std::uint8_t>(random.next());
    if (round % 10 == 0) bytes.resize(random.below(static_cast<std::uint32_t>(bytes.size())));
    PathModel victim;
    if (!victim.restore(bytes)) continue;
    for (std::uint64_t i = 0; i < 5; ++i) CHECK(trace(victim, i, i % 2 == 0, true) >= 0);
  }
  CHECK(model.memory() < 8 * 1024);
}

/// Checks a trace with the same names in the same order, but one span under another parent.
TEST(aStreamSeesIt) {
  Settings settings = defaultSettings();
  Group group(1, 0);
  Stream stream({.hash = 1, .signal = otlp::Signal::Traces, .tenant = "t", .name = "traces"}, settings, group);
  Random random(3);
  Observation observation;
  std::vector<Event> events;
  int number = 0;
  ChannelId flagged = ChannelId::None;
  double limit = 0;
  const auto visit = [&](bool astray) {
    ++number;
    const auto id = [&](char c) { return std::string(1, c) + std::to_string(1'000'000 + number); };
    const std::uint64_t time = kStart + static_cast<std::uint64_t>(number) * 60 * kSecond;
    const auto span = [&](const char* name, const std::string& own, const std::string& parent, std::uint64_t at) {
      const Message message = spanRecord(name, {.time = time + at * 1'000'000,
                                                .duration = 900'000 + random.below(200'000),
                                                .trace = "trace-" + id('t'),
                                                .span = own,
                                                .parent = parent});
      readFields(otlp::Signal::Traces, otlp::MetricType::None, message, observation.record);
      observation.raw = message;
      events.clear();
      const Verdict verdict = stream.observe(observation, events);
      if (!verdict.flagged) return;
      stream.report(verdict, &observation);
      flagged = verdict.channel;
      limit = verdict.limit;
    };
    span("GET cache", id('c'), id('r'), 1);
    span("SELECT products", id('q'), astray ? id('c') : id('r'), 2);
    span("GET /search", id('r'), "", 0);
  };
  for (int i = 0; i < 3'000; ++i) visit(false);
  CHECK(flagged == ChannelId::None);
  visit(true);
  CHECK(flagged == ChannelId::Paths && infoOf(flagged).name == "sequence");
  CHECK(limit > 0 && limit < 9);
}

}  // namespace
