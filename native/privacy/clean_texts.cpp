#include "privacy/clean_texts.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/work.hpp"

namespace driftlock::privacy {
namespace {

template <class Word = std::uint64_t>
std::uint64_t wordAt(Bytes bytes, std::size_t at) {
  Word word;
  std::memcpy(&word, bytes.data() + at, sizeof word);
  return word;
}

}  // namespace

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

/// Where the texts are that are known differ, their beginnings, middles and ends do. Others take each other's place, no more.
std::uint64_t CleanTexts::hashOf(Bytes bytes) {
  if (bytes.size() < sizeof(std::uint64_t)) {
    std::uint64_t all = bytes.size();
    if (all >= sizeof(std::uint32_t)) {
      all += wordAt<std::uint32_t>(bytes, 0) << 32 ^ wordAt<std::uint32_t>(bytes, bytes.size() - sizeof(std::uint32_t));
    } else {
      for (const std::uint8_t byte : bytes) all = all << 8 | byte;
    }
    return all * 0x9e3779b97f4a7c15;
  }
  const std::uint64_t begin = wordAt(bytes, 0), middle = wordAt(bytes, bytes.size() / 2 - 4),
                      end = wordAt(bytes, bytes.size() - 8);
  const std::uint64_t mixed =
      begin * 0xc2b2ae3d27d4eb4f ^ middle * 0x165667b19e3779f9 ^ (end + bytes.size()) * 0x27d4eb2f165667c5;
  return (mixed ^ mixed >> 32) * 0x9e3779b97f4a7c15;
}

bool CleanTexts::knows(Sort sort, Bytes bytes) const {
  if (bytes.size() > sizeof Entry::bytes) return false;
  if (bytes.size() < kShortestValue && sort == Sort::Text && policy_ == 0) return true;
  countWork(bytes.size());
  const Entry& entry = entries_[hashOf(bytes) >> kShift];
  return entry.sort == sort && entry.size == bytes.size() && std::memcmp(entry.bytes.data(), bytes.data(), bytes.size()) == 0;
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
