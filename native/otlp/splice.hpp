#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "otlp/reader.hpp"

namespace driftlock::otlp {

/// The edit of one record: `attributes`, which are KeyValue fields encoded with the number that `attributesField` returns
/// (AttributeEncoder does so), are appended to it. If there are any, existing attributes with Driftlock's prefix `cbad.`, added
/// by another Driftlock before this one, are removed: keys must be unique.
struct Edit {
  /// The index in `Index::records`.
  std::uint32_t record;
  /// The attributes to append; if empty, the record is not changed.
  Bytes attributes;
};

/// Which records a new request holds.
enum class Keep : std::uint8_t {
  /// Keep all records, edited or not.
  All,
  /// Keep only the edited records, with their resource, scope and metric; what holds no such record is left out. The parts of a
  /// metric's data stay together even if one holds none, since they may share the temporality.
  Edited,
};

/// Rewrites a request with attributes added, in two steps so that the output is one allocation of exactly its size: `plan`
/// returns the size, `write` fills it. Records without added attributes keep their bytes, and so do unknown fields and everything
/// else that is not a length of a changed message.
class Splicer {
 public:
  /// `edits` ascend by record, each record once. Index, request and edits must remain valid until `write` is done. @return the
  /// number of bytes of the new request
  std::size_t plan(const Index& index, std::span<const Edit> edits, Keep keep = Keep::All);

  /// Fills exactly the number of bytes that `plan` returned.
  void write(std::uint8_t* out) const;

 private:
  /// The changes to a frame.
  struct Fate {
    /// The bytes by which its content grows; negative if it shrinks.
    std::int64_t growth = 0;
    bool kept = false;
  };

  /// Adds to the growth of a frame, or of the request for `none`.
  void grow(std::uint32_t frame, std::int64_t bytes);

  const Index* index_ = nullptr;
  std::span<const Edit> edits_;
  Keep keep_ = Keep::All;
  std::vector<Fate> fates_;
  std::int64_t growth_ = 0;
};

}  // namespace driftlock::otlp
