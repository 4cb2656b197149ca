#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace driftlock {

/// What one request may cost in one shard. Nothing here is measured by a clock: the same requests are cut short at the same
/// records on every machine.
class Allowance {
 public:
  explicit Allowance(std::size_t requestSize = 0) : work_(kWork + requestSize), bytes_(kWholeAnnotations) {}

  /// Costs, in about a nanosecond each: of a record besides its bytes, and of what costs more than the bytes say.
  static constexpr std::uint64_t kRecord = 128, kNewStream = 8 << 10, kPackedStream = 256 << 10, kMetrics = 512 << 10,
                                 kReport = 1 << 20, kPermutation = 256 << 10;

  /// Takes so much off; what is there may be overdrawn once.
  void spend(std::uint64_t work) { work_ -= std::min(work_, work); }
  /// Nothing is left: what is still to be judged passes unjudged.
  bool spent() const { return work_ == 0; }

  /// The text of a record is looked for in a stream's dictionary of `size` bytes. Its search table has to be filled, unless it is
  /// among the latest of the request's.
  void search(std::uint64_t stream, std::uint64_t version, std::size_t size) {
    const Table table{stream, version};
    if (std::find(tables_.begin(), tables_.end(), table) != tables_.end()) return;
    tables_[nextTable_++ % tables_.size()] = table;
    spend(size);
  }

  /// Whether one more verdict is to be described: as a report, or for the attributes of its record.
  bool describes(bool report) {
    std::uint32_t& left = report ? reports_ : annotations_;
    if (left == 0 || (!report && bytes_ == 0)) return false;
    --left;
    return true;
  }
  /// So many bytes of attributes were described.
  void annotate(std::size_t bytes) { bytes_ -= std::min(bytes_, bytes); }

  /// Attributes of the records that are annotated whole add so many bytes to a request at the most, and all attributes.
  static constexpr std::size_t kWholeAnnotations = 64 << 10;
  static constexpr std::size_t annotationBound(std::size_t requestSize) { return 2 * kWholeAnnotations + requestSize; }
  /// Reports of a request have so many bytes at the most.
  static constexpr std::size_t reportBound(std::size_t requestSize) { return (4 << 20) + requestSize; }

 private:
  /// More than 2^20 records that hold nothing cost.
  static constexpr std::uint64_t kWork = 256 << 20;

  struct Table {
    std::uint64_t stream = 0, version = 0;
    bool operator==(const Table&) const = default;
  };

  std::uint64_t work_;
  /// A thread keeps 64 tables for 16 shards, if it has them all.
  std::array<Table, 4> tables_{};
  std::size_t nextTable_ = 0;
  std::uint32_t reports_ = 1024, annotations_ = 64;
  /// Of annotations.
  std::size_t bytes_;
};

}  // namespace driftlock
