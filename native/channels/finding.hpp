#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/hash.hpp"
#include "base/literal_run.hpp"
#include "record/record.hpp"
#include "record/stream_key.hpp"

namespace driftlock {

/// What the new part of a field costs, in bits.
struct FieldCost {
  std::string field;
  double bits = 0;
};

/// What people read about a flagged unit besides its numbers.
struct Description {
  // The caller sets these before the finding describes itself:
  /// The cost of the unit and the usual cost of units, in bits.
  double bits = 0, usualBits = 0;
  /// The flagged record as people read it, at most 4 KiB of UTF-8, and the parts of it that are new, ascending.
  std::string text;
  std::vector<LiteralRun> novel;

  // Filled in by the finding:
  /// A sentence that compares what is strange with what is usual, without a full stop.
  std::string sentence;
  /// The field to blame; empty if there is none.
  std::string field;
  /// The number that the finding is about, and its unit by UCUM, as in "ns" or "{record}"; empty if it has none.
  std::optional<double> value;
  std::string unit;
  /// The range that is usual, if the finding is about a number.
  struct Range {
    double low = 0, high = 0;
  };
  std::optional<Range> range;
  /// The usual next templates, likeliest first.
  std::vector<std::string> next;
  /// The most usual value.
  std::string usual;
  /// The costs of fields that the baseline does not contain.
  std::vector<FieldCost> fieldCosts;
  /// Whether the nearest record of the baseline is worth looking for.
  bool wantsNearest = false;
};

/// Looks up the texts of hashes among what a stream remembers.
struct Texts {
  const StreamKey& key;
  const KeyedHash& hash;
  /// The lines of the baseline with variables masked: `key=value`, or the value alone if the field has no key.
  Bytes known;

  /// The readable text of a template; empty if the baseline no longer contains it.
  std::string ofTemplate(std::uint32_t id) const;
};

/// What a channel found in a flagged unit; each channel has its own subclass. It outlives the unit, and is only made
/// for units that are described.
class Finding {
 public:
  virtual ~Finding() = default;
  /// Marks the new parts of the record's text, as `render` gave it. `starts[i]` is where the value of field i begins.
  virtual void mark(const std::vector<std::uint32_t>& /*starts*/, std::vector<LiteralRun>& /*novel*/) const {}
  /// Distinguishes it from other findings of its channel that are about no record: see Channel::kind.
  virtual std::uint64_t kind() const { return 0; }
  /// The gravity of a finding that is about no record.
  virtual Gravity gravity() const { return Gravity::Normal; }
  /// Fills in the description.
  virtual void describe(const Texts& texts, Description& out) const = 0;
};

}  // namespace driftlock
