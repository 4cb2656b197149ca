#pragma once

#include <array>
#include <cstdint>

namespace driftlock {

/// Remembers bursts, of all records, of a template, or of a field's value, so that one that keeps its hour becomes usual: a job
/// that runs each hour, day or week.
///
/// A burst recurs if at least three of the four periods before it had one of its kind at the same time, give or take ten minutes,
/// with at least half as many records, which ended before it began. So the first three are reported. By days and weeks, an hour
/// earlier or later counts as the same time, because the local clock may have been changed.
class Recurrence {
 public:
  /// Whether a burst of so many records, between these times of the stream's clock, recurs.
  /// @param kind what there are so many of, such as a template
  bool recurs(std::uint32_t kind, std::uint64_t begin, std::uint64_t end, std::uint32_t count) const;
  /// Remembers a burst, in place of the one that ended first, or as part of one that has lasted until now.
  void add(std::uint32_t kind, std::uint64_t begin, std::uint64_t end, std::uint32_t count);

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    for (auto& burst : self.bursts_) v(burst.kind), v(burst.count), v(burst.begin), v(burst.end);
  }

 private:
  static constexpr std::size_t kBursts = 16;

  /// A burst, with its times in seconds. Without records it is none.
  struct Burst {
    std::uint32_t kind = 0, count = 0, begin = 0, end = 0;
  };
  /// The places of earlier bursts of a kind, as a bit per period: bit k for k periods before.
  std::uint32_t before(const Burst& burst, std::uint32_t period) const;

  std::array<Burst, kBursts> bursts_{};
};

}  // namespace driftlock
