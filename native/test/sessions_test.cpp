#include "channels/sequence/sessions.hpp"

#include <vector>

#include "requests.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::test;
using Lesson = Sessions::Lesson;

namespace {

double run(Sessions& channel, std::uint64_t key, const std::vector<std::uint32_t>& ids, Lesson lesson,
           std::uint64_t time = kStart) {
  SequenceVerdict verdict;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    verdict = channel.observe(key, ids[i], i + 1 == ids.size(), time);
    channel.accept(lesson);
  }
  CHECK(verdict.ended);
  return verdict.score;
}

TEST(learnsWholeSessions) {
  Sessions channel;
  const std::vector<std::uint32_t> normal = {1, 2, 3, 4};
  for (std::uint64_t i = 1; i <= 60; ++i) run(channel, i, normal, Lesson::Learn);
  const double usual = run(channel, 100, normal, Lesson::Known);
  CHECK(run(channel, 101, {1, 3, 2, 4}, Lesson::Strange) > usual + 2);
  CHECK(run(channel, 102, {1, 2}, Lesson::Strange) > usual + 2);
  // Nothing is learned from strange sessions, not even if they come again and again.
  const double strange = run(channel, 103, {1, 2, 9, 4}, Lesson::Strange);
  for (std::uint64_t i = 200; i < 220; ++i) CHECK(run(channel, i, {1, 2, 9, 4}, Lesson::Strange) == strange);
  // A session that was strange once stays strange.
  channel.observe(300, 1, false, kStart);
  channel.accept(Lesson::Strange);
  channel.observe(300, 9, false, kStart);
  channel.accept(Lesson::Learn);
  channel.observe(300, 4, true, kStart);
  channel.accept(Lesson::Learn);
  CHECK(run(channel, 301, {1, 9, 4}, Lesson::Strange) > usual + 2);
  // What is learned is usual.
  for (std::uint64_t i = 400; i < 440; ++i) run(channel, i, {1, 2, 9, 4}, Lesson::Learn);
  CHECK(run(channel, 500, {1, 2, 9, 4}, Lesson::Known) < strange - 2);
}

/// Checks that a session's score is told apart from what its current id adds.
TEST(scoresStandUntilTheyRise) {
  Sessions channel;
  for (std::uint64_t i = 1; i <= 60; ++i) run(channel, i, {1, 2, 3, 4, 5, 6}, Lesson::Learn);
  const std::pair<std::uint32_t, bool> ids[] = {{1, false}, {9, false}, {2, false}, {3, true}, {8, false}, {5, false}, {6, true}};
  for (const auto& [id, stands] : ids) {
    const SequenceVerdict verdict = channel.observe(100, id, false, kStart);
    channel.accept(Lesson::Strange);
    CHECK(verdict.stands == stands);
  }
}

/// Checks that a session which ends strange names what made it strange, and the cost of that.
TEST(namesWhatIsToBlame) {
  Sessions channel;
  for (std::uint64_t i = 1; i <= 60; ++i) run(channel, i, {1, 2, 3, 4}, Lesson::Learn);
  const auto breakOff = [&](std::uint64_t key, const std::vector<std::uint32_t>& ids) {
    for (const std::uint32_t id : ids) {
      channel.observe(key, id, false, kStart);
      channel.accept(Lesson::Known);
    }
    const SequenceVerdict verdict = *channel.expire(kStart + 60 * kSecond);
    channel.accept(Lesson::Strange);
    return verdict;
  };
  const SequenceVerdict early = breakOff(100, {1, 9, 2, 3, 4});
  CHECK(early.score > 0 && early.bits > 2 && channel.expired().id == 9 && channel.expired().earlier);
  CHECK(channel.expected(channel.expired(), 1).front().id == 2);
  const SequenceVerdict atTheEnd = breakOff(101, {1, 2});
  CHECK(atTheEnd.score > 0 && atTheEnd.bits > 2 && channel.expired().id == kEndOfSession && !channel.expired().earlier);
  CHECK(channel.expected(channel.expired(), 1).front().id == 3);
  // The last record of a session that says where it ends.
  run(channel, 102, {1, 9, 2, 3, 4}, Lesson::Strange);
  CHECK(channel.observed().id == 9 && channel.observed().earlier);
  run(channel, 103, {1, 2, 3, 9}, Lesson::Strange);
  CHECK(channel.observed().id == 9);
}

TEST(modelsBecomeCertain) {
  Sessions channel;
  const std::vector<std::uint32_t> normal = {1, 2, 3, 4};
  std::uint64_t key = 1;
  for (; key <= 30; ++key) run(channel, key, normal, Lesson::Learn);
  const double young = run(channel, 100'000, {1, 2, 4}, Lesson::Strange);
  CHECK(!channel.certain());
  for (; !channel.certain(); ++key) run(channel, key, normal, Lesson::Learn);
  CHECK(key > 1'000 && key < 2'000);
  CHECK(run(channel, 100'001, {1, 2, 4}, Lesson::Strange) > young + 4);
}

TEST(sessionsAreToldApart) {
  Sessions channel;
  for (std::uint64_t i = 1; i <= 60; ++i) run(channel, i, {1, 2, 3, 4}, Lesson::Learn);
  const double alone = run(channel, 99, {1, 2, 3, 4}, Lesson::Known);
  double a = 0, b = 0;
  for (const std::uint32_t id : {1u, 2u, 3u, 4u}) {
    a = channel.observe(1'001, id, id == 4, kStart).score;
    channel.accept(Lesson::Known);
    b = channel.observe(1'002, id, id == 4, kStart).score;
    channel.accept(Lesson::Known);
  }
  CHECK(a == alone && b == alone);
}

/// Checks that a session which ends quietly is no news in a stream so busy that sessions made room for others until then.
TEST(evictedSessionsEnd) {
  Sessions channel;
  for (std::uint64_t i = 1; i <= 400; ++i) {
    for (const std::uint32_t id : {1u, 2u, 3u}) {
      channel.observe(i, id, false, kStart);
      channel.accept(Lesson::Learn);
    }
    if (channel.expire(kStart)) channel.accept(Lesson::Learn);
  }
  const SequenceVerdict quiet = *channel.expire(kStart + 60 * kSecond);
  CHECK(quiet.bits < 1);
}

TEST(openSessionsAreBounded) {
  Sessions channel;
  std::size_t ended = 0, most = 0;
  for (std::uint64_t i = 1; i <= 5'000; ++i) {
    for (std::uint32_t id = 0; id < 3; ++id) {
      channel.observe(i, id, false, kStart);
      channel.accept(Lesson::Learn);
    }
    while (const auto verdict = channel.expire(kStart)) {
      CHECK(verdict->ended);
      CHECK(verdict->bits == 0);  // it gave way: whether it would have gone on is not known
      channel.accept(Lesson::Learn);
      ++ended;
    }
    most = std::max(most, channel.memory());
  }
  CHECK(ended >= 4'900 && ended < 5'000);
  CHECK(most < 48 * 1024);
  // The past of an endless session is learned as it continues, and needs no more room.
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    channel.observe(9'999'999, i % 5, false, kStart);
    channel.accept(Lesson::Learn);
  }
  CHECK(channel.memory() < 48 * 1024);
}

TEST(quietSessionsEnd) {
  Sessions channel;
  for (std::uint64_t i = 1; i <= 60; ++i) run(channel, i, {1, 2, 3}, Lesson::Learn);
  channel.observe(7, 1, false, kStart);
  channel.accept(Lesson::Known);
  channel.observe(8, 1, false, kStart + 20 * kSecond);
  channel.accept(Lesson::Known);
  CHECK(!channel.expire(kStart + 30 * kSecond));
  const auto first = channel.expire(kStart + 31 * kSecond);
  CHECK(first && first->ended && first->bits > 2);
  channel.accept(Lesson::Strange);
  CHECK(!channel.expire(kStart + 31 * kSecond));
  CHECK(channel.expire(kStart + 51 * kSecond));
  channel.accept(Lesson::Strange);
  CHECK(!channel.expire(kStart + 1'000 * kSecond));
}

TEST(loneRecordsAreTrivial) {
  Sessions channel;
  for (std::uint64_t i = 1; i <= 70; ++i) run(channel, i, {1}, Lesson::Learn);
  CHECK(channel.trivial());
  Sessions other;
  for (std::uint64_t i = 1; i <= 70; ++i) run(other, i, {1, 2}, Lesson::Learn);
  CHECK(!other.trivial());
}

TEST(snapshotGoesOn) {
  Sessions a, b;
  Random random(2);
  const auto step = [&](Sessions& channel, std::uint64_t key, std::uint32_t id, bool last, std::uint64_t time) {
    const SequenceVerdict verdict = channel.observe(key, id, last, time);
    channel.accept(verdict.score > 12 ? Lesson::Strange : Lesson::Learn);
    double sum = verdict.score + verdict.bits;
    while (const auto ended = channel.expire(time)) {
      sum += ended->score;
      channel.accept(Lesson::Learn);
    }
    return sum;
  };
  std::uint64_t time = kStart;
  const auto draw = [&](auto&& use) {
    const auto key = 1 + random.below(120), id = random.below(12);
    time += random.below(2) * kSecond;
    use(key, id, random.below(9) == 0);
  };
  for (int i = 0; i < 4'000; ++i) draw([&](auto key, auto id, bool last) { step(a, key, id, last, time); });
  std::vector<std::uint8_t> saved;
  a.snapshot(saved);
  CHECK(b.restore(saved));
  bool same = true;
  for (int i = 0; i < 4'000; ++i)
    draw([&](auto key, auto id, bool last) { same = same && step(a, key, id, last, time) == step(b, key, id, last, time); });
  CHECK(same);
  for (std::size_t cut = 0; cut < saved.size(); cut += 1 + saved.size() / 90) CHECK(!Sessions().restore(Bytes(saved).first(cut)));
  for (int round = 0; round < 3'000; ++round) {
    auto hostile = saved;
    for (int k = 0; k < 2; ++k)
      hostile[random.below(static_cast<std::uint32_t>(hostile.size()))] = static_cast<std::uint8_t>(random.next());
    Sessions victim;
    if (!victim.restore(hostile)) continue;
    for (int i = 0; i < 5; ++i) draw([&](auto key, auto id, bool last) { step(victim, key, id, last, time); });
  }
}

}  // namespace
