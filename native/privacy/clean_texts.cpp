#include "privacy/clean_texts.hpp"

#include <algorithm>
#include <utility>

namespace driftlock::privacy {
CleanTexts& CleanTexts::of(const Policy& policy) {
  thread_local CleanTexts texts;
  // The built-in detectors are the same everywhere.
  const std::uint64_t detectors = policy.hasDetectors() ? policy.number() : 0;
  if (texts.policy_ != detectors) {
    texts.policy_ = detectors;
    texts.entries_ = {};
    texts.candidates_ = {};
  }
  return texts;
}

void CleanTexts::learn(Sort sort, Bytes bytes) {
  if (bytes.size() > sizeof Entry::bytes) return;
  const std::uint64_t hash = hashOf(bytes);
  // The lowest bit tells it from none.
  const auto candidate = static_cast<std::uint16_t>(hash >> 32 | 1);
  if (std::exchange(candidates_[hash >> kShift], candidate) != candidate) return;
  Entry& entry = entries_[hash >> kShift];
  entry.sort = sort;
  entry.size = static_cast<std::uint8_t>(bytes.size());
  std::ranges::copy(bytes, entry.bytes.begin());
}

}  // namespace driftlock::privacy
