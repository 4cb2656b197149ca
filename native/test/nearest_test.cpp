#include "report/nearest.hpp"

#include <string>
#include <vector>

#include "requests.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

TEST(findsTheNearestLine) {
  const auto lz4 = makeCodec(CodecName::Lz4);
  Random random(3);
  std::vector<std::string> lines;
  for (int i = 0; i < 60; ++i) lines.push_back(normalLine(random) + '\n');
  const std::string like = "order 4711 moved to CANCELLED for customer u-4711";
  CHECK(nearestOf(lines, like, *lz4).starts_with("order "));
  CHECK(nearestOf(lines, "cache miss for key product:12, loading it", *lz4).starts_with("cache hit"));
  CHECK(nearestOf(lines, "GET /api/v2/products/77 failed after 30ms", *lz4).starts_with("GET /api"));
  // The record nearest to one that is present is itself, or one that differs only in the last bytes: LZ4 ends with literals.
  for (const std::string& line : lines)
    CHECK(nearestOf(lines, line.substr(0, line.size() - 1), *lz4).substr(0, 8) == line.substr(0, 8));

  CHECK(nearestOf({}, like, *lz4).empty());
  CHECK(nearestOf({"\n", ""}, like, *lz4).empty());
  CHECK(nearestOf({"a line"}, "", *lz4) == "a line");
  // Texts longer than the codec's reach are ignored.
  const std::string endless(lz4->reach(), 'x');
  CHECK(nearestOf({endless, "short\n"}, like, *lz4) == "short");
  CHECK(nearestOf({endless}, endless, *lz4).empty());
}

}  // namespace
