#include "channels/volume/volume.hpp"

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "test.hpp"

using namespace driftlock;

namespace {

constexpr std::uint64_t kSecond = 1000000000u;
constexpr std::uint64_t kTick = 10 * kSecond;
constexpr std::uint64_t kDay = 86400 * kSecond;
constexpr std::uint64_t kNoon = 1700000000u * kSecond / kDay * kDay;  // a midnight, in fact

struct Source {
  std::uint64_t state = 1;
  double uniform() {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (static_cast<double>(state >> 11) + 0.5) * 0x1p-53;
  }
  std::uint64_t exponential(double mean) { return static_cast<std::uint64_t>(-std::log(uniform()) * mean); }
};

/// Records of several templates in order of time, each template a Poisson process or regular.
struct Stream {
  struct Template {
    std::uint32_t id;
    double meanGap;  // seconds
    bool regular;
    double next = 0;
  };
  std::vector<Template> templates;
  Source source;
  double now = 0;
  double largest = 0;
  std::vector<VolumeTick> ticks;

  /// @param skip a template that stops, or 0
  void run(VolumeModel& channel, double seconds, std::uint32_t skip = 0, double speed = 1) {
    const double until = now + seconds;
    for (Template& t : templates)
      if (t.next < now) t.next = now + t.meanGap / speed * (t.regular ? 1 : source.uniform());
    while (true) {
      Template* first = &templates[0];
      for (Template& t : templates)
        if (t.next < first->next) first = &t;
      if (first->next >= until) break;
      const auto time = kNoon + static_cast<std::uint64_t>(first->next * 1e9);
      if (first->id != skip) {
        if (const auto closed = channel.advance(time)) ticks.push_back(*closed);
        channel.count(time, first->id);
      }
      now = first->next;
      first->next += first->meanGap / speed * (first->regular ? 1 : -std::log(source.uniform()));
    }
    now = until;
    if (const auto closed = channel.advance(kNoon + static_cast<std::uint64_t>(now * 1e9))) ticks.push_back(*closed);
  }
  VolumeTick strangest() {
    VolumeTick result;
    result.score = -1e9;
    for (const VolumeTick& t : ticks)
      if (t.score > result.score) result = t;
    ticks.clear();
    return result;
  }
};

Stream usualStream() { return {{{1, 0.5, false}, {2, 1.5, false}, {3, 5, false}, {4, 60, true}, {5, 40, false}}, {}, 0, 0, {}}; }

TEST(burstsAreFound) {
  for (const std::uint32_t id : {2u, 3u, 5u}) {
    VolumeModel channel(kTick, kDay);
    Stream stream = usualStream();
    stream.run(channel, 3600);
    stream.strangest();
    stream.run(channel, 3600);
    const double usual = stream.strangest().score;
    const auto time = kNoon + static_cast<std::uint64_t>(stream.now * 1e9);
    for (int i = 0; i < 30; ++i) channel.count(time + static_cast<std::uint64_t>(i) * kSecond / 10, id);
    const auto closed = channel.advance(time + kTick);
    CHECK(closed && closed->score > usual + 5);
    CHECK(closed && closed->strangest.kind == VolumeKind::Burst);
    CHECK(closed && (closed->strangest.id == id || closed->strangest.total));
    CHECK(closed && closed->strangest.count >= 30 && closed->strangest.high < 30);
  }
}

TEST(dropsAndSilencesAreFound) {
  // A template stops, that of a Poisson process and that of a heartbeat; then the whole stream stops.
  for (const std::uint32_t id : {1u, 2u, 4u}) {
    VolumeModel channel(kTick, kDay);
    Stream stream = usualStream();
    stream.run(channel, 7200);
    stream.strangest();
    stream.run(channel, 7200);
    const double usual = stream.strangest().score;
    stream.run(channel, 240, id);
    const VolumeTick found = stream.strangest();
    CHECK(found.score > usual + 1);
    CHECK(found.strangest.kind == VolumeKind::Silence && !found.strangest.total && found.strangest.id == id);
    CHECK(found.strangest.lasted > 5 * kSecond);
    // It is novel only for a while.
    stream.run(channel, 3600, id);
    stream.strangest();
    stream.run(channel, 3600, id);
    CHECK(stream.strangest().score < found.score);
  }
  VolumeModel channel(kTick, kDay);
  Stream stream = usualStream();
  stream.run(channel, 7200);
  stream.strangest();
  stream.run(channel, 3600);
  const double usual = stream.strangest().score;
  stream.run(channel, 100, 0, 0.2);
  const VolumeTick drop = stream.strangest();
  CHECK(drop.score > usual);
  CHECK(drop.strangest.kind == VolumeKind::Drop || drop.strangest.kind == VolumeKind::Silence);
  const auto closed = channel.advance(kNoon + static_cast<std::uint64_t>(stream.now * 1e9) + 3 * kTick);
  CHECK(closed && closed->strangest.total && closed->strangest.kind == VolumeKind::Silence && closed->score > usual);
}

TEST(usualStreamsAreUsual) {
  VolumeModel channel(kTick, kDay);
  Stream stream = usualStream();
  stream.run(channel, 100);
  CHECK(channel.ticks() > 5);
  stream.ticks.clear();
  stream.run(channel, 40000);
  std::size_t high = 0;
  for (const VolumeTick& t : stream.ticks) {
    high += t.score > 12;
    CHECK(t.end == t.start + kTick && t.strangest.low <= t.strangest.expected && t.strangest.expected <= t.strangest.high);
  }
  CHECK(stream.ticks.size() == 4000 && high <= 4);
  // One record of a new template is no burst.
  const auto time = kNoon + static_cast<std::uint64_t>(stream.now * 1e9);
  channel.count(time, 77);
  const auto closed = channel.advance(time + kTick);
  CHECK(closed && !(closed->strangest.kind == VolumeKind::Burst && closed->strangest.id == 77 && closed->score > 3));
}

TEST(hoursOfTheDayAreLearnt) {
  VolumeModel channel(60 * kSecond, kDay);
  Source source;
  const auto rate = [](std::uint64_t time) { return time % kDay < kDay / 3 ? 0.02 : 0.5; };  // records per second
  std::uint64_t time = kNoon;
  double usual = -1e9;
  while (time < kNoon + 6 * kDay) {
    time += source.exponential(1e9 / rate(time)) + 1;
    const auto closed = channel.advance(time);
    if (closed && time > kNoon + 4 * kDay) usual = std::max(usual, closed->score);
    channel.count(time, 1);
  }
  CHECK(channel.seasonal());
  // The same flat stream must not be taken for seasonal.
  VolumeModel flat(60 * kSecond, kDay);
  for (std::uint64_t t = kNoon; t < kNoon + 6 * kDay; t += source.exponential(2e9) + 1) {
    flat.advance(t);
    flat.count(t, 1);
  }
  CHECK(!flat.seasonal());
  // The day's rate at night is a burst.
  time = kNoon + 6 * kDay + kDay / 6;
  channel.advance(time);
  const std::uint64_t tick = channel.tick();
  const auto night = channel.advance(time + tick);
  CHECK(night && night->score < 12);
  double burst = -1e9;
  for (int i = 0; i < 60; ++i) {
    time += 2 * kSecond;
    const auto closed = channel.advance(time + tick);
    if (closed) burst = std::max(burst, closed->score);
    channel.count(time + tick, 1);
  }
  CHECK(burst > 5);
}

/// Checks that ticks suit the rate: a few records are no burst in a stream with few, and a silence lacks some records.
TEST(ticksSuitTheRate) {
  VolumeModel channel(kTick, kDay);
  Source source;
  std::uint64_t time = kNoon;
  const auto run = [&](std::uint64_t until, double gap) {
    while ((time += source.exponential(gap * 1e9) + 1) < until) {
      const auto closed = channel.advance(time);
      channel.count(time, 1 + static_cast<std::uint32_t>(time % 3));
      if (!closed) continue;
      const VolumeFinding& found = closed->strangest;
      if (found.kind == VolumeKind::Burst) CHECK(found.count >= 10 && found.count > found.high);
      if (found.kind == VolumeKind::Silence) CHECK(found.expected >= 3 && found.low >= 1);
      if (found.kind == VolumeKind::Drop) CHECK(found.count < found.low);
      CHECK(found.low == std::floor(found.low) && found.high == std::floor(found.high));
    }
  };
  run(kNoon + 10 * kDay, 600);
  CHECK(channel.tick() >= 4 * 600 * kSecond / 2 && channel.tick() <= 3'600 * kSecond);
  channel.advance(time);
  for (int i = 0; i < 40; ++i) channel.count(time, 1);
  const auto closed = channel.advance(time + channel.tick());
  CHECK(closed && closed->strangest.kind == VolumeKind::Burst && closed->score > 8);
  // It becomes busy, and the ticks short again.
  run(kNoon + 13 * kDay, 0.5);
  CHECK(channel.tick() == kTick);
}

/// Checks that a job is usual after it has run three times, each hour, day or week, and that it stays remarkable at other times.
TEST(recurringJobsAreLearnt) {
  for (const std::uint64_t period : {kDay / 24, kDay, 7 * kDay}) {
    VolumeModel channel(kTick, kDay);
    Source source;
    int reported = 0, later = 0;
    const std::uint64_t end = kNoon + 14 * period + kDay / 48;
    std::uint64_t job = kNoon + (period > kDay / 24 ? kDay / 4 : kDay / 40);
    const auto note = [&](const std::optional<VolumeTick>& closed) {
      if (!closed || closed->strangest.kind != VolumeKind::Burst || closed->strangest.count < 100) return;
      channel.reject();
      ++(closed->start < kNoon + 5 * period ? reported : later);
    };
    for (std::uint64_t time = kNoon; time < end; time += source.exponential(20e9) + 1) {
      if (time > job) {
        for (std::uint64_t i = 0; i < 600; ++i) {
          note(channel.advance(job + i * kSecond / 10));
          channel.count(job + i * kSecond / 10, 7);
        }
        time = job + 60 * kSecond;
        job += period;
      }
      note(channel.advance(time));
      channel.count(time, 1);
    }
    CHECK(reported >= 3 && reported <= 4);
    CHECK(later == 0);
    const std::uint64_t other = end + period / 3;
    note(channel.advance(other));
    for (int i = 0; i < 600; ++i) channel.count(other, 7);
    note(channel.advance(other + channel.tick()));
    CHECK(later == 1);
    // From one day to the next, the local clock may have been changed.
    if (period == kDay / 24) continue;
    const std::uint64_t moved = job + kDay / 24;
    note(channel.advance(moved));
    for (int i = 0; i < 600; ++i) channel.count(moved, 7);
    note(channel.advance(moved + channel.tick()));
    CHECK(later == 1);
  }
}

/// Checks that a burst that lasts for periods is none that recurs.
TEST(burstsThatGoOnDoNotRecur) {
  constexpr std::uint64_t kHour = kDay / 24;
  Recurrence jobs, lasting;
  for (std::uint64_t time = kNoon; time < kNoon + 6 * kHour; time += kTick) {
    CHECK(!lasting.recurs(1, time, time + kTick, 100));
    lasting.add(1, time, time + kTick, 100);
    if ((time - kNoon) % kHour != 0) continue;
    CHECK(jobs.recurs(1, time, time + kTick, 100) == (time >= kNoon + 3 * kHour));
    CHECK(!jobs.recurs(2, time, time + kTick, 100));
    jobs.add(1, time, time + kTick, 100);
  }
}

/// Checks that weekends are learned.
TEST(weekendsAreLearnt) {
  VolumeModel channel(60 * kSecond, kDay);
  Source source;
  double later = -1e9;
  // 1970 began on a Thursday.
  const auto rate = [](std::uint64_t time) {
    const std::uint64_t day = (time / kDay + 3) % 7, hour = time % kDay / (kDay / 24);
    return day < 5 && hour >= 8 && hour < 18 ? 0.5 : 0.02;
  };
  for (std::uint64_t time = kNoon; time < kNoon + 35 * kDay;) {
    // The rate of the time that passes, by thinning.
    do time += source.exponential(2e9) + 1;
    while (source.uniform() > rate(time) / 0.5);
    const auto closed = channel.advance(time);
    if (closed && time > kNoon + 21 * kDay) later = std::max(later, closed->score);
    channel.count(time, 1);
  }
  CHECK(channel.seasonal());
  CHECK(later < 14);
}

/// Checks that office hours which move by an hour, as the local clock is changed, are soon known again.
TEST(profilesFollowTheLocalClock) {
  for (const std::int64_t moved : {-1, 1}) {
    VolumeModel channel(60 * kSecond, kDay);
    Source source;
    const std::uint64_t changed = kNoon - kNoon % kDay + 15 * kDay;
    const auto rate = [&](std::uint64_t time) {
      const std::uint64_t local = time >= changed ? time + kDay + static_cast<std::uint64_t>(moved) * (kDay / 24) : time;
      const std::uint64_t hour = local % kDay / (kDay / 24);
      return hour >= 8 && hour < 18 ? 0.5 : 0.02;
    };
    double before = -1e9, after = -1e9;
    bool believed = true;
    for (std::uint64_t time = kNoon; time < changed + 5 * kDay;) {
      // The rate of the time that passes, by thinning.
      do time += source.exponential(2e9) + 1;
      while (source.uniform() > rate(time) / 0.5);
      const auto closed = channel.advance(time);
      if (closed && time > kNoon + 7 * kDay && time < changed) before = std::max(before, closed->score);
      if (closed && time > changed) after = std::max(after, closed->score);
      if (time > changed) believed &= channel.seasonal();
      channel.count(time, 1);
    }
    CHECK(believed);
    CHECK(after < before + 3);
  }
}

TEST(rejectedTicksAreNotLearnt) {
  VolumeModel a(kTick, kDay), b(kTick, kDay);
  Stream stream = usualStream();
  stream.run(a, 3600);
  b = a;
  const auto time = kNoon + static_cast<std::uint64_t>(stream.now * 1e9);
  for (VolumeModel* channel : {&a, &b})
    for (int repeat = 0; repeat < 20; ++repeat) {
      for (std::uint64_t i = 0; i < 200; ++i) channel->count(time + static_cast<std::uint64_t>(repeat) * kTick, 2);
      channel->advance(time + static_cast<std::uint64_t>(repeat + 1) * kTick);
      if (channel == &b) channel->reject();
    }
  CHECK(a.ticks() >= b.ticks() + 18);
  for (VolumeModel* channel : {&a, &b})
    for (int i = 0; i < 200; ++i) channel->count(time + 20 * kTick, 2);
  const auto used = a.advance(time + 21 * kTick), kept = b.advance(time + 21 * kTick);
  CHECK(used && kept && kept->score > used->score + 3);
}

TEST(clocksMayJump) {
  VolumeModel channel(kTick, kDay);
  Source source;
  std::uint64_t time = kNoon;
  for (int i = 0; i < 3000; ++i) {
    const double kind = source.uniform();
    if (kind < 0.02) time = static_cast<std::uint64_t>(source.uniform() * 1.8e19);
    else if (kind < 0.04) time = ~std::uint64_t{0};
    else if (kind < 0.06) time = 0;
    else if (kind < 0.5) time += source.exponential(3e9);
    const auto closed = channel.advance(time);
    if (closed) CHECK(std::isfinite(closed->score) && closed->end >= closed->start);
    channel.count(time, static_cast<std::uint32_t>(source.uniform() * 500));
  }
}

TEST(memoryIsBounded) {
  VolumeModel channel(100, kDay);
  CHECK(channel.memory() <= 2 * 1024);
  Source source;
  for (std::uint64_t i = 0; i < 200000; ++i) {
    channel.advance(i);
    channel.count(i, i % 3 == 0 ? 7 : static_cast<std::uint32_t>(source.uniform() * 4e9));
  }
  CHECK(channel.memory() <= 16 * 1024);
  // The busy template is still tracked among the many.
  double burst = 0;
  for (std::uint64_t i = 200000; i < 200100; ++i) channel.count(i, 8);
  const auto closed = channel.advance(200100);
  if (closed) burst = closed->score;
  CHECK(closed && burst > 5);
}

TEST(snapshotsAreReadHoweverLongAStreamHasRun) {
  // Ticks get longer at some time while the rate of these streams is still uncertain, also after an odd number of them.
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    VolumeModel channel(kTick, kDay);
    Stream stream{{{1, 2.6, false}}, {seed}, 0, 0, {}};
    for (int hour = 0; hour < 32; ++hour) {
      stream.run(channel, 3600);
      std::vector<std::uint8_t> bytes;
      channel.snapshot(bytes);
      VolumeModel other(kTick, kDay);
      CHECK(other.restore(bytes));
    }
  }
}

TEST(snapshotsContinue) {
  VolumeModel a(kTick, kDay), b(kTick, kDay);
  Stream stream = usualStream();
  stream.run(a, 20000);
  a.count(kNoon + static_cast<std::uint64_t>(stream.now * 1e9), 3);  // in the midst of a tick
  std::vector<std::uint8_t> bytes, x, y;
  a.snapshot(bytes);
  CHECK(b.restore(bytes));
  Stream other = stream;
  stream.ticks.clear();
  other.ticks.clear();
  stream.run(a, 20000, 2);
  other.run(b, 20000, 2);
  CHECK(stream.ticks.size() == other.ticks.size());
  for (std::size_t i = 0; i < stream.ticks.size(); ++i) CHECK(stream.ticks[i].score == other.ticks[i].score);
  a.snapshot(x);
  b.snapshot(y);
  CHECK(x == y);
  VolumeModel wrong(kTick + 1, kDay);
  CHECK(!wrong.restore(bytes));
  for (std::size_t cut = 0; cut < bytes.size(); cut += 13) CHECK(!b.restore(Bytes(bytes).first(cut)));
  std::size_t refused = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    for (const std::uint8_t flip : {0x01, 0x80, 0xFF}) {
      std::vector<std::uint8_t> hostile = bytes;
      hostile[i] ^= flip;
      VolumeModel victim(kTick, kDay);
      if (!victim.restore(hostile)) {
        ++refused;
        continue;
      }
      const auto time = kNoon + static_cast<std::uint64_t>(stream.now * 1e9);
      victim.advance(time);
      victim.count(time, 2);
      const auto closed = victim.advance(time + kTick);
      CHECK(!closed || !std::isnan(closed->score));
    }
  CHECK(refused > 100);
  y.clear();
  b.snapshot(y);
  CHECK(x == y);  // a refused restore changes nothing
}

/// Checks that what speeds up the search is not part of the state: a fresh copy, however often it is made, gives the
/// same results.
TEST(aFloodOfNewTemplatesContinues) {
  VolumeModel whole(kTick, kDay);
  auto copied = std::make_unique<VolumeModel>(kTick, kDay);
  std::mt19937_64 random(5);
  std::uint64_t now = kNoon;
  for (int i = 0; i < 8000; ++i) {
    now += random() % kSecond;
    const std::uint32_t id = static_cast<std::uint32_t>(i / 1000 % 2 == 0 ? random() % 8 : 1000 + random() % 400);
    const auto one = whole.advance(now), other = copied->advance(now);
    CHECK(one.has_value() == other.has_value());
    if (one) CHECK(one->score == other->score && one->strangest.id == other->strangest.id);
    whole.count(now, id);
    copied->count(now, id);
    std::vector<std::uint8_t> bytes, same;
    whole.snapshot(bytes);
    copied->snapshot(same);
    CHECK(bytes == same);
    if (random() % 3 != 0) continue;
    copied = std::make_unique<VolumeModel>(kTick, kDay);
    CHECK(copied->restore(bytes));
  }
}

}  // namespace
