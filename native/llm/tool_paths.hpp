#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace driftlock::llm {

/// Which tool an agent calls after which: counts of the steps from one to the next, of one agent of one service. A step costs the
/// bits of its code under the interpolated estimator of Witten and Bell (1991): the share of the steps from there, and, as far as
/// there were few or many different ones, that of all steps. Whether a tool is called with arguments that the conversation has
/// given it before costs as much as that is rare.
class ToolPaths {
 public:
  /// The hashes of what a path begins with, and of the answer that it ends with.
  static constexpr std::uint64_t kStart = 1, kEnd = 2;
  /// The most tools and steps that are counted; further ones are as new each time.
  static constexpr std::size_t kMostTools = 128, kMostSteps = 1024;
  /// The number of steps before their costs mean anything.
  static constexpr std::uint32_t kKnown = 256;

  bool known() const { return total_ >= kKnown; }
  /// The bits of a step.
  double bits(std::uint64_t from, std::uint64_t to) const;
  void learn(std::uint64_t from, std::uint64_t to);
  /// The bits of whether a call repeats an earlier one.
  double bitsOfRepeat(bool repeated) const;
  void learnRepeat(bool repeated);

  std::size_t memory() const { return tools_.capacity() * sizeof(Tool) + steps_.capacity() * sizeof(Step); }
  bool sound(std::size_t) const;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    const auto all = [&](auto& list, std::size_t most, auto each) {
      auto count = static_cast<std::uint32_t>(list.size());
      v(count);
      if constexpr (requires { list.resize(0); }) list.resize(count < most ? count : most + 1);
      for (auto& one : list) each(one);
    };
    v(self.total_), v(self.calls_), v(self.repeats_);
    all(self.tools_, kMostTools, [&](auto& tool) { v(tool.hash), v(tool.from), v(tool.to), v(tool.different); });
    all(self.steps_, kMostSteps, [&](auto& step) { v(step.from), v(step.to), v(step.count); });
  }

 private:
  /// The steps from a tool and to it, and the number of different ones from it.
  struct Tool {
    std::uint64_t hash = 0;
    std::uint32_t from = 0, to = 0, different = 0;
  };
  struct Step {
    std::uint64_t from = 0, to = 0;
    std::uint32_t count = 0;
  };
  Tool* find(std::uint64_t hash);
  const Tool* find(std::uint64_t hash) const { return const_cast<ToolPaths*>(this)->find(hash); }
  Tool* findOrAdd(std::uint64_t hash);
  void halve();

  std::uint32_t total_ = 0;
  /// The calls of tools, and those of them that repeat an earlier one.
  std::uint32_t calls_ = 0, repeats_ = 0;
  std::vector<Tool> tools_;
  std::vector<Step> steps_;
};

}  // namespace driftlock::llm
