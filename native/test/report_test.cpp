// Checks what is reported of a flagged verdict.

#include "report/report.hpp"

#include <cmath>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "requests.hpp"
#include "test.hpp"
#include "text/sentence.hpp"

using namespace driftlock;

namespace {

/// Checks that numbers in an explanation are those that printf writes, of any size, also half-way between two.
TEST(writesNumbersAsPrintfDoes) {
  std::vector<double> values = {0,
                                0.005,
                                0.015,
                                0.125,
                                0.375,
                                0.5,
                                1.5,
                                2.5,
                                0.994999,
                                0.995,
                                0.999,
                                99.995,
                                1e15,
                                4503599627370495.5,
                                9007199254740992.0,
                                1e22,
                                1e300,
                                1e-3,
                                9.765624e-4,
                                1e-300,
                                5e-324,
                                -1.005,
                                -0.0,
                                std::numeric_limits<double>::infinity()};
  test::Random random(5);
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(std::ldexp(static_cast<double>(random.next()), static_cast<int>(random.below(80)) - 60));
    values.push_back(static_cast<double>(random.below(100'000)) / 1'000);
  }
  for (const double value : values) {
    Report report;
    report.description.sentence = text::fixed(value, 0) + " bits";
    report.verdict.flagged = true;
    report.verdict.channelScore = report.verdict.limit = value;
    char expected[2'000];
    std::snprintf(expected, sizeof expected, "%.0f bits; score %.2f against a limit of %.2f, p = 1", value, value, value);
    CHECK(explain(report) == expected);
    for (const int precision : {1, 3}) {
      std::snprintf(expected, sizeof expected, "%.*f", precision, value);
      CHECK(text::fixed(value, precision) == expected);
    }
  }
}

}  // namespace
