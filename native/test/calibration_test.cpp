#include "channels/calibration.hpp"

#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/portable_math.hpp"
#include "test.hpp"

using namespace driftlock;

namespace {

struct Source {
  std::uint64_t state;
  double uniform() {  // in (0, 1)
    state += 0x9E3779B97F4A7C15u;
    std::uint64_t x = state;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    x ^= x >> 31;
    return (static_cast<double>(x >> 11) + 0.5) * 0x1p-53;
  }
  double exponential() { return -portableLog(uniform()); }
  double normal() { return std::sqrt(2 * exponential()) * std::cos(6.283185307179586 * uniform()); }
};

TEST(mathematicsIsRight) {
  for (double x = 1e-300; x < 1e300; x *= 3.7) {
    CHECK(std::fabs(portableLog(x) - std::log(x)) <= 4e-16 * std::max(1.0, std::fabs(std::log(x))));
    CHECK(std::fabs(portableLog2(x) - std::log2(x)) <= 1e-15 * std::max(1.0, std::fabs(std::log2(x))));
  }
  for (double x = -700; x < 700; x += 0.37) CHECK_NEAR(portableExp(x) / std::exp(x), 1, 2e-15);
  using Limits = std::numeric_limits<double>;
  for (const double x : {0x1p-1074, Limits::min() / 3, Limits::min(), 0.75, 1.0, 1e300, Limits::max()}) {
    int exponent = 0, expected = 0;
    CHECK(fractionOf(x, exponent) == std::frexp(x, &expected) && exponent == expected);
  }
  CHECK(portableLog(0) < -1e300 && portableLog(-1) < -1e300);
  CHECK(portableExp(-1000) == 0 && std::isinf(portableExp(1000)));
}

TEST(smallSamplesByHand) {
  Calibration past(1);
  CHECK(past.pValue(5) == 1);
  past.learn(std::numeric_limits<double>::quiet_NaN());
  CHECK(past.learnt() == 0);
  for (const double score : {1.0, 2.0, 3.0, 4.0}) past.learn(score);
  CHECK(past.pValue(0) == 1);
  CHECK_NEAR(past.pValue(3), 3.0 / 5, 1e-12);  // ties count as reached
  CHECK_NEAR(past.pValue(4), 2.0 / 5, 1e-12);
  CHECK(past.pValue(5) <= 1.0 / 5);
  CHECK(past.pValue(6) < past.pValue(5) && past.pValue(1e30) > 0);  // it falls without end
  CHECK(past.pValue(std::numeric_limits<double>::quiet_NaN()) == 1);
  CHECK(past.median() == 3);
}

/// The limit by its definition: the smallest float whose p-value is small enough, by bisection over all of them.
double limitByBisection(const Calibration& past, double p) {
  const auto at = [](std::int64_t i) {
    return std::bit_cast<float>(i < 0 ? 0x80000000u | static_cast<std::uint32_t>(-(i + 1)) : static_cast<std::uint32_t>(i));
  };
  std::int64_t reached = 0x7F7FFFFF, below = -reached - 2;
  if (past.pValue(at(reached)) > p) return std::numeric_limits<double>::infinity();
  while (reached - below > 1) {
    const std::int64_t middle = below + (reached - below) / 2;
    (past.pValue(at(middle)) <= p ? reached : below) = middle;
  }
  return at(reached);
}

TEST(limitsAreExact) {
  Source source{11};
  for (const double scale : {1e-20, 1.0, 1e9}) {
    Calibration past(1);
    for (int n = 0; n < 6000; ++n) {
      past.learn(scale * (n % 3 == 0   ? source.normal()
                          : n % 3 == 1 ? 1 / std::sqrt(source.uniform())
                                       : std::floor(4 * source.uniform())));
      if (n % 37 != 0 && n > 40) continue;
      for (double p = 0.9; p > 1e-12; p *= 0.11) {
        // The p-values around one may have the same limit: the next ones up and down, and the one that the limit itself has.
        for (const double near : {p, p * 1.001, p * 0.999, past.pValue(past.limit(p))}) {
          CHECK(past.limit(near) == limitByBisection(past, near));
        }
      }
      CHECK(past.limit(0) == limitByBisection(past, 0) && past.limit(1) == limitByBisection(past, 1));
    }
  }
  CHECK(std::isinf(Calibration(1).limit(0.5)));
}

/// Checks that under exchangeable scores a p-value is at most alpha with a probability of about alpha.
TEST(pValuesAreUniform) {
  for (const std::string kind : {"normal", "heavy", "ties"}) {
    Calibration past(1);
    Source source{kind.size()};
    constexpr int kN = 400000;
    const std::vector<double> alphas{0.3, 0.1, 0.03, 0.01, 0.001, 0.0001};
    std::vector<int> atMost(alphas.size());
    double previousLimit = -1;
    for (int i = 0; i < kN; ++i) {
      const double score = kind == "normal"  ? source.normal()
                           : kind == "heavy" ? 1 / std::sqrt(source.uniform())
                                             : std::floor(2 * std::fabs(source.normal()));
      const double p = past.pValue(score);
      for (std::size_t a = 0; a < alphas.size(); ++a) atMost[a] += p <= alphas[a];
      past.learn(score);
      if (i % 100000 == 99999) {
        const double limit = past.limit(0.001);
        CHECK(past.pValue(limit) <= 0.001 && past.pValue(std::nextafterf(static_cast<float>(limit), -1e30f)) > 0.001);
        previousLimit = limit;
      }
    }
    if (kind == "normal") CHECK(previousLimit > 2.6 && previousLimit < 3.8);  // exact: 3.09
    for (std::size_t a = 0; a < alphas.size(); ++a) {
      const double expected = alphas[a] * kN;
      CHECK(atMost[a] <= 1.15 * expected + 4 * std::sqrt(expected) + 2);
      if (kind != "ties") CHECK(atMost[a] >= 0.5 * expected - 4 * std::sqrt(expected));
    }
  }
}

TEST(pValuesFallWithTheScore) {
  Source source{9};
  for (const int n : {3, 20, 70, 300, 5000, 70000}) {
    Calibration past(0.5);
    for (int i = 0; i < n; ++i) past.learn(source.exponential());
    double previous = 1;
    for (double score = -1; score < 60; score += 0.05) {
      const double p = past.pValue(score);
      CHECK(p > 0 && p <= previous);
      previous = p;
    }
  }
}

TEST(fewerOrMoreHarmlessScoresDoNotHideAFatalOne) {
  for (const int notes : {0, 1, 3, 5, 8, 20, 100}) {
    Calibration past(0.5);
    for (int i = 0; i < 9000; ++i) past.learn(i >= 5000 && i < 5000 + 30 * notes && i % 30 == 0 ? 4.5 + 0.01 * (i % 7) : 0);
    CHECK(past.pValue(13.7) < 1e-5);
    CHECK(past.pValue(27) < 0.1 * past.pValue(13.7));
  }
}

TEST(tailIsSane) {
  // The scores are exponential: the tail beyond 2,000 of them should be within a small factor, and never claim much too much.
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Source source{seed};
    Calibration past(0.1);
    for (int i = 0; i < 2000; ++i) past.learn(source.exponential());
    for (const double score : {9.0, 11.0, 13.0}) CHECK(past.pValue(score) > 0.2 * portableExp(-score));
    CHECK(past.pValue(20) < 1e-4);
  }
  // A stream that never scores has no scale of its own, so the unit is used.
  Calibration silent(2);
  for (int i = 0; i < 1000; ++i) silent.learn(0);
  CHECK(silent.pValue(0) == 1);
  CHECK(silent.pValue(1) > silent.pValue(20));
  CHECK(silent.pValue(60) < 2e-5);
  CHECK(silent.limit(1e-9) > silent.limit(1e-6));
}

/// Checks that scores which are known to be exponential are believed further out, and yet never too far.
TEST(exponentialScoresAreBelieved) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Source source{seed};
    Calibration heavy(0.1), exponential(0.1, ScoreLaw::Exponential);
    for (int i = 0; i < 100; ++i) {
      const double score = source.exponential();
      heavy.learn(score), exponential.learn(score);
    }
    CHECK(exponential.pValue(3) == heavy.pValue(3));
    for (const double score : {9.0, 14.0, 20.0}) {
      CHECK(exponential.pValue(score) > 0.2 * portableExp(-score));
      CHECK(exponential.pValue(score) <= heavy.pValue(score));
    }
    CHECK(exponential.pValue(40) < 0.05 * heavy.pValue(40));
    std::vector<std::uint8_t> bytes;
    exponential.snapshot(bytes);
    Calibration copy(0.1, ScoreLaw::Exponential);
    CHECK(copy.restore(bytes) && copy.pValue(14) == exponential.pValue(14));
  }
}

TEST(allOfThePastCountsBeyondIt) {
  Calibration calibration(1e-9);
  for (int n = 1; n <= 20'000; ++n) {
    calibration.learn(n % 7);
    // The least that a score beyond n others can have is 1 / (n + 1); blocks that are not finished do not count.
    if (n >= 16 && n % 9 == 0) CHECK(calibration.pValue(6.0001) < 1.3 / n);
  }
}

TEST(anomaliesDoNotHideTheNext) {
  Source source{4};
  Calibration past(1);
  for (int i = 0; i < 20000; ++i) past.learn(source.normal());
  const double limit = past.limit(1e-4);
  const double before = past.pValue(15);
  for (int i = 0; i < 5; ++i) {
    past.learn(15, Alarm::Raised, 1e-4);
    past.learn(15, Alarm::Related, 1e-4);
  }
  CHECK(past.pValue(15) < 20 * before && past.pValue(15) < 1e-4);
  CHECK(past.limit(1e-4) > limit);
  for (int i = 0; i < 12; ++i) past.learn(15, Alarm::Withheld, 1e-4);
  CHECK(past.pValue(15) > 0.01);
}

TEST(aYoungStreamSaysLittleOfAnOldOne) {
  // Many of the first scores are for things seen for the first time; those are left out while the rest still counts.
  const auto after = [](int from) {
    Calibration past(1);
    for (int i = 0; i < 1500; ++i) past.learn(i >= from && i < from + 60 && i % 10 == 0 ? 9 : 0);
    return past.pValue(9);
  };
  CHECK(after(0) < 1e-4);
  CHECK(after(70) > 1e-3);
}

TEST(combinedValues) {
  CHECK(combinePValues({}) == 1);
  CHECK_NEAR(combinePValues(std::vector{0.01, 0.01, 0.01}), 0.01, 1e-12);
  CHECK_NEAR(combinePValues(std::vector{0.001, 1.0}), 2 / 1001.0, 1e-12);
  CHECK(combinePValues(std::vector{0.0, 1.0}) > 0);
  Source source{5};
  for (const double shared : {0.0, 0.7, 1.0}) {  // how much the channels have in common
    int atMost = 0;
    constexpr int kN = 200000;
    for (int i = 0; i < kN; ++i) {
      const double common = source.normal();
      std::vector<double> p;
      for (int k = 0; k < 4; ++k)
        p.push_back(std::erfc((shared * common + std::sqrt(1 - shared * shared) * source.normal()) / std::sqrt(2)) / 2);
      atMost += combinePValues(p) <= 0.001;
    }
    CHECK(atMost <= 1.25 * 0.001 * kN + 4 * std::sqrt(0.001 * kN));
  }
}

TEST(gapsDoNotMakeRegularUnitsRare) {
  AlarmBudget regular(1, true), any(1);
  std::uint64_t time = 1700000000000000000u;
  const auto both = [&](std::uint64_t seconds) {
    time += seconds * 1000000000u;
    regular.observe(time), any.observe(time);
  };
  for (int i = 0; i < 3000; ++i) both(15);
  CHECK_NEAR(regular.unitsPerDay(), any.unitsPerDay(), 1);
  CHECK_NEAR(regular.unitsPerDay(), 5760, 6);
  both(60000);
  CHECK_NEAR(regular.unitsPerDay(), 5760, 20);
  CHECK(any.unitsPerDay() < 3000);
  // An interval that has become longer is no gap for long.
  for (int i = 0; i < 300; ++i) both(3600);
  CHECK_NEAR(regular.unitsPerDay(), 24, 1);
}

TEST(guessedTimeFillsABankSooner) {
  AlarmBudget known(1), guessed(1);
  std::uint64_t time = 1700000000000000000u;
  const auto raised = [](AlarmBudget& budget) {
    int count = 0;
    while (budget.judge(budget.limit(), budget.limit(), false) == Alarm::Raised) ++count;
    return count;
  };
  known.observe(time), guessed.observe(time);
  CHECK(raised(known) == 3 && raised(guessed) == 3);
  for (int i = 0; i < 3 * 8650; ++i) time += 1000000000u, known.observe(time), guessed.observe(time, true);
  // How many units are strange enough by chance does not depend on it.
  CHECK_NEAR(known.limit(), guessed.limit(), 1e-15);
  CHECK(raised(known) == 0 && raised(guessed) == 3);
}

/// Counts the alarms over the days of a stream without anomalies.
double alarms(const std::string& kind, double perDay, double perSecond, double days) {
  Calibration past(1);
  AlarmBudget budget(perDay);
  Source source{11};
  double state = 0, flagged = -1e9;
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(days * 86400 * perSecond); ++i) {
    const double time = static_cast<double>(i) / perSecond;
    state = 0.99 * state + source.normal();
    double score = 0;
    if (kind == "normal") score = source.normal();
    if (kind == "heavy") score = 1 / std::sqrt(source.uniform());
    if (kind == "ties") score = source.uniform() < 0.95 ? 0 : std::floor(4 * source.exponential());
    if (kind == "ar1") score = state;
    if (kind == "trend") score = source.normal() + time / 86400;
    if (kind == "rising") score = static_cast<double>(i);  // stranger with every unit: the worst case
    budget.observe(1000000000u + static_cast<std::uint64_t>(time * 1e9));
    const Alarm judged = budget.judge(past.pValue(score), budget.limit(), time - flagged < 60);
    if (judged != Alarm::None) flagged = time;
    past.learn(score, judged, budget.limit());
  }
  return static_cast<double>(budget.raised());
}

TEST(budgetIsKept) {
  for (const std::string kind : {"normal", "heavy", "ties", "ar1", "trend", "rising"})
    for (const double perDay : {1.0, 10.0, 100.0})
      CHECK(alarms(kind, perDay, 0.01, 30) <= perDay * 30 + 3 + 2 * std::max(3.0, perDay));
  CHECK(alarms("heavy", 10, 0.3, 10) <= 1.2 * 10 * 10);
}

TEST(budgetByHand) {
  AlarmBudget budget(2);
  std::uint64_t time = 1700000000000000000u;
  for (int i = 0; i < 86410; ++i) budget.observe(time += 1000000000u);
  // There is one unit per second with forgetting over a day: 1 - 1/e of a day's units in as many of its seconds, plus the grace.
  CHECK_NEAR(budget.unitsPerDay(), 86400, 60);
  const double limit = budget.limit();
  CHECK_NEAR(limit, 1.0 / 86400, 1e-7);
  CHECK(budget.judge(1, limit, false) == Alarm::None);
  CHECK(budget.judge(std::numeric_limits<double>::quiet_NaN(), limit, false) == Alarm::None);
  CHECK(budget.judge(1e-5, limit, true) == Alarm::Related);
  for (int i = 0; i < 3; ++i) CHECK(budget.judge(1e-5, limit, false) == Alarm::Raised);
  CHECK(budget.judge(1e-5, limit, false) == Alarm::Withheld);
  // The stranger or graver a unit is, the more it may overdraw: log100(1.16e3) = 1.53 times a capacity of 3, then the most.
  for (int i = 0; i < 4; ++i) CHECK(budget.judge(1e-8, limit, false) == Alarm::Raised);
  CHECK(budget.judge(1e-8, limit, false) == Alarm::Withheld);
  CHECK(budget.judge(1e-8, limit, false, 100) == Alarm::Raised);
  CHECK(budget.judge(1e-12, limit, false) == Alarm::Raised);
  CHECK(budget.judge(1e-90, limit, false, 100) == Alarm::Withheld);
  CHECK(budget.judge(1e-5, 1e-9, false) == Alarm::None);
  CHECK(budget.raised() == 9 && budget.withheld() == 3);
  budget.observe(time -= 5000000000u);  // backwards: no time has passed
  CHECK(budget.judge(1e-8, limit, false) == Alarm::Withheld);
  // If units are rare, nothing more usual than 1 in 20 is strange, whatever the budget.
  AlarmBudget generous(100);
  for (int i = 0; i < 10; ++i) generous.observe(time += 8640000000000u);
  CHECK(generous.limit() == 0.05);
}

TEST(snapshotsContinue) {
  Source source{3};
  for (const int n : {0, 5, 300, 30000}) {
    Calibration past(1.5);
    for (int i = 0; i < n; ++i) past.learn(source.exponential());
    std::vector<std::uint8_t> bytes;
    past.snapshot(bytes);
    Calibration other(9);
    CHECK(other.restore(bytes));
    for (int i = 0; i < 2000; ++i) {
      const double score = source.exponential();
      CHECK(past.pValue(score) == other.pValue(score));
      past.learn(score);
      other.learn(score);
    }
    std::vector<std::uint8_t> a, b;
    past.snapshot(a);
    other.snapshot(b);
    CHECK(a == b);
    for (std::size_t cut = 0; cut < bytes.size(); cut += 11) CHECK(!other.restore(Bytes(bytes).first(cut)));
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
      std::vector<std::uint8_t> hostile = bytes;
      hostile[i] ^= 0xFF;
      Calibration victim(1);
      if (victim.restore(hostile)) CHECK(victim.pValue(3) > 0);
    }
  }
  Calibration longest(1);
  CHECK(longest.memory() <= 512);
  for (int i = 0; i < 1'000'000; ++i) longest.learn(source.exponential());
  CHECK(longest.memory() <= 3072);

  AlarmBudget budget(5);
  constexpr double kLimit = 1e-5;
  for (std::uint64_t i = 1; i < 1000; ++i) {
    budget.observe(i * 1000000000u);
    budget.judge(1e-6, kLimit, false);
  }
  std::vector<std::uint8_t> bytes, a, b;
  budget.snapshot(bytes);
  AlarmBudget other(5);
  CHECK(other.restore(bytes));
  for (std::uint64_t i = 1000; i < 100000; ++i) {
    budget.observe(i * 1000000000u);
    other.observe(i * 1000000000u);
    CHECK(budget.judge(1e-6, kLimit, false) == other.judge(1e-6, kLimit, false));
  }
  budget.snapshot(a);
  other.snapshot(b);
  CHECK(a == b);
  AlarmBudget smaller(1);
  CHECK(smaller.restore(bytes));
  CHECK(!smaller.restore(Bytes(bytes).first(bytes.size() - 1)));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::vector<std::uint8_t> hostile = bytes;
    hostile[i] ^= 0xFF;
    AlarmBudget victim(5);
    victim.restore(hostile);
    victim.observe(5);
    CHECK(victim.limit() > 0 && victim.limit() <= 0.05);
  }
}

}  // namespace
