#pragma once

// The whole test harness: CHECK what must hold, and end main with `return report();`.

#include <cmath>
#include <cstdio>

namespace driftlock::test {

inline int checks = 0;
inline int failures = 0;

inline void check(bool ok, const char* what, const char* file, int line) {
  ++checks;
  if (ok) return;
  ++failures;
  std::fprintf(stderr, "%s:%d: CHECK(%s) failed\n", file, line, what);
}

inline int report() {
  std::printf("%d checks, %d failed\n", checks, failures);
  return failures == 0 && checks > 0 ? 0 : 1;
}

}  // namespace driftlock::test

#define CHECK(...) ::driftlock::test::check(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)
#define CHECK_NEAR(a, b, tolerance) CHECK(std::fabs((a) - (b)) <= (tolerance))
