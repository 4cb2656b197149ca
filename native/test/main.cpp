// Runs the tests of a program.
//   PROGRAM          all of them
//   PROGRAM NAME...  those with these names

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <vector>

#include "test.hpp"

using namespace driftlock::test;

int main(int argc, char** argv) {
  std::vector<Test> chosen;
  for (int i = 1; i < argc; ++i) {
    const auto found =
        std::ranges::find(tests(), std::string_view(argv[i]), [](const Test& test) { return std::string_view(test.name); });
    if (found == tests().end()) {
      std::fprintf(stderr, "there is no test '%s' here; its tests are:\n", argv[i]);
      for (const Test& test : tests()) std::fprintf(stderr, "  %s\n", test.name);
      return 2;
    }
    chosen.push_back(*found);
  }
  if (chosen.empty()) chosen = tests();

  int failed = 0;
  for (const Test& test : chosen) {
    const int checksBefore = checks, failuresBefore = failures;
    test.run();
    if (checks == checksBefore) std::fprintf(stderr, "%s: the test checks nothing\n", test.name);
    if (failures == failuresBefore && checks > checksBefore) continue;
    std::fprintf(stderr, "%s: failed\n", test.name);
    ++failed;
  }
  std::printf("%zu tests with %d checks, %d failed\n", chosen.size(), checks, failed);
  return failed == 0 && !chosen.empty() ? 0 : 1;
}
