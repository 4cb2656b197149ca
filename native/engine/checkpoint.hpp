#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "engine/active_groups.hpp"
#include "engine/clocks.hpp"
#include "engine/process_budget.hpp"
#include "engine/quota.hpp"
#include "engine/shard.hpp"
#include "graph/graphs.hpp"
#include "llm/tenants.hpp"
#include "stream/state_format.hpp"

namespace driftlock {

/// "DLC" and the format's version: the head begins with it.
inline constexpr std::uint32_t kCheckpointMagic = kStateFormat << 24 | 0x434C44;

/// What an engine has learned at one place in the order of `submit`, as records. The latest record of each key, in any order, is
/// all of it.
///
/// A visiting task begins it in each part of the engine. Further tasks then take a step each, while judging goes on between them:
/// what is about to change is saved before. So neither the engine nor whoever reads it holds more than a step, and what was
/// judged meanwhile. The last records are the head: what is not of one stream, and a digest of everything. A record's value is
/// bounded by the state of a stream.
class Checkpoint {
 public:
  /// @param headPieces the number of pieces that the head had in the last checkpoint; it is set to that of this one unless it is
  /// a copy
  /// @param privacy masks what is kept of calls of language models
  Checkpoint(CheckpointOf what, const KeyedHash& hash, std::uint64_t fingerprint, std::uint32_t& headPieces,
             std::shared_ptr<const privacy::Policy> privacy)
      : what_(what), hash_(hash), fingerprint_(fingerprint), headPieces_(headPieces), privacy_(std::move(privacy)) {}

  void begin(std::uint32_t number, Shard& shard) { shard.beginCheckpoint(what_, shards_[number]); }
  void begin(const Quota& quota, const Clocks& clocks, const ActiveGroups& groups, const llm::Tenants& calls);
  void begin(const ProcessBudget& budget, const ServiceGraphs& graphs);

  /// Takes a step in a shard.
  void step(std::uint32_t number, Shard& shard);
  /// Returns the records of the step that all shards have taken; empty if there are no more.
  std::vector<std::uint8_t> take();

  /// Ends it in a shard, after the last step or before.
  static void end(Shard& shard) { shard.saves().end(); }

 private:
  void writeHead();

  CheckpointOf what_;
  KeyedHash hash_;
  std::uint64_t fingerprint_;
  std::uint32_t& headPieces_;
  std::shared_ptr<const privacy::Policy> privacy_;
  /// Parts of the head.
  std::vector<std::uint8_t> quota_, clocks_, groups_, calls_, budget_, graphs_;
  std::array<std::vector<std::uint8_t>, kShardCount> shards_;
  std::array<std::vector<std::uint8_t>, kShardCount> steps_;
  std::array<std::uint64_t, kShardCount> sums_{};
  std::array<bool, kShardCount> more_{};
  /// The head once all else is saved, and the number of the next of its pieces.
  std::vector<std::uint8_t> head_;
  std::uint32_t piece_ = 0, pieces_ = 0;
  bool done_ = false;
};

/// Restores shards from records in any order, in pieces.
class Restoration {
 public:
  /// Restores what a piece, which consists of whole records, says of a shard. The shards of a piece may be restored at the same
  /// time, one piece after the other.
  void take(std::uint32_t number, Shard& shard, Bytes piece);
  /// Whether each record was restored.
  bool sound() const { return sound_; }
  /// Returns the head; empty if it is not whole.
  std::vector<std::uint8_t> head() const;
  std::uint32_t headPieces() const { return static_cast<std::uint32_t>(pieces_.size()); }

 private:
  bool takeHead(const SavedRecord& record, std::uint64_t number);

  std::atomic<bool> sound_{true};
  /// The pieces of the head, by number.
  std::vector<std::vector<std::uint8_t>> pieces_;
};

}  // namespace driftlock
