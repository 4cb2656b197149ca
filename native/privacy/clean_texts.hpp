#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.hpp"
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

  bool knows(Sort sort, Bytes bytes) const;
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

  static std::uint64_t hashOf(Bytes bytes);

  /// The policy that it is for; 0 for all without detectors of users' own.
  std::uint64_t policy_ = 0;
  std::array<Entry, kEntries> entries_{};
  /// Some bits of the hash of what came last and was not known, for each place.
  std::array<std::uint16_t, kEntries> candidates_{};
};

}  // namespace driftlock::privacy
