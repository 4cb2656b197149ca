#pragma once

#include <cstddef>

#ifdef DRIFTLOCK_COUNT_WORK
#include <atomic>
#include <cstdint>
#endif

namespace driftlock {

/// Counts bytes that are hashed, compared, copied or compressed, and fields that are skipped. Only the native tests count them,
/// to prove that the work of a request grows no faster than the request; elsewhere this does nothing.
#ifdef DRIFTLOCK_COUNT_WORK
inline std::atomic<std::uint64_t> countedWork{0};
inline void countWork(std::size_t amount) { countedWork.fetch_add(amount, std::memory_order_relaxed); }
#else
inline void countWork(std::size_t) {}
#endif

}  // namespace driftlock
