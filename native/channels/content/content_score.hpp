#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "channels/content/dictionary.hpp"
#include "channels/content/prose.hpp"
#include "privacy/kind.hpp"
#include "record/record.hpp"

namespace driftlock {

/// The content channel's score of one record. It is reused from record to record.
struct ContentScore {
  /// Higher is stranger; 0 if every field is known.
  double score = 0;
  /// The novelty in bits per byte, for windows: without the prior of severity, and with more weight on short novelty
  /// than in `score`.
  double density = 0;
  /// The record's cost beyond the baseline, in bits: 8 for a byte that no match explains, 16 for a match.
  double bits = 0;
  std::uint32_t novelBytes = 0;
  /// The signature of the novelty; equal for records with the same novelty.
  std::uint64_t signature = 0;
  /// The hash of the masked event name, or else of the first field (a body, a span's name): records of one template share it.
  std::uint64_t templateHash = 0;

  /// The hashes of a field's key, and of its value under that key with variables masked; numbers that are not words share
  /// one, and so do identifiers.
  struct Hashed {
    std::uint64_t key, value;
    bool identifier = false;
  };
  std::vector<Hashed> fields;

  /// A field that the baseline does not contain as it is: `key=value\n` in `text`, with variables masked.
  struct Unknown {
    std::uint32_t field;
    std::uint64_t hash;
    std::uint32_t begin, value, end;
  };
  /// Those that are prose come last, in `text` as well.
  std::vector<Unknown> unknown;
  /// The costs of the unknown fields that are prose.
  struct Prose {
    /// The index in `unknown`.
    std::uint32_t unknown;
    ProseCost cost;
    /// The usual cost of the field's values; 0 before any was learned.
    ProseCost usual;
    /// Too few of the field's values have been learned yet.
    bool fresh;
    /// The part of the value that is learned if it counts as normal, by offsets in `text`.
    LiteralRun lesson;
    /// The part of the value that costs most, by offsets in `text`; empty if its costliest run is usual.
    LiteralRun part;
  };
  std::vector<Prose> prose;
  /// The hash of a key whose values were found to be identifiers with this record; 0 if there is none.
  std::uint64_t identifiers = 0;
  /// The event's name is not in the baseline yet; it is added so that explanations can name it.
  bool nameUnknown = false;
  std::vector<std::uint8_t> text;
  Novelty novelty;

  /// A field with personal or secret values, and its text with those masked, by offsets in `concealed`.
  struct Concealed {
    std::uint32_t field, begin, end;
    privacy::Kinds kinds;
  };
  std::vector<Concealed> concealedFields;
  std::vector<std::uint8_t> concealed;
  /// A kind of such values that its field has not had before, and the field.
  std::optional<std::pair<std::uint32_t, privacy::Kind>> appeared;
  /// Returns the text of a field as channels see it.
  Bytes textOf(const RecordView& record, std::uint32_t field) const {
    for (const Concealed& each : concealedFields) {
      if (each.field == field) return Bytes(concealed).subspan(each.begin, each.end - each.begin);
    }
    return record.fields[field].text;
  }

  /// If some fields are unknown: the version of the baseline's text that was searched for them, and its length by now.
  std::uint64_t searchedVersion = 0;
  std::size_t searchedBytes = 0;

  void clear();
};

}  // namespace driftlock
