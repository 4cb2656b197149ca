#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/words.hpp"
#include "base/work.hpp"
#include "privacy/policy.hpp"

namespace driftlock::privacy {

/// Remembers bytes in which no detector has found anything, so that what comes again and again is looked at once. It compares all
/// bytes: no two texts are confused. What comes later takes the place of what came before, once it has come twice in a row at
/// that place: what never comes again, such as most bodies, displaces nothing.
class CleanTexts {
 public:
  enum class Sort : std::uint8_t { None, Text, Attribute };

  /// That of the thread, for the detectors of a policy.
  static CleanTexts& of(const Policy& policy);

  bool knows(Sort sort, Bytes bytes) const {
    if (bytes.size() > sizeof Entry::bytes) return false;
    if (bytes.size() < kShortestValue && sort == Sort::Text && policy_ == 0) return true;
    countWork(bytes.size());
    const Entry& entry = entries_[hashOf(bytes) >> kShift];
    return entry.sort == sort && entry.size == bytes.size() && areEqual(bytes, entry.bytes.data());
  }
  void learn(Sort sort, Bytes bytes);

 private:
  struct Entry {
    Sort sort = Sort::None;
    std::uint8_t size = 0;
    std::array<std::uint8_t, 126> bytes;
  };
  /// The length of the shortest text in which built-in detectors find something without the name of an attribute: `a@b.cd`.
  static constexpr std::size_t kShortestValue = 6;
  static constexpr std::size_t kEntries = 512, kShift = 55;
  static_assert(kEntries == std::size_t{1} << (64 - kShift));

  /// Where the texts are that are known differ, their beginnings, middles and ends do. Others take each other's place, no more.
  static std::uint64_t hashOf(Bytes bytes) {
    constexpr std::uint64_t kLast = 0x9e3779b97f4a7c15;
    if (bytes.size() < sizeof(std::uint64_t)) return (lastBytes(bytes, bytes.size()) << 8 | bytes.size()) * kLast;
    const std::uint64_t begin = loadWord(bytes.data()), middle = loadWord(bytes.data() + bytes.size() / 2 - 4),
                        end = loadWord(bytes.data() + bytes.size() - 8);
    const std::uint64_t mixed =
        begin * 0xc2b2ae3d27d4eb4f ^ middle * 0x165667b19e3779f9 ^ (end + bytes.size()) * 0x27d4eb2f165667c5;
    return (mixed ^ mixed >> 32) * kLast;
  }

  /// Compares without a call: most texts have a few words.
  static bool areEqual(Bytes bytes, const std::uint8_t* others) {
    const std::size_t size = bytes.size();
    if (size < sizeof(std::uint64_t)) return lastBytes(bytes, size) == lastBytes({others, size}, size);
    const auto same = [&](std::size_t at) { return loadWord(bytes.data() + at) == loadWord(others + at); };
    for (std::size_t at = 0; at + 8 < size; at += 8) {
      if (!same(at)) return false;
    }
    return same(size - 8);
  }

  /// The policy that it is for; 0 for all without detectors of users' own.
  std::uint64_t policy_ = 0;
  std::array<Entry, kEntries> entries_{};
  /// Some bits of the hash of what came last and was not known, for each place.
  std::array<std::uint16_t, kEntries> candidates_{};
};

}  // namespace driftlock::privacy
