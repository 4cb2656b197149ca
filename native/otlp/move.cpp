#include "otlp/move.hpp"

#include <algorithm>
#include <vector>

namespace driftlock::otlp {
namespace {

class Mover {
 public:
  explicit Mover(std::span<const Replacement> replacements) : replacements_(replacements) {
    growths_.reserve(replacements.size() + 1);
    growths_.push_back(0);
    for (const Replacement& each : replacements) growths_.push_back(growths_.back() + each.size - (each.end - each.begin));
  }

  void move(std::uint32_t& at) const { at += growths_[passed(at)]; }
  void move(Range& range) const { move(range.begin), move(range.end); }
  void move(Frame& frame) const { move(frame.field), move(frame.begin), move(frame.end); }
  /// As above, for frames of which each begins behind the end of the one before.
  void moveNext(Frame& frame) {
    for (std::uint32_t* const at : {&frame.field, &frame.begin, &frame.end}) {
      while (next_ < replacements_.size() && replacements_[next_].end <= *at) ++next_;
      *at += growths_[next_];
    }
  }

 private:
  /// The number of replacements before a position.
  std::size_t passed(std::uint32_t at) const {
    return static_cast<std::size_t>(std::ranges::upper_bound(replacements_, at, {}, &Replacement::end) - replacements_.begin());
  }

  std::span<const Replacement> replacements_;
  /// By how much what is behind so many replacements moves, modulo 2^32.
  std::vector<std::uint32_t> growths_;
  std::size_t next_ = 0;
};

}  // namespace

Index move(const Index& index, Bytes request, std::span<const Replacement> replacements) {
  Index out = index;
  out.request = request;
  Mover mover(replacements);
  for (Frame& frame : out.frames) mover.move(frame);
  for (Resource& each : out.resources) mover.move(each.resource);
  for (Scope& each : out.scopes) mover.move(each.scope);
  for (Metric& each : out.metrics) mover.move(each.name), mover.move(each.unit);
  for (Record& each : out.records) mover.moveNext(each.frame);
  return out;
}

}  // namespace driftlock::otlp
