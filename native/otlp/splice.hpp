#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "otlp/reader.hpp"

namespace driftlock::otlp {

/// What becomes of one record: `attributes` are appended to it, KeyValue fields encoded with the number that
/// `attributesField` gives (AttributeEncoder does). Where it brings some, attributes of the same names as Driftlock's
/// (`cbad.` prefix) that came with the record, from another Driftlock before this one, make way: keys must be unique.
struct Edit {
  /// In `Index::records`.
  std::uint32_t record;
  /// May be empty: the record then stays as it came.
  Bytes attributes;
};

/// Which records a new request holds.
enum class Keep : std::uint8_t {
  /// All, edited or not.
  All,
  /// Those of the edits alone, with their resource, scope and metric; what holds no such record is left out. The parts
  /// of a metric's data stay together even where one holds none, since they may share the temporality.
  Edited,
};

/// Writes a request anew with attributes added, in two steps so that the output is one allocation of just its size:
/// `plan` says how large, `write` fills it. Bytes of records without attributes to add stay as they came, and so do
/// unknown fields and whatever else is no length of a message that changed.
class Splicer {
 public:
  /// `edits` ascend by record, each record once. Index, request and edits must stay until `write` is done.
  /// @return bytes of the new request.
  std::size_t plan(const Index& index, std::span<const Edit> edits, Keep keep = Keep::All);

  /// Fills exactly as many bytes as `plan` said.
  void write(std::uint8_t* out) const;

 private:
  /// What becomes of a frame.
  struct Fate {
    /// Bytes that its content grows by; negative where it shrinks.
    std::int64_t growth = 0;
    bool kept = false;
  };

  /// Adds to what a frame, or the request for `none`, grows by.
  void grow(std::uint32_t frame, std::int64_t bytes);

  const Index* index_ = nullptr;
  std::span<const Edit> edits_;
  Keep keep_ = Keep::All;
  std::vector<Fate> fates_;
  std::int64_t growth_ = 0;
};

}  // namespace driftlock::otlp
