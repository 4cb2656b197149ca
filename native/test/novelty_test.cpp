#include "channels/novelty/novelty.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "requests.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

/// A stream whose records are strange now and then, in runs.
struct Source {
  Random random{1};
  NoveltyModel model{};
  std::uint64_t now = 1'800'000'000 * kSecond;
  bool learns = true;
  std::vector<double> bits{};
  NoveltyWindow strangest{};

  void run(int seconds, int perSecond, double chance) {
    for (int i = 0; i < seconds * perSecond; ++i) {
      now += kSecond / static_cast<std::uint64_t>(perSecond);
      if (const auto window = model.advance(now)) {
        if (window->judged) bits.push_back(window->bits);
        if (window->judged && window->bits > strangest.bits) strangest = *window;
        model.settle(learns || !window->judged);
      }
      model.note(now, random.below(1'000'000) < chance * 1'000'000 ? 1 + random.below(100) / 50.0 : 0.3);
    }
  }
};

TEST(quietStreamsHaveNoSustainedNovelty) {
  std::vector<double> bits;
  for (const int perSecond : {1, 5, 40}) {
    Source source;
    source.run(24 * 3600, perSecond, 0.01);
    bits.insert(bits.end(), source.bits.begin(), source.bits.end());
  }
  std::ranges::sort(bits);
  CHECK(bits.size() > 20'000 && bits[bits.size() * 99 / 100] < 10 && bits.back() < 20);
}

TEST(strangeRecordsThatKeepComingAddUp) {
  for (const int perSecond : {1, 5, 40}) {
    Source source;
    source.run(2 * 3600, perSecond, 0.01);
    source.strangest = {};
    source.run(300, perSecond, 0.25);
    CHECK(source.strangest.bits > 20);
    CHECK(source.strangest.strange > source.strangest.usual);
  }
}

TEST(aBurstIsNotSustained) {
  Source source;
  source.run(2 * 3600, 1, 0.01);
  source.strangest = {};
  for (int i = 0; i < 1'000; ++i) source.model.note(source.now, 50);
  source.run(300, 1, 0.01);
  CHECK(source.strangest.bits < 14);
}

TEST(whatIsLearnedBecomesUsual) {
  Source source;
  source.run(2 * 3600, 1, 0.01);
  source.run(4 * 3600, 1, 0.25);
  source.strangest = {};
  source.run(600, 1, 0.25);
  CHECK(source.strangest.bits < 14);
}

TEST(state) {
  Source source;
  source.run(3'000, 3, 0.02);
  std::vector<std::uint8_t> good, again;
  source.model.snapshot(good);
  Source copy{.random = source.random, .now = source.now};
  CHECK(copy.model.restore(good));
  copy.model.snapshot(again);
  CHECK(again == good);
  source.bits.clear();
  source.run(600, 3, 0.2), copy.run(600, 3, 0.2);
  CHECK(!source.bits.empty() && source.bits == copy.bits);
  Random random(2);
  for (int round = 0; round < 2'000; ++round) {
    std::vector<std::uint8_t> bytes = good;
    bytes[random.below(static_cast<std::uint32_t>(bytes.size()))] = static_cast<std::uint8_t>(random.next());
    if (round % 10 == 0) bytes.resize(random.below(static_cast<std::uint32_t>(bytes.size())));
    Source victim{.now = source.now};
    if (!victim.model.restore(bytes)) continue;
    victim.run(60, 3, 0.2);
    for (const double bits : victim.bits) CHECK(bits >= 0);
  }
}

}  // namespace
