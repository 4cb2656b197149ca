// Checkpoints: whatever was saved in whichever pieces, the engine that is restored goes on like the one that never stopped.

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/checkpoint.hpp"
#include "engine_bench.hpp"
#include "test.hpp"
#include "traffic.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

using Buffer = std::vector<std::uint8_t>;
/// The latest record of each key.
using State = std::map<Buffer, Buffer>;

Buffer copyOf(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

/// Applies records, and returns their number.
std::size_t put(State& state, Bytes records) {
  std::size_t count = 0;
  for (SavedRecord record; SavedRecord::read(records, record); ++count) {
    if (record.removed) state.erase(copyOf(record.key));
    else state[copyOf(record.key)] = copyOf(record.value);
  }
  CHECK(records.empty());
  return count;
}

std::size_t countOf(const State& state, SavedKind kind) {
  return static_cast<std::size_t>(
      std::ranges::count_if(state, [&](const auto& each) { return each.first[0] == static_cast<std::uint8_t>(kind); }));
}

/// The records in some order, in pieces.
std::vector<Buffer> shuffled(const State& state, Random& random) {
  std::vector<Buffer> records;
  for (const auto& [key, value] : state) SavedRecord{.key = key, .value = value}.write(records.emplace_back());
  for (std::size_t i = records.size(); i > 1; --i)
    std::swap(records[i - 1], records[random.below(static_cast<std::uint32_t>(i))]);
  std::vector<Buffer> pieces(1);
  for (const Buffer& record : records) {
    if (random.below(4) == 0) pieces.emplace_back();
    pieces.back().insert(pieces.back().end(), record.begin(), record.end());
  }
  return pieces;
}

std::string refusalOf(Bench& bench, const State& state, Random& random) {
  Restoration restoration;
  for (const Buffer& piece : shuffled(state, random)) bench.engine.restore(restoration, piece);
  return bench.engine.completeRestore(restoration, true);
}

/// Calls of an engine: requests of tenants, instances that come and go, services that give way to others, time that passes, and
/// feedback.
class Calls {
 public:
  struct Outcome {
    std::shared_ptr<Task> task;
    bool found = false;
  };
  using Call = std::function<Outcome(Bench&)>;

  Call next() {
    ++step_;
    switch (random_.below(8)) {
      case 0: return instances();
      case 1: return services();
      case 2: {
        const std::uint64_t passed = random_.below(60) * kSecond + 1;
        return [=](Bench& bench) { return Outcome{bench.advance(passed, {"other"})}; };
      }
      case 3: {
        const bool accept = random_.below(2) == 0;
        const std::string id = anomaly_;
        return [=](Bench& bench) {
          FeedbackVisit word("default", id, accept ? Feedback::Accept : Feedback::FalseAlarm);
          bench.visit([&](std::uint32_t, Shard& shard) { word.visit(shard); });
          return Outcome{nullptr, word.found()};
        };
      }
      case 4: {
        if (random_.below(20) > 0) break;
        return [](Bench& bench) {
          auto task = std::make_shared<Task>();
          task->interrupts = true;
          task->visit = [](std::uint32_t, Shard& shard) { shard.interrupt(true); };
          bench.run(task);
          return Outcome{task};
        };
      }
    }
    const Traffic::Step step = traffic_.next();
    const std::string tenant = step_ % 5 == 0 ? "other" : "default";
    return [=](Bench& bench) { return Outcome{bench.process(step.signal, step.bytes, tenant)}; };
  }

  /// Notes what the engine that never stops answered.
  void hear(const Outcome& outcome) {
    if (!outcome.task) return;
    for (const Told& told : toldBy(*outcome.task)) anomaly_ = told.id;
  }

 private:
  Call instances() {
    const std::string name = "pod-" + std::to_string(random_.below(3) + step_ / 100);
    const Message resource = Message().add(1, attribute("service.name", "cart")).add(1, attribute("service.instance.id", name));
    std::vector<Message> points;
    for (int i = 0; i < 8; ++i) points.push_back(Message().fixed(3, clock_ += kSecond / 4).real(4, random_.below(50)));
    return send(otlp::Signal::Metrics, Message().add(1, Message().add(1, resource).add(2, Message().add(2, gaugeOf(points)))));
  }
  Call services() {
    std::vector<Message> lines;
    for (int i = 0; i < 40; ++i) lines.push_back(logRecord(normalLine(random_), {.time = clock_ += kSecond / 8}));
    return send(otlp::Signal::Logs, request("guest-" + std::to_string(random_.below(40)), lines));
  }
  static Message gaugeOf(const std::vector<Message>& points) {
    Message gauge;
    for (const Message& point : points) gauge.add(1, point);
    return Message().text(1, "heap.size").add(5, gauge);
  }
  static Call send(otlp::Signal signal, const Message& bytes) {
    return [=](Bench& bench) { return Outcome{bench.process(signal, bytes)}; };
  }

  Random random_{11};
  Traffic traffic_;
  std::uint32_t step_ = 0;
  std::uint64_t clock_ = kStart;
  std::string anomaly_ = "none";
};

Settings small(std::uint32_t threads) {
  Settings settings = settingsOf(threads);
  settings.instanceBy = {"service.instance.id"};
  settings.baselineRecords = 64;
  // So few that streams give way to others all the time.
  settings.maxStreams = 1;
  settings.streamsPerTenant = 200;
  settings.alarmsPerTenantPerDay = 50;
  settings.alarmsPerProcessPerDay = 70;
  return settings;
}

bool equal(const Calls::Outcome& a, const Calls::Outcome& b) {
  if (a.found != b.found || !a.task != !b.task) return false;
  return !a.task || driftlock::test::same(*a.task, *b.task);
}

/// Checks that what changed since the last checkpoint, added to what was saved before, is what a copy of everything says,
/// although judging goes on while it is read; and that an engine restored from it goes on like the one that it is of.
TEST(changesAddUpToEverything) {
  Bench bench(small(1));
  Calls calls;
  Random random(3);
  State state;
  std::vector<State> states;
  std::vector<std::vector<Calls::Call>> after;
  std::vector<std::vector<Calls::Outcome>> outcomes;
  const auto call = [&] {
    const Calls::Call next = calls.next();
    const Calls::Outcome outcome = next(bench);
    calls.hear(outcome);
    for (auto& each : after) each.push_back(next);
    for (auto& each : outcomes) each.push_back(outcome);
  };
  std::size_t records = 0, everything = 0, removed = 0;
  for (int round = 0; round < 40; ++round) {
    for (std::uint32_t i = random.below(30); i > 0; --i) call();
    State whole;
    put(whole, bench.snapshot());
    // Some are given up, after which all has to be saved again.
    const bool givenUp = round % 9 == 5;
    const auto checkpoint = bench.checkpoint(round % 9 == 6 ? CheckpointOf::All : CheckpointOf::Changes);
    const std::size_t before = after.size();
    if (!givenUp) after.emplace_back(), outcomes.emplace_back();
    State next = state;
    for (Buffer piece = bench.step(*checkpoint); !piece.empty(); piece = bench.step(*checkpoint)) {
      records += put(next, piece);
      for (std::uint32_t i = random.below(6); i > 0; --i) call();
      if (givenUp) break;
    }
    bench.end(*checkpoint);
    if (givenUp) continue;
    for (const auto& [key, value] : state) removed += !next.contains(key);
    CHECK(next == whole);
    everything += whole.size();
    CHECK(after.size() == before + 1);
    states.push_back(state = std::move(next));
  }
  CHECK(records < everything);
  CHECK(removed > 20);
  CHECK(bench.engine.stats().evicted > 100);
  CHECK(countOf(state, SavedKind::Stream) > 10 && countOf(state, SavedKind::Group) > 5 &&
        countOf(state, SavedKind::PutAside) > 5);
  const Buffer last = bench.snapshot();
  for (std::size_t i = 0; i < states.size(); i += 5) {
    Bench restored(small(1 + i % 3));
    CHECK(refusalOf(restored, states[i], random).empty());
    bool identical = true;
    for (std::size_t k = 0; k < after[i].size(); ++k) identical = equal(after[i][k](restored), outcomes[i][k]) && identical;
    CHECK(identical);
    CHECK(restored.snapshot() == last);
    // What changed since it was restored adds up to everything, too.
    put(states[i], restored.records(CheckpointOf::Changes));
    State whole;
    put(whole, last);
    CHECK(states[i] == whole);
  }
}

/// Checks that a set of records is refused if one is missing, altered, stale or of another engine, and that the engine can be
/// restored from the right ones afterwards.
TEST(onlyWholeCheckpointsAreRestored) {
  Bench bench(small(2));
  Calls calls;
  Random random(5);
  State before, state;
  for (int i = 0; i < 150; ++i) calls.next()(bench);
  put(before, bench.records(CheckpointOf::Changes));
  for (int i = 0; i < 50; ++i) calls.next()(bench);
  state = before;
  put(state, bench.records(CheckpointOf::Changes));

  Bench other(small(1));
  CHECK(refusalOf(other, {}, random) == "its head is missing");
  std::size_t stale = 0;
  for (const auto& [key, value] : state) {
    const bool head = key[0] == static_cast<std::uint8_t>(SavedKind::Head);
    State changed = state;
    changed.erase(key);
    const std::string missing = head ? "its head is missing" : "records are missing, or are of different checkpoints";
    CHECK(refusalOf(other, changed, random) == missing);
    changed = state;
    Buffer& bytes = changed[key];
    bytes[random.below(static_cast<std::uint32_t>(bytes.size()))] ^= static_cast<std::uint8_t>(1 + random.below(255));
    CHECK(!refusalOf(other, changed, random).empty());
    if (const auto old = before.find(key); old != before.end() && old->second != value) {
      changed = state;
      changed[key] = old->second;
      CHECK(!refusalOf(other, changed, random).empty());
      ++stale;
    }
    CHECK(other.engine.stats().streams == 0);
  }
  CHECK(stale > 5);
  State twice = before;
  twice.insert(state.begin(), state.end());
  if (twice.size() > state.size()) CHECK(!refusalOf(other, twice, random).empty());

  Settings settings = small(1);
  settings.hashKey[3] = 1;
  Bench stranger(settings);
  CHECK(refusalOf(stranger, state, random) == "an engine with another hash key wrote it");
  settings = small(1);
  settings.dictionarySize = 128;
  Bench smaller(settings);
  CHECK(refusalOf(smaller, state, random) == "it is damaged, or an engine with other settings wrote it");

  CHECK(refusalOf(other, state, random).empty());
  CHECK(other.snapshot() == bench.snapshot());
}

}  // namespace
