#include "llm/tool_paths.hpp"

#include <algorithm>

#include "base/portable_math.hpp"

namespace driftlock::llm {
namespace {

/// Beyond so many steps, old ones count half.
constexpr std::uint32_t kMostTotal = 1 << 20;

}  // namespace

ToolPaths::Tool* ToolPaths::find(std::uint64_t hash) {
  const auto found = std::ranges::find(tools_, hash, &Tool::hash);
  return found == tools_.end() ? nullptr : &*found;
}

ToolPaths::Tool* ToolPaths::findOrAdd(std::uint64_t hash) {
  if (Tool* const known = find(hash)) return known;
  if (tools_.size() == kMostTools) return nullptr;
  return &tools_.emplace_back(Tool{.hash = hash});
}

double ToolPaths::bits(std::uint64_t from, std::uint64_t to) const {
  const auto reached = static_cast<double>(std::ranges::count_if(tools_, [](const Tool& each) { return each.to > 0; }));
  const Tool* const target = find(to);
  // One more tool than is known.
  const double uniform = 1 / (static_cast<double>(tools_.size()) + 1);
  const double any = ((target ? target->to : 0) + reached * uniform) / (total_ + reached);
  const Tool* const origin = find(from);
  if (!origin || origin->from == 0) return total_ == 0 ? 0 : -portableLog2(any);
  const auto step = std::ranges::find_if(steps_, [&](const Step& each) { return each.from == from && each.to == to; });
  const double count = step == steps_.end() ? 0 : step->count;
  return -portableLog2((count + origin->different * any) / (origin->from + origin->different));
}

void ToolPaths::learn(std::uint64_t from, std::uint64_t to) {
  if (total_ >= kMostTotal) halve();
  if (Tool* const target = findOrAdd(to)) ++target->to;
  ++total_;
  Tool* const origin = findOrAdd(from);
  if (!origin) return;
  auto step = std::ranges::find_if(steps_, [&](const Step& each) { return each.from == from && each.to == to; });
  if (step == steps_.end()) {
    if (steps_.size() == kMostSteps) return;
    steps_.push_back({from, to, 0});
    step = std::prev(steps_.end());
    ++origin->different;
  }
  ++step->count;
  ++origin->from;
}

double ToolPaths::bitsOfRepeat(bool repeated) const {
  const double share = (repeats_ + 0.5) / (calls_ + 1.0);
  return -portableLog2(repeated ? share : 1 - share);
}

void ToolPaths::learnRepeat(bool repeated) {
  if (calls_ >= kMostTotal) calls_ /= 2, repeats_ /= 2;
  ++calls_;
  repeats_ += repeated;
}

void ToolPaths::halve() {
  for (Step& each : steps_) each.count /= 2;
  std::erase_if(steps_, [](const Step& each) { return each.count == 0; });
  total_ = 0;
  for (Tool& each : tools_) {
    each.from = each.different = 0;
    total_ += each.to /= 2;
  }
  for (const Step& each : steps_) {
    Tool& origin = *find(each.from);
    origin.from += each.count;
    ++origin.different;
  }
}

bool ToolPaths::sound(std::size_t) const {
  return tools_.size() <= kMostTools && steps_.size() <= kMostSteps && total_ <= 2 * kMostTotal && repeats_ <= calls_ &&
         calls_ <= kMostTotal && std::ranges::all_of(steps_, [&](const Step& each) { return find(each.from) != nullptr; });
}

}  // namespace driftlock::llm
