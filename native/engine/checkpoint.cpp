#include "engine/checkpoint.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "base/state_bytes.hpp"
#include "codec/codec.hpp"

namespace driftlock {
namespace {

/// The bytes of records from which a shard's step is enough: a step of all shards has about 1 MiB.
constexpr std::size_t kStep = 64 << 10;
/// The bytes of the head in one record, before they are packed, and the most records that it may have.
constexpr std::size_t kHeadPiece = 256 << 10;
constexpr std::uint32_t kMostHeadPieces = 4096;

}  // namespace

void Checkpoint::begin(const Quota& quota, const Clocks& clocks, const ActiveGroups& groups, const llm::Tenants& calls) {
  quota.snapshot(quota_);
  clocks.snapshot(clocks_);
  groups.snapshot(groups_);
  calls.snapshot(calls_, *privacy_);
}

void Checkpoint::begin(const ProcessBudget& budget, const ServiceGraphs& graphs) {
  budget.snapshot(budget_);
  graphs.snapshot(graphs_);
}

void Checkpoint::step(std::uint32_t number, Shard& shard) {
  more_[number] = shard.saves().step(kStep, steps_[number]);
  sums_[number] = shard.saves().sum();
}

std::vector<std::uint8_t> Checkpoint::take() {
  std::vector<std::uint8_t> out;
  std::size_t size = 0;
  for (const auto& step : steps_) size += step.size();
  out.reserve(size);
  for (auto& step : steps_) {
    out.insert(out.end(), step.begin(), step.end());
    step = {};
  }
  if (std::ranges::find(more_, true) != more_.end()) return out;
  if (pieces_ == 0) writeHead();
  const auto packer = makeCodec(CodecName::Zstd, 1);
  for (; piece_ < pieces_ && out.size() < kShardCount * kStep; ++piece_) {
    std::vector<std::uint8_t> key, value;
    SavedKey{.kind = SavedKind::Head, .number = piece_}.write(key);
    put(value, pieces_);
    const Bytes piece = Bytes(head_).subspan(piece_ * kHeadPiece, std::min(kHeadPiece, head_.size() - piece_ * kHeadPiece));
    const Bytes packed = packer->compress(piece);
    value.insert(value.end(), packed.begin(), packed.end());
    SavedRecord{key, value}.write(out);
  }
  if (piece_ < pieces_) return out;
  if (!std::exchange(done_, true) && what_ != CheckpointOf::Copy) {
    for (std::uint32_t i = pieces_; i < headPieces_; ++i) {
      std::vector<std::uint8_t> key;
      SavedKey{.kind = SavedKind::Head, .number = i}.write(key);
      SavedRecord{.key = key, .value = {}, .removed = true}.write(out);
    }
    headPieces_ = std::max(headPieces_, pieces_);
  }
  return out;
}

void Checkpoint::writeHead() {
  put(head_, kCheckpointMagic);
  put(head_, kShardCount);
  // Under another key nothing in it would be recognised.
  put(head_, fingerprint_);
  for (auto* part : {&quota_, &clocks_, &groups_, &calls_, &budget_, &graphs_}) putBytes(head_, std::exchange(*part, {}));
  for (auto& shard : shards_) putBytes(head_, std::exchange(shard, {}));
  std::uint64_t sum = 0;
  for (const std::uint64_t each : sums_) sum += each;
  put(head_, sum);
  put(head_, hash_(head_));
  pieces_ = static_cast<std::uint32_t>((head_.size() + kHeadPiece - 1) / kHeadPiece);
}

void Restoration::take(std::uint32_t number, Shard& shard, Bytes piece) try {
  SavedRecord record;
  SavedKey key{};
  while (!piece.empty()) {
    if (!SavedRecord::read(piece, record) || !SavedKey::read(record.key, key)) {
      sound_ = false;
      return;
    }
    if (record.removed) continue;
    // The head says more of why records are refused, so it is read even then.
    if (key.kind == SavedKind::Head) {
      if (number == 0 && !takeHead(record, key.number)) sound_ = false;
    } else if (sound_ && shardOf(key.number) == number && !shard.restore(record, key)) {
      sound_ = false;
    }
  }
} catch (...) {
  sound_ = false;  // Without memory, the shard is not whole.
  throw;
}

bool Restoration::takeHead(const SavedRecord& record, std::uint64_t number) try {
  StateReader read(record.value);
  const auto pieces = read.get<std::uint32_t>();
  if (!read.ok() || pieces == 0 || pieces > kMostHeadPieces || number >= pieces) return false;
  if (pieces_.empty()) pieces_.resize(pieces);
  if (pieces_.size() != pieces || !pieces_[number].empty()) return false;
  const OwnedBytes piece = decompress(CodecName::Zstd, record.value.last(read.left()), kHeadPiece);
  const Bytes bytes = piece;
  pieces_[number].assign(bytes.begin(), bytes.end());
  return true;
} catch (const std::runtime_error&) {
  return false;  // Damaged.
} catch (const std::length_error&) {
  return false;
}

std::vector<std::uint8_t> Restoration::head() const {
  std::vector<std::uint8_t> head;
  for (const auto& piece : pieces_) {
    if (piece.empty()) return {};
    head.insert(head.end(), piece.begin(), piece.end());
  }
  return head;
}

}  // namespace driftlock
