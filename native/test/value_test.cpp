// Checks the value channel: what it must find, what must not be flagged, and that a restart changes nothing.

#include "channels/value/value.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include "base/portable_math.hpp"
#include "test.hpp"
#include "text/quantity.hpp"

namespace {

using namespace driftlock;

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kStart = 1'700'006'400 * kSecond;  // midnight, UTC
constexpr std::uint64_t kFiveMinutes = 300 * kSecond;
constexpr int kDay = 288;

/// A small random generator that gives the same numbers everywhere.
struct Random {
  std::uint64_t state = 88172645463325252u;
  double uniform() {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return static_cast<double>(state >> 11) / 9007199254740992.0;
  }
  /// Returns a nearly normal number: the sum of twelve uniform ones.
  double normal() {
    double s = -6;
    for (int i = 0; i < 12; ++i) s += uniform();
    return s;
  }
};

std::vector<ValueResult> run(const std::vector<double>& values, std::uint64_t step = kFiveMinutes, bool mean = false) {
  ValueModel channel;
  std::vector<ValueResult> results;
  for (std::size_t i = 0; i < values.size(); ++i) results.push_back(channel.observe(kStart + i * step, values[i], false, mean));
  return results;
}

double highest(const std::vector<ValueResult>& r, std::size_t from, std::size_t to) {
  double best = 0;
  for (std::size_t i = from; i < std::min(to, r.size()); ++i) best = std::max(best, r[i].score);
  return best;
}

bool same(const ValueResult& a, const ValueResult& b) {
  return a.scored == b.scored && a.learning == b.learning && a.progress == b.progress && a.surpriseBits == b.surpriseBits &&
         a.rarityBits == b.rarityBits && a.usualBits == b.usualBits && a.excessBits == b.excessBits && a.similar == b.similar &&
         a.score == b.score && a.lesson == b.lesson && a.deviation.has_value() == b.deviation.has_value() &&
         a.viewBits == b.viewBits;
}

std::vector<double> noise(std::size_t n, double level, double spread, std::uint64_t seed = 1) {
  Random random;
  random.state ^= seed * 0x9E3779B97F4A7C15u;
  std::vector<double> values;
  for (std::size_t i = 0; i < n; ++i) values.push_back(level + spread * random.normal());
  return values;
}

/// Returns values that are high by day and low by night, with noise.
std::vector<double> daily(std::size_t n, std::uint64_t seed = 1) {
  auto values = noise(n, 20, 1, seed);
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t t = i % kDay;
    if (t >= 100 && t < 200) values[i] += 60;
  }
  return values;
}

static_assert(sizeof(ValueModel) <= 16 * 1024);

TEST(findsASpike) {
  for (const double unit : {1e-9, 1.0, 1e12}) {
    auto values = noise(2000, 50 * unit, 2 * unit);
    values[1500] = 90 * unit;
    const auto r = run(values);
    CHECK(r[1500].score > 30);
    CHECK(r[1500].score > 2 * highest(r, 110, 1500));
    CHECK(r[1500].rarityBits > r[1500].usualBits);
    CHECK(r[1500].surpriseBits > r[1499].surpriseBits + 5);
    CHECK(r[1501].score < 1 || r[1501].score > r[1500].score);
  }
}

TEST(findsALevelShiftOnce) {
  auto values = noise(4000, 50, 2);
  for (std::size_t i = 3000; i < values.size(); ++i) values[i] += 20;
  const auto r = run(values);
  CHECK(highest(r, 3000, 3003) > 20);
  CHECK(highest(r, 3000, 3003) > 2 * highest(r, 110, 3000));
  int peaks = 0;
  for (std::size_t i = 3000; i < values.size(); ++i) peaks += r[i].score > 20;
  CHECK(peaks >= 1 && peaks <= 8);
  CHECK(highest(r, 3300, 4000) < 20);
}

/// Checks that a single value far out counts in part while few values are known, and in full if the next one is like it.
TEST(believesASingleValueOnceThereAreMany) {
  for (const std::size_t age : {std::size_t{160}, std::size_t{400}, std::size_t{900}}) {
    auto values = noise(age + 3, 50, 2);
    values[age] = 90;
    const auto spike = run(values);
    values[age + 1] = 88;
    const auto shift = run(values);
    const bool young = age < 768;
    const double full = young ? shift[age + 1].score : shift[age].score;
    const double share = std::min(1.0, std::sqrt(static_cast<double>(age) / 768));
    CHECK(full > 30);
    CHECK_NEAR(spike[age].score, share * full, 1e-9);
    CHECK(spike[age + 1].score < 1);
    // It is learned once it is known what it was.
    CHECK_NEAR(spike[age].lesson, young ? 0 : full, 1e-9);
    CHECK_NEAR(spike[age + 1].lesson, young ? share * full : spike[age + 1].score, 1e-1);
    CHECK(shift[age + 1].lesson == shift[age + 1].score);

    ValueModel model, restored;
    for (std::size_t i = 0; i <= age; ++i) model.observe(kStart + i * kFiveMinutes, values[i]);
    std::vector<std::uint8_t> bytes;
    model.snapshot(bytes);
    CHECK(restored.restore(bytes));
    CHECK(same(restored.observe(kStart + (age + 1) * kFiveMinutes, values[age + 1]), shift[age + 1]));
  }
}

/// Checks that a mean far out counts once the next one is like it, or once many are known, and is learned in any case.
TEST(believesASingleMeanOnceThereAreMany) {
  for (const std::size_t age : {std::size_t{160}, std::size_t{400}, std::size_t{900}}) {
    auto values = noise(age + 3, 50, 2);
    values[age] = 90;
    const auto value = run(values), mean = run(values, kFiveMinutes, true);
    CHECK(mean[age].score == (age < 768 ? 0 : value[age].score));
    CHECK(mean[age + 1].lesson == value[age + 1].lesson && value[age].lesson + value[age + 1].lesson > 15);
    values[age + 1] = 88;
    CHECK(run(values, kFiveMinutes, true)[age + 1].score == run(values)[age + 1].score);
  }
}

/// Checks that an episode makes a similar one less of a novelty, but not for long.
TEST(faultsThatRecurAreFoundAgain) {
  const auto second = [](int daysLater) {
    auto values = noise(40 * kDay, 50, 2);
    for (const int start : {10 * kDay, (10 + daysLater) * kDay + 37})
      for (int i = start; i < start + 3; ++i) values[i] += 60;
    const auto r = run(values);
    const std::size_t at = (10 + daysLater) * kDay + 37;
    return highest(r, at, at + 3) / highest(r, 10 * kDay, 10 * kDay + 3);
  };
  const double soon = second(1), later = second(7), much = second(25);
  CHECK(soon > 0.2 && soon < 0.6);
  CHECK(later > soon && much > 0.75);
}

TEST(findsADayThatStaysDead) {
  auto values = daily(12 * kDay);
  const auto usual = run(values);
  const auto quiet = noise(12 * kDay, 20, 1, 9);
  for (int i = 10 * kDay; i < 11 * kDay; ++i) values[i] = quiet[i];
  const auto r = run(values);
  const double found = highest(r, 10 * kDay + 95, 10 * kDay + 125);
  CHECK(found > 5);
  CHECK(found > highest(usual, 10 * kDay + 95, 10 * kDay + 125));
  const auto& first = *std::max_element(r.begin() + 10 * kDay + 95, r.begin() + 10 * kDay + 125,
                                        [](const auto& a, const auto& b) { return a.score < b.score; });
  CHECK(first.deviation && first.deviation->view != ValueView::Level);
}

/// Checks that values that are usual at another minute of the hour, time of the day or day of the week are rarer than
/// all before them, once the cycle is known.
TEST(findsTheUsualAtTheWrongTime) {
  struct Cycle {
    std::uint64_t step, known;
    bool (*high)(std::uint64_t seconds);
    /// The seconds from the beginning in which high is low and low is high.
    std::uint64_t from, to;
  };
  constexpr std::uint64_t kHours = 3'600, kDays = 24 * kHours;
  const auto office = [](std::uint64_t t) { return t % kDays >= 8 * kHours && t % kDays < 18 * kHours; };
  // The first day is a Wednesday.
  const auto workday = [](std::uint64_t t) {
    return (t / kDays + 2) % 7 < 5 && t % kDays >= 8 * kHours && t % kDays < 18 * kHours;
  };
  const Cycle cycles[] = {
      // An hourly job runs at the wrong minute.
      {60, 2 * kDays, [](std::uint64_t t) { return t % kHours < 300; }, 6 * kDays + 1'800, 6 * kDays + 2'100},
      // There is work at night.
      {300, 2 * kDays, office, 13 * kDays + 2 * kHours, 13 * kDays + 3 * kHours},
      // There is no work by day.
      {300, 2 * kDays, office, 13 * kDays + 12 * kHours, 13 * kDays + 14 * kHours},
      // There is work on a Sunday.
      {300, 9 * kDays, workday, 32 * kDays + 10 * kHours, 32 * kDays + 12 * kHours},
      // There is no work on a Monday.
      {300, 9 * kDays, workday, 33 * kDays + 10 * kHours, 33 * kDays + 12 * kHours},
  };
  for (const Cycle& cycle : cycles) {
    ValueModel channel;
    Random random;
    double before = 0, found = 0;
    for (std::uint64_t t = 0; t < cycle.to; t += cycle.step) {
      const bool wrong = t >= cycle.from;
      const double x = (cycle.high(t) != wrong ? 90 : 30) + 2 * random.normal();
      const double excess = channel.observe(kStart + t * kSecond, x).excessBits;
      if (wrong) found = std::max(found, excess);
      if (!wrong && t >= cycle.known) before = std::max(before, excess);
    }
    CHECK(found > 12);
    CHECK(found > before);
  }
}

TEST(findsAChangeOfRate) {
  // Spikes have the usual height, but come eight times as often.
  std::vector<double> values(4000, 0.0);
  Random random;
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = 0.1 * random.uniform();
    if (i % 20 == 7 || (i >= 3000 && i < 3200 && random.uniform() < 0.35)) values[i] = 10;
  }
  const auto r = run(values, 7 * kSecond);
  CHECK(highest(r, 3000, 3200) > highest(r, 600, 3000));
}

TEST(letsARecurringSpikeBecomeUsual) {
  // A job runs once per day, at no fixed time; on the last day a spike has another height.
  auto values = noise(14 * kDay, 20, 1);
  Random random;
  std::vector<std::size_t> jobs;
  for (std::size_t d = 1; d < 14; ++d) {
    jobs.push_back(d * kDay + static_cast<std::size_t>(random.uniform() * 100));
    values[jobs.back()] = 60 + random.normal();
  }
  values[jobs.back()] = 140;
  const auto r = run(values);
  CHECK(r[jobs[0]].score > 10);
  for (std::size_t j = 6; j + 1 < jobs.size(); ++j) {
    CHECK(r[jobs[j]].score < r[jobs[0]].score / 4);
    CHECK(r[jobs[j]].similar > 1);
  }
  CHECK(r[jobs.back()].score > r[jobs[0]].score / 2);
  CHECK(r[jobs.back()].similar < 0.5);
}

TEST(isSilentWhereNothingHappens) {
  for (const double level : {0.0, 45.0, -1e-300, 1e300, 1e-15}) {
    const auto r = run(std::vector<double>(3000, level));
    CHECK(highest(r, 0, r.size()) < 1);
  }
  std::vector<double> square(12 * kDay);
  for (std::size_t i = 0; i < square.size(); ++i) square[i] = i % kDay >= 100 && i % kDay < 200 ? 80 : 20;
  CHECK(highest(run(square), 4 * kDay, square.size()) < 12);
  CHECK(highest(run(square), 9 * kDay, square.size()) < 5);
}

TEST(isCalibratedOnNoise) {
  // Each view's rarity is -log2 of a p-value: b bits or more happen 2^-b of the time or, to err on the side of silence, less.
  const int n = 20000;
  const auto r = run(noise(n, 10, 3), 61 * kSecond);
  for (std::size_t view = 0; view < kValueViews; ++view) {
    for (const int bits : {4, 6, 8}) {
      int rare = 0;
      for (int i = 2000; i < n; ++i) rare += r[i].viewBits[view] >= bits;
      const double share = rare / double(n - 2000) * (1 << bits);
      CHECK(share < 1.5);
      CHECK(share > 0.1);
    }
  }
  // About 130 blocks of noise have hardly any peak far above the usual one.
  int high = 0;
  for (int i = 600; i < n; ++i) high += r[i].score > 20;
  CHECK(high <= 6);
}

TEST(saysWhenItLearns) {
  const auto r = run(noise(300, 5, 1));
  CHECK(r[0].learning && r[0].progress == 0 && r[0].score == 0);
  CHECK(r[32].learning && r[32].progress == 0.5);
  CHECK(!r[ValueModel::kLearningPoints].learning && r[ValueModel::kLearningPoints].progress == 1);
}

/// Checks that what is said to be usual excludes what was observed, by the view that is unusual.
TEST(explainsByTheUnusualView) {
  const auto deviationOf = [](std::vector<double> values) {
    const auto r = run(values);
    CHECK(r.back().score > 1 && r.back().deviation);
    return r.back().deviation.value_or(ValueDeviation{});
  };
  auto values = noise(3000, 50, 2);
  values.push_back(90);
  const ValueDeviation level = deviationOf(values);
  CHECK(level.observed > level.high && !level.between);
  CHECK(level.low < 50 && level.high < 60);

  // It is usual to be near 10 or near 90, by turns of an hour, and not in between, nor to go there in one step.
  values = noise(3000, 10, 1);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] += i / 50 % 2 == 0 ? 0 : 80;
  values.push_back(values.back() > 50 ? 55 : 45);
  const ValueDeviation between = deviationOf(values);
  CHECK(between.between ? between.low < between.observed && between.observed < between.high
                        : between.observed < between.low || between.observed > between.high);

  // A night's value by day is within the range of all values.
  values = daily(10 * kDay);
  values.resize(9 * kDay + 150);
  values.push_back(20);
  const ValueDeviation season = deviationOf(values);
  CHECK(season.view != ValueView::Level && season.observed < season.low);
}

/// Checks that every scored value has an explanation that does not contradict itself, whatever the series is.
TEST(neverContradictsItself) {
  Random random;
  int scored = 0, explained = 0;
  for (int kind = 0; kind < 12; ++kind) {
    ValueModel channel;
    double walk = 0;
    for (int i = 0; i < 6000; ++i) {
      walk += random.normal();
      double x = kind % 6 == 0   ? random.normal()
                 : kind % 6 == 1 ? walk
                 : kind % 6 == 2 ? std::floor(3 * random.uniform())
                 : kind % 6 == 3 ? (i / 40 % 2) * 100 + random.normal()
                 : kind % 6 == 4 ? 7
                                 : 1 / (0.001 + random.uniform());
      if (kind >= 6 && random.uniform() < 0.01) x += 50 * random.normal();
      const auto r = channel.observe(kStart + static_cast<std::uint64_t>(i) * kFiveMinutes, x);
      if (!(r.score > 0)) continue;
      ++scored;
      if (!r.deviation) continue;
      ++explained;
      const ValueDeviation& d = *r.deviation;
      CHECK(d.low <= d.high);
      CHECK(d.between ? d.low < d.observed && d.observed < d.high : d.observed < d.low || d.observed > d.high);
      const text::Compared shown = text::compared(d.observed, d.low, d.high);
      CHECK(!shown.value.empty() && !shown.range.empty() && shown.range.find(shown.value + "–") != 0);
    }
  }
  CHECK(scored > 300 && explained > 0.9 * scored);
}

TEST(formatsQuantities) {
  CHECK(text::quantity(50.62) == "50.6" && text::quantity(1234.5) == "1234" && text::quantity(0.0012345) == "0.00123");
  CHECK(text::quantity(-3) == "-3" && text::quantity(1e-9) == "1e-09" && text::quantity(0) == "0" &&
        text::quantity(100) == "100");
  CHECK(text::quantity(-0.5) == "-0.5" && text::quantity(9.999) == "10" && text::quantity(1.5e20) == "1.5e+20");
  const auto near = text::compared(10.00001, 9, 10);
  CHECK(near.value == "10.00001" && near.range == "9–10");
  CHECK(text::compared(7, 5, 5).range == "5" && text::compared(7, -1, 5).range == "-1 to 5");
}

TEST(goesOnFromASnapshot) {
  auto values = daily(9 * kDay, 5);
  values[8 * kDay + 30] = 500;
  for (const std::size_t stop : {std::size_t{0}, std::size_t{7}, std::size_t{16}, std::size_t{90}, std::size_t{8 * kDay + 31}}) {
    ValueModel one;
    for (std::size_t i = 0; i < stop; ++i) one.observe(kStart + i * kFiveMinutes, values[i]);
    std::vector<std::uint8_t> bytes;
    one.snapshot(bytes);
    CHECK(bytes.size() <= 16 * 1024);
    ValueModel two;
    CHECK(two.restore(bytes));
    bool equal = true;
    for (std::size_t i = stop; i < values.size(); ++i) {
      equal = equal && same(one.observe(kStart + i * kFiveMinutes, values[i]), two.observe(kStart + i * kFiveMinutes, values[i]));
    }
    CHECK(equal);
    std::vector<std::uint8_t> afterOne, afterTwo;
    one.snapshot(afterOne), two.snapshot(afterTwo);
    CHECK(afterOne == afterTwo);
  }
}

TEST(refusesWhatIsNoSnapshot) {
  ValueModel channel;
  const auto values = daily(3 * kDay);
  for (std::size_t i = 0; i < values.size(); ++i) channel.observe(kStart + i * kFiveMinutes, values[i]);
  std::vector<std::uint8_t> good;
  channel.snapshot(good);
  CHECK(!channel.restore({}));
  CHECK(!channel.restore(Bytes(good).first(good.size() - 1)));
  auto longer = good;
  longer.push_back(0);
  CHECK(!channel.restore(longer));
  auto other = good;
  other[0] ^= 0xFF;
  CHECK(!channel.restore(other));
  std::vector<std::uint8_t> after;
  channel.snapshot(after);
  CHECK(after == good);
}

TEST(continuesFromWhateverItAccepts) {
  constexpr std::uint64_t kNumbers[] = {
      0x7f7fffff,         0x7e967699,         0x00000001,         0x3f800000, 0xffffffff, 0x7fffffff,        0x7fefffffffffffff,
      0x426d1a94a2000000, 0x4629000000000000, 0x0000000000000001, 0x46293e59, 0xc6293e59, 0x4900000000000000};
  const auto values = daily(3 * kDay);
  Random random;
  std::size_t accepted = 0;
  for (const std::size_t stop : {std::size_t{7}, std::size_t{40}, values.size()}) {
    ValueModel whole;
    for (std::size_t i = 0; i < stop; ++i) whole.observe(kStart + i * kFiveMinutes, values[i]);
    std::vector<std::uint8_t> good;
    whole.snapshot(good);
    for (int round = 0; round < 1500; ++round) {
      auto altered = good;
      for (int k = 0; k < 2; ++k) {
        const std::uint64_t number = kNumbers[static_cast<std::size_t>(random.uniform() * std::size(kNumbers))];
        const std::size_t size = random.uniform() < 0.3 ? 1 : number >> 32 == 0 ? 4 : 8;
        // Most of the bytes are counts; the rest of the state is at the end.
        const std::size_t from = random.uniform() < 0.5 ? 1 : good.size() - 900;
        const auto at = from + static_cast<std::size_t>(random.uniform() * (good.size() - from - size));
        for (std::size_t i = 0; i < size; ++i) altered[at + i] = static_cast<std::uint8_t>(number >> 8 * i);
      }
      ValueModel model, next;
      if (!model.restore(altered)) continue;
      ++accepted;
      for (int i = 0; i < 400; ++i) {
        const auto r = model.observe(kStart + (stop + i) * kFiveMinutes, i % 50 == 49 ? -1e300 : random.normal());
        CHECK(std::isfinite(r.score) && r.score >= 0);
      }
      std::vector<std::uint8_t> after;
      model.snapshot(after);
      CHECK(next.restore(after));
    }
  }
  CHECK(accepted > 1000);
}

TEST(survivesHostileInput) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const double odd[] = {std::numeric_limits<double>::quiet_NaN(), kInf,  -kInf, 0.0, -0.0, 1e308, -1e308, 5e-324, -5e-324,
                        std::numeric_limits<double>::max(),       1e100, 1,     -1};
  Random random;
  ValueModel channel;
  for (int i = 0; i < 20000; ++i) {
    const double value = odd[static_cast<std::size_t>(random.uniform() * std::size(odd))];
    // Times jump about, stand still and reach both ends.
    const std::uint64_t time = random.uniform() < 0.1   ? 0
                               : random.uniform() < 0.1 ? ~0ull
                                                        : static_cast<std::uint64_t>(random.uniform() * 1.8e19);
    const auto r = channel.observe(time, value);
    CHECK(r.scored == std::isfinite(value));
    CHECK(std::isfinite(r.score) && std::isfinite(r.surpriseBits) && std::isfinite(r.rarityBits));
  }
  // It still learns after all that.
  std::vector<std::uint8_t> bytes;
  channel.snapshot(bytes);
  ValueModel copy;
  CHECK(copy.restore(bytes));

  // Values that are not numbers change nothing.
  ValueModel a, b;
  bool equal = true;
  const auto values = noise(600, 5, 1);
  for (std::size_t i = 0; i < values.size(); ++i) {
    b.observe(kStart + i * kFiveMinutes, kInf);
    equal = equal && same(a.observe(kStart + i * kFiveMinutes, values[i]), b.observe(kStart + i * kFiveMinutes, values[i]));
  }
  CHECK(equal);
}

TEST(scoresBeforeItLearns) {
  // The score of a prefix does not depend on what follows.
  auto values = noise(1200, 50, 2);
  const auto all = run(values);
  values.resize(900);
  const auto prefix = run(values);
  bool equal = true;
  for (std::size_t i = 0; i < prefix.size(); ++i) equal = equal && same(all[i], prefix[i]);
  CHECK(equal);
}

}  // namespace
