#include "text/telling.hpp"

#include <string>
#include <string_view>

#include "test.hpp"

using driftlock::text::telling;

namespace {

std::size_t all(std::string_view text) { return telling(text, 0, text.size()); }

TEST(wordsTellMoreThanIdentifiers) {
  CHECK(all("certificate rotated") > all("7f3a9c0d4be1aa02cc815e0f9d"));
  CHECK(all("certificate rotated") > all("xkcdqz vvbnmkl wrtzpsdf ghjklqwrt zxcvbnm"));
  CHECK(all("8842-1193-7741-0093, 17:04:11.000234") == 0);
  CHECK(all("") == 0);
}

TEST(failuresTellMost) {
  const std::string_view harmless = "the nightly export of all customers to the warehouse was scheduled by the operator";
  for (const std::string_view grave : {"disk offline", "FATAL", "request Failed", "TimeoutException", "access denied"})
    CHECK(all(grave) > all(harmless));
  // A word speaks only as a whole.
  CHECK(all("terrorist") < all("error"));
}

/// Checks that a part of a text that begins or ends within a word is understood by the whole word.
TEST(partsOfWords) {
  const std::string_view text = "kernel panic in interrupt";
  CHECK(telling(text, 9, 12) > 100);   // "nic"
  CHECK(telling(text, 0, 6) == 6);     // "kernel"
  CHECK(telling(text, 13, 15) == 0);   // "in"
  CHECK(telling(text, 20, 999) >= 5);  // "rrupt", and beyond the end
  const std::string_view trace = "at Lock.freeze(BalanceFailure.java)";
  CHECK(telling(trace, 8, 15) == 6);   // "freeze("
  CHECK(telling(trace, 7, 15) == 6);   // ".freeze("
  CHECK(telling(trace, 10, 17) == 6);  // "eeze(Ba"
}

}  // namespace
