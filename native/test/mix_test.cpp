#include "channels/volume/mix.hpp"

#include <cmath>
#include <memory>
#include <random>
#include <vector>

#include "test.hpp"

using namespace driftlock;

namespace {

constexpr std::uint32_t kBlock = 50;

/// Templates with very different shares, in runs as in logs.
struct Source {
  std::mt19937_64 random{7};
  std::uint32_t next = 0, left = 0;

  double uniform() { return static_cast<double>(random() >> 11) * 0x1p-53; }
  std::uint32_t id() {
    if (left == 0) {
      next = static_cast<std::uint32_t>(uniform() * uniform() * 12);
      left = 1 + static_cast<std::uint32_t>(uniform() * 3);
    }
    --left;
    return next;
  }
};

/// Counts `ids`, and returns the block that they complete.
VolumeTick feed(auto&& mix, const std::vector<std::uint32_t>& ids) {
  std::optional<VolumeTick> closed;
  for (const std::uint32_t id : ids) {
    CHECK(!closed);
    closed = mix.count(id);
  }
  CHECK(closed.has_value());
  return *closed;
}

std::vector<std::uint32_t> usual(Source& source) {
  std::vector<std::uint32_t> ids(kBlock);
  for (std::uint32_t& id : ids) id = source.id();
  return ids;
}

TEST(aBlockEndsWithItsLastRecord) {
  TemplateMix mix(kBlock);
  Source source;
  for (std::uint64_t b = 0; b < 100; ++b) {
    const VolumeTick tick = feed(mix, usual(source));
    CHECK(tick.start == b * kBlock && tick.end == (b + 1) * kBlock && tick.records == kBlock);
    CHECK(std::isfinite(tick.score));
    if (b < 4) CHECK(tick.score == 0 && tick.strangest.kind == VolumeKind::None);
  }
  TemplateMix each(0);
  CHECK(each.count(1) && each.count(2));
}

TEST(burstsAndSilencesStandOut) {
  TemplateMix mix(kBlock);
  Source source;
  double most = -1e9;
  for (int b = 0; b < 200; ++b) {
    const double score = feed(mix, usual(source)).score;
    if (b > 50) most = std::max(most, score);
  }
  std::vector<std::uint32_t> burst = usual(source);
  std::fill_n(burst.begin() + 20, 15, 11u);
  TemplateMix copy = mix;
  VolumeTick tick = feed(copy, burst);
  CHECK(tick.score > most && tick.strangest.kind == VolumeKind::Burst && tick.strangest.id == 11);
  CHECK(tick.strangest.count >= 15 && tick.strangest.expected < 3 && tick.strangest.high < 15);

  // The most common one is absent: this is worth more with each block, up to three, and is then no longer novel.
  copy = mix;
  std::vector<double> scores;
  for (int b = 0; b < 6; ++b) {
    std::vector<std::uint32_t> ids;
    while (ids.size() < kBlock)
      if (const std::uint32_t id = source.id(); id != 0) ids.push_back(id);
    tick = feed(copy, ids);
    if (b < 3) CHECK(tick.strangest.kind == VolumeKind::Silence && tick.strangest.id == 0);
    if (b < 3) CHECK(tick.strangest.lasted == (static_cast<std::uint64_t>(b) + 1) * kBlock);
    scores.push_back(tick.strangest.bits);
  }
  CHECK(scores[0] < scores[1] && scores[1] < scores[2] && scores[2] > scores[5]);
  CHECK(scores[2] > most);
}

TEST(rejectedBlocksAreLearntOnceTheNextIsAlike) {
  TemplateMix mix(kBlock), untouched(kBlock);
  Source source;
  for (int b = 0; b < 100; ++b) {
    const std::vector<std::uint32_t> ids = usual(source);
    feed(mix, ids), feed(untouched, ids);
  }
  std::vector<std::uint32_t> burst = usual(source);
  std::fill_n(burst.begin(), 15, 11u);
  const double news = feed(TemplateMix(untouched), burst).score;

  // Short bursts are as strange each time.
  for (int b = 0; b < 10; ++b) {
    feed(mix, burst);
    mix.reject();
    const std::vector<std::uint32_t> ids = usual(source);
    feed(mix, ids), feed(untouched, ids);
  }
  CHECK(feed(TemplateMix(mix), burst).score > 0.9 * feed(TemplateMix(untouched), burst).score);

  // One that goes on is not.
  feed(mix, burst);
  mix.reject();
  CHECK(feed(mix, burst).score < news / 4);
  mix.reject();
  CHECK(feed(mix, burst).score < news / 8);
}

TEST(memoryIsBounded) {
  CHECK(TemplateMix::bytes() <= 2048);
  TemplateMix mix(kBlock);
  Source source;
  for (int b = 0; b < 500; ++b) {
    std::vector<std::uint32_t> ids(kBlock);
    for (std::size_t i = 0; i < kBlock; ++i) ids[i] = i % 3 == 0 ? 7 : static_cast<std::uint32_t>(source.random());
    feed(mix, ids);
  }
  // The busy template is still tracked among the many.
  const VolumeTick tick = feed(mix, std::vector<std::uint32_t>(kBlock, 7));
  CHECK(tick.strangest.kind == VolumeKind::Burst && tick.strangest.id == 7 && tick.strangest.count == kBlock);
}

TEST(snapshotsContinue) {
  TemplateMix a(kBlock), b(kBlock);
  Source source;
  for (int i = 0; i < 60; ++i) feed(a, usual(source));
  a.reject();
  for (int i = 0; i < 17; ++i) a.count(source.id());  // in the midst of a block
  std::vector<std::uint8_t> bytes, x, y;
  a.snapshot(bytes);
  CHECK(b.restore(bytes));
  for (int i = 0; i < 3000; ++i) {
    const std::uint32_t id = source.id();
    const auto one = a.count(id), two = b.count(id);
    CHECK(one.has_value() == two.has_value());
    if (one) CHECK(one->score == two->score && one->strangest.id == two->strangest.id);
  }
  a.snapshot(x);
  b.snapshot(y);
  CHECK(x == y);
  TemplateMix wrong(kBlock + 1);
  CHECK(!wrong.restore(bytes));
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) CHECK(!b.restore(Bytes(bytes).first(cut)));
  std::size_t refused = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    for (const std::uint8_t flip : {0x01, 0x20, 0x30, 0x80, 0xFF}) {
      std::vector<std::uint8_t> hostile = bytes;
      hostile[i] ^= flip;
      TemplateMix victim(kBlock);
      if (!victim.restore(hostile)) {
        ++refused;
        continue;
      }
      for (std::uint32_t n = 0; n < 2 * kBlock; ++n)
        if (const auto closed = victim.count(n % 5)) CHECK(!std::isnan(closed->score));
      // What was accepted can be kept and restored again.
      std::vector<std::uint8_t> later;
      victim.snapshot(later);
      CHECK(TemplateMix(kBlock).restore(later));
    }
  CHECK(refused > 50);
}

/// Checks that what speeds up the search is not part of the state: a fresh copy, however often it is made, gives the
/// same results.
TEST(aFloodOfNewTemplatesContinues) {
  TemplateMix whole(kBlock);
  auto copied = std::make_unique<TemplateMix>(kBlock);
  Source source;
  std::mt19937_64 random(5);
  const auto state = [](const TemplateMix& mix) {
    std::vector<std::uint8_t> bytes;
    mix.snapshot(bytes);
    return bytes;
  };
  for (std::uint32_t i = 0; i < 200 * kBlock; ++i) {
    const bool flood = i / (10 * kBlock) % 2 == 1 && random() % 8 != 0;
    // Many of the ids have the same tag.
    const std::uint32_t id = flood ? 1000 + static_cast<std::uint32_t>(random() % 400) : source.id();
    const auto one = whole.count(id), other = copied->count(id);
    CHECK(one.has_value() == other.has_value());
    if (one) CHECK(one->score == other->score && one->strangest.id == other->strangest.id);
    const std::vector<std::uint8_t> bytes = state(whole);
    CHECK(bytes == state(*copied));
    if (random() % 3 != 0) continue;
    copied = std::make_unique<TemplateMix>(kBlock);
    CHECK(copied->restore(bytes));
  }
}

}  // namespace
