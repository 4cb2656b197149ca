#include "report/notable.hpp"
#include "test.hpp"

using namespace driftlock;

namespace {

constexpr std::uint64_t kHour = 3'600'000'000'000;

Verdict rarity(double margin, double score = 1) {
  Verdict verdict;
  verdict.margin = margin;
  verdict.score = score;
  return verdict;
}

}  // namespace

TEST(keepsTheStrangestOfEachHourAndOnePerStream) {
  Notable notable;
  for (std::uint64_t stream = 1; stream <= Notable::kMost; ++stream) {
    CHECK(notable.note(stream, rarity(static_cast<double>(stream)), 5 * kHour));
  }
  // More of the same stream takes its place only if it is stranger, by its score if it is as rare.
  CHECK(!notable.note(3, rarity(3), 5 * kHour));
  CHECK(notable.note(3, rarity(3, 2), 5 * kHour));
  CHECK(!notable.note(3, rarity(2, 9), 5 * kHour));
  // Another stream takes the place of the least strange one.
  CHECK(!notable.note(99, rarity(0.5), 6 * kHour - 1));
  CHECK(notable.note(99, rarity(1.5), 6 * kHour - 1));
  CHECK(!notable.note(1, rarity(1), 6 * kHour - 1));
  // The next hour begins anew, and records of the past one count in it.
  CHECK(notable.note(1, rarity(0.01), 6 * kHour));
  CHECK(notable.note(2, rarity(0.01), 5 * kHour));
  CHECK(!notable.note(2, rarity(0.01), 6 * kHour));
}

TEST(goesOnFromItsSnapshot) {
  Notable notable;
  for (std::uint64_t stream = 1; stream <= Notable::kMost; ++stream) notable.note(stream, rarity(0.5), kHour);
  std::vector<std::uint8_t> bytes;
  notable.snapshot(bytes);
  Notable restored;
  CHECK(restored.restore(bytes));
  CHECK(!restored.note(99, rarity(0.4), kHour));
  CHECK(restored.note(99, rarity(0.6), kHour));
  bytes.pop_back();
  CHECK(!Notable().restore(bytes));
}
