#pragma once

// The whole test harness. A test is TEST(name) { … } and states with CHECK what must be true; main.cpp runs those of a program.

#include <cmath>
#include <cstdio>
#include <vector>

namespace driftlock::test {

struct Test {
  const char* name;
  void (*run)();
};

/// The tests of this program, in the order of the source.
inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

struct Registration {
  Registration(const char* name, void (*run)()) { tests().push_back({name, run}); }
};

inline int checks = 0;
inline int failures = 0;

inline void check(bool ok, const char* what, const char* file, int line) {
  ++checks;
  if (ok) return;
  ++failures;
  std::fprintf(stderr, "%s:%d: CHECK(%s) failed\n", file, line, what);
}

}  // namespace driftlock::test

#define TEST(name)                                                     \
  void name();                                                         \
  const ::driftlock::test::Registration name##Registered(#name, name); \
  void name()

#define CHECK(...) ::driftlock::test::check(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)
#define CHECK_NEAR(a, b, tolerance) CHECK(std::fabs((a) - (b)) <= (tolerance))
