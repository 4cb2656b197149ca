// Alarms on simulated streams without anomalies, and the share of planted outliers that raise one.
//   calibration_bench

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "channels/alarm_budget.hpp"
#include "channels/calibration.hpp"

using namespace driftlock;

namespace {

struct Source {
  std::uint64_t state;
  double uniform() {  // SplitMix64, in (0, 1)
    state += 0x9E3779B97F4A7C15u;
    std::uint64_t x = state;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return (static_cast<double>((x ^ (x >> 31)) >> 11) + 0.5) * 0x1p-53;
  }
  double exponential() { return -std::log(uniform()); }
  double normal() { return std::sqrt(2 * exponential()) * std::cos(6.283185307179586 * uniform()); }
};

struct Stream {
  std::string kind;
  Source source{42};
  double state = 0;
  double next(double time) {
    if (kind == "normal") return source.normal();
    if (kind == "lognormal") return std::exp(1.5 * source.normal());
    if (kind == "Pareto 2") return 1 / std::sqrt(source.uniform());
    if (kind == "95 % zeros") return source.uniform() < 0.95 ? 0 : std::floor(4 * source.exponential());
    if (kind == "ties") return std::floor(2 * std::fabs(source.normal()));
    if (kind == "constant") return 3;
    if (kind == "AR(1) .99") return state = 0.99 * state + 0.141067 * source.normal();
    if (kind == "daily wave") return source.normal() + 2 * std::sin(time / 86400 * 6.283185307179586);
    if (kind == "trend") return source.normal() + 0.3 * time / 86400;
    if (kind == "clusters") {
      if (state <= 0 && source.uniform() < 0.0005) state = 20;
      return state-- > 0 ? 5 + 2 * source.exponential() : source.normal();
    }
    return time;  // rising
  }
};

struct Outcome {
  double raised = 0, withheld = 0, planted = 0, found = 0;
};

/// @param outlier the kind to plant, once per two days' budget after the first fifth; 0 for none
Outcome run(const std::string& kind, double perDay, double perSecond, double days, double outlier) {
  Calibration past(1.5);
  AlarmBudget budget(perDay);
  Stream stream{kind};
  Outcome outcome;
  double flagged = -1e18;
  const auto units = static_cast<std::uint64_t>(days * 86400 * perSecond);
  const auto every = std::max<std::uint64_t>(2, static_cast<std::uint64_t>(2 * 86400 * perSecond / perDay));
  for (std::uint64_t i = 0; i < units; ++i) {
    const double time = static_cast<double>(i) / perSecond;
    const bool planted = outlier != 0 && i > units / 5 && i % every == every / 2;
    const double score = planted ? outlier : stream.next(time);
    budget.observe(1000000000u + static_cast<std::uint64_t>(time * 1e9));
    const Alarm judged = budget.judge(past.pValue(score), budget.limit(), time - flagged < 60);
    if (judged != Alarm::None) flagged = time;
    past.learn(score, judged, budget.limit());
    if (planted) {
      outcome.planted += 1;
      outcome.found += judged == Alarm::Raised || judged == Alarm::Related;
    }
  }
  outcome.raised = static_cast<double>(budget.raised());
  outcome.withheld = static_cast<double>(budget.withheld());
  return outcome;
}

}  // namespace

int main() {
  const std::vector<std::string> kinds{"normal",    "lognormal",  "Pareto 2", "95 % zeros", "ties",  "constant",
                                       "AR(1) .99", "daily wave", "trend",    "clusters",   "rising"};
  std::puts(
      "Alarms raised (and withheld) over 30 days without anomalies, as shares of the budget\n"
      "stream       units/s | 1 a day       | 10 a day      | 100 a day");
  for (const std::string& kind : kinds)
    for (const double rate : {0.01, 1.0}) {
      std::printf("%-12s %7g", kind.c_str(), rate);
      for (const double perDay : {1.0, 10.0, 100.0}) {
        const Outcome outcome = run(kind, perDay, rate, 30, 0);
        std::printf(" | %.2f (%.2f)  ", outcome.raised / 30 / perDay, outcome.withheld / 30 / perDay);
      }
      std::puts("");
    }
  std::puts("\nOne hour of 1,000 units a second without anomalies: alarms raised");
  for (const std::string& kind : kinds) {
    std::printf("%-12s", kind.c_str());
    for (const double perDay : {1.0, 10.0, 100.0}) std::printf(" | %4.0f", run(kind, perDay, 1000, 1.0 / 24, 0).raised);
    std::puts("");
  }
  std::puts("\nPlanted outliers found, 1 unit a second, 10 days, as many as half the budget");
  const std::vector<std::pair<std::string, std::vector<double>>> outliers{{"normal", {6, 8, 12}},
                                                                          {"lognormal", {200, 1000, 10000}},
                                                                          {"Pareto 2", {1000, 10000, 100000}},
                                                                          {"95 % zeros", {40, 60, 100}},
                                                                          {"ties", {8, 14, 30}},
                                                                          {"constant", {6, 10, 40}},
                                                                          {"AR(1) .99", {6, 8, 12}},
                                                                          {"daily wave", {8, 10, 14}}};
  for (const auto& [kind, sizes] : outliers) {
    std::printf("%-12s", kind.c_str());
    for (const double perDay : {1.0, 10.0, 100.0}) {
      std::printf(" |");
      for (const double size : sizes) {
        const Outcome outcome = run(kind, perDay, 1, 10, size);
        std::printf(" %g: %.2f", size, outcome.found / outcome.planted);
      }
    }
    std::puts("");
  }
  Source source{1};
  Calibration past(1);
  constexpr int kN = 1000000;
  std::vector<double> scores(kN);
  for (double& score : scores) past.learn(score = source.exponential());
  double sum = 0;
  const std::clock_t begin = std::clock();
  for (const double score : scores) {
    sum += past.pValue(score);
    past.learn(score);
  }
  const double took = 1e9 * static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  std::printf("\n%.0f ns to score and learn a unit (mean p %.3f), %zu + %zu bytes\n", took / kN, sum / kN, past.memory(),
              sizeof(AlarmBudget));
  return 0;
}
