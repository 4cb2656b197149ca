#pragma once

#include <cstddef>

namespace driftlock::codecs {

/// While it lives, OpenZL gets no more than `bytes` on the calling thread, all allocations added up. OpenZL itself bounds
/// its output alone: what a frame holds inside may expand to any size first.
/// cmake/deps.cmake compiles OpenZL's allocator against the functions in openzl_memory.cpp.
class OpenzlBudget {
 public:
  explicit OpenzlBudget(std::size_t bytes);
  ~OpenzlBudget();
  OpenzlBudget(const OpenzlBudget&) = delete;
  OpenzlBudget& operator=(const OpenzlBudget&) = delete;

  /// An allocation was refused.
  bool exceeded() const;
};

}  // namespace driftlock::codecs
