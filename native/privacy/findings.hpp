#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/hash.hpp"
#include "privacy/scanner.hpp"

namespace driftlock::privacy {

/// What a policy finds in the texts on which one verdict depends, for whoever computes the verdict again and cannot find it: they
/// have no patterns of users and no allow-lists, and a record in which values are masked. Texts are known by a keyed hash.
///
/// It is made empty, and a policy notes in it. `given` then makes one from which a policy of a recording takes what it would have
/// found, and which remembers what was taken: nothing else need be kept, so that nothing is told of texts that are not.
class Findings {
 public:
  /// A text as it was looked at, or as it was when everything in it was masked.
  enum class Text : std::uint8_t { AsItIs, Masked };

  struct Finding {
    /// The hash of the text, of the name of its attribute, and of which of both it is.
    std::uint64_t text = 0;
    std::vector<Found> parts{};
  };

  /// A value that an allow-list permits under a name.
  struct Allowed {
    Kind kind{};
    std::string attribute{}, value{};
  };

  /// The limits of what is noted: numbers, and bytes of values and names.
  static constexpr std::size_t kMost = 256, kMostParts = 4096, kMostAllowedBytes = 16 << 10;

  explicit Findings(const KeyedHash& hash) : hash_(hash) {}
  /// What is given.
  Findings(const KeyedHash& hash, std::vector<Finding> findings, std::vector<Allowed> allowed);

  std::shared_ptr<Findings> given() const { return std::make_shared<Findings>(hash_, findings_, allowed_); }
  /// Returns those that were taken.
  std::vector<Finding> takenFindings() const;
  std::vector<Allowed> takenAllowed() const;

  /// Notes what was found in a text, unless this is given or full.
  void note(Text which, Bytes text, Bytes attribute, std::span<const Found> parts);
  void noteAllowed(std::string_view attribute, std::string_view value, Kind kind);

  /// Returns what is given of a text; null if nothing is.
  const std::vector<Found>* take(Text which, Bytes text, Bytes attribute);
  /// Whether it is given that a value is allowed.
  bool takeAllowed(std::string_view attribute, std::string_view value, Kind kind);

 private:
  std::uint64_t hashOf(Text which, Bytes text, Bytes attribute) const {
    return hash_(text, hash_(attribute, static_cast<std::uint64_t>(which)));
  }

  KeyedHash hash_;
  bool given_ = false;
  std::vector<Finding> findings_;
  std::vector<Allowed> allowed_;
  std::size_t parts_ = 0, allowedBytes_ = 0;
  /// Which of them were taken.
  std::vector<bool> findingsTaken_, allowedTaken_;
};

}  // namespace driftlock::privacy
