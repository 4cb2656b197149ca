#include "report/measure.hpp"

#include <algorithm>
#include <cstdint>

#include "report/nearest.hpp"
#include "text/readable.hpp"

namespace driftlock {
namespace {

constexpr std::uint32_t kBlock = 8;
constexpr std::uint32_t kStopAfter = 10;

/// Returns the latest of the texts that the codec sees together.
std::vector<Bytes> within(std::size_t reach, const std::vector<std::string>& texts) {
  std::vector<Bytes> out;
  for (auto text = texts.rbegin(); text != texts.rend() && text->size() <= reach; ++text) {
    out.push_back(bytesOf(*text));
    reach -= text->size();
  }
  std::ranges::reverse(out);
  return out;
}

}  // namespace

std::string joined(const std::vector<std::string>& lines) {
  std::string all;
  for (const std::string& line : lines) all += line;
  return all;
}

void addMetrics(const Stream& stream, const WindowMetrics& metrics, CodecName codec, Report& report) {
  report.hasMetrics = true;
  report.metrics = metrics;
  report.codec = toString(codec);
  report.windowRecords = static_cast<std::uint32_t>(stream.windows().records());
}

void addNearest(const WindowTexts& texts, const Codec& matcher, Report& report) {
  if (report.description.wantsNearest) report.nearest = nearestOf(texts.baseline, report.description.text, matcher);
  text::makeReadable(report.nearest);
}

PermutationResult testWindow(const WindowTexts& texts, const Codec& codec, const Settings& settings) {
  const std::vector<Bytes> b = within(codec.reach(), texts.baseline), w = within(codec.reach(), texts.window);
  const auto block = static_cast<std::uint32_t>(std::min({std::size_t{kBlock}, b.size(), w.size()}));
  if (block == 0) return {};
  return permutationTest(b, w, codec,
                         {.permutations = settings.permutations, .block = block, .stopAfter = kStopAfter, .seed = settings.seed});
}

}  // namespace driftlock
