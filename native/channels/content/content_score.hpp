#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "channels/content/dictionary.hpp"

namespace driftlock {

/// What the content channel says of one record. Reused from record to record.
struct ContentScore {
  /// Higher is stranger; 0 where every field is known.
  double score = 0;
  /// News in bits a byte, for windows: without the prior of severity, and short news counts for more than in `score`.
  double density = 0;
  /// What the record costs beyond the baseline: 8 for a byte that no match explains, 16 for a match.
  double bits = 0;
  std::uint32_t novelBytes = 0;
  /// Equal for records that bring the same news.
  std::uint64_t signature = 0;
  /// Of the event's name, else of the first field (a body, a span's name), masked: records of one template share it.
  std::uint64_t templateHash = 0;

  /// Hashes of each field's key, and of its value under that key, variables masked; of a number that is no word, of any.
  struct Hashed {
    std::uint64_t key, value;
  };
  std::vector<Hashed> fields;

  /// A field that the baseline does not hold as it is: `key=value\n` in `text`, variables masked.
  struct Unknown {
    std::uint32_t field;
    std::uint64_t hash;
    std::uint32_t begin, value, end;
  };
  std::vector<Unknown> unknown;
  /// The event's name is not in the baseline; it is to be, so that explanations can name it.
  bool nameUnknown = false;
  std::vector<std::uint8_t> text;
  Novelty novelty;

  /// If some fields are unknown: the version of the baseline's text that was searched for them, and its length by now.
  std::uint64_t searchedVersion = 0;
  std::size_t searchedBytes = 0;

  void clear();
};

}  // namespace driftlock
