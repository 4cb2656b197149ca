#pragma once

#include <cstddef>

namespace driftlock::codecs {

/// While it lives, OpenZL can allocate no more than `bytes` on the calling thread, all allocations added up. OpenZL itself only
/// bounds its output: the content of a frame may expand to any size first. cmake/deps.cmake compiles OpenZL's allocator against
/// the functions in openzl_memory.cpp.
class OpenzlBudget {
 public:
  explicit OpenzlBudget(std::size_t bytes);
  ~OpenzlBudget();
  OpenzlBudget(const OpenzlBudget&) = delete;
  OpenzlBudget& operator=(const OpenzlBudget&) = delete;

  /// Whether an allocation was refused.
  bool exceeded() const;
};

}  // namespace driftlock::codecs
