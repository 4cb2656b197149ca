#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace driftlock {

/// The work that one request may cost in one shard. It is not measured by a clock: the same requests stop at the same records on
/// every machine.
class Allowance {
 public:
  explicit Allowance(std::size_t requestSize = 0) : work_(kWork + requestSize), bytes_(kWholeAnnotations) {}

  /// Costs in units of about a nanosecond: of a record besides its bytes, and of operations that cost more than their bytes
  /// suggest.
  static constexpr std::uint64_t kRecord = 128, kNewStream = 8 << 10, kInheritance = 64 << 10, kPackedStream = 256 << 10,
                                 kMetrics = 512 << 10, kReport = 1 << 20, kPermutation = 256 << 10;

  /// Subtracts work; the allowance may be overdrawn once.
  void spend(std::uint64_t work) { work_ -= std::min(work_, work); }
  /// Whether nothing is left: remaining records pass unjudged.
  bool spent() const { return work_ == 0; }

  /// Charges a search for the text of a record in a stream's dictionary of `size` bytes. Its search table has to be filled,
  /// unless it is among the latest of the request's.
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
  /// Whether one more verdict that was not flagged may be described; `note` counts it.
  bool notes() const { return notes_ > 0; }
  void note() { --notes_; }
  /// Counts bytes of described attributes.
  void annotate(std::size_t bytes) { bytes_ -= std::min(bytes_, bytes); }

  /// The largest number of bytes that the attributes of fully annotated records add to a request, and that all attributes add.
  static constexpr std::size_t kWholeAnnotations = 64 << 10;
  static constexpr std::size_t annotationBound(std::size_t requestSize) { return 2 * kWholeAnnotations + requestSize; }
  /// The largest number of bytes of a request's reports.
  static constexpr std::size_t reportBound(std::size_t requestSize) { return (4 << 20) + requestSize; }
  /// The largest number of bytes of a request's recordings.
  static constexpr std::size_t recordingBound(std::size_t requestSize) { return (1 << 20) + requestSize; }
  /// The largest number of bytes of a request's evidence.
  static constexpr std::size_t evidenceBound(std::size_t requestSize) { return (1 << 20) + requestSize; }

 private:
  /// More than the cost of 2^20 empty records.
  static constexpr std::uint64_t kWork = 256 << 20;

  struct Table {
    std::uint64_t stream = 0, version = 0;
    bool operator==(const Table&) const = default;
  };

  std::uint64_t work_;
  /// A thread keeps 64 tables for 16 shards, if it has them all.
  std::array<Table, 4> tables_{};
  std::size_t nextTable_ = 0;
  std::uint32_t reports_ = 1024, annotations_ = 64, notes_ = 16;
  /// The bytes left for annotations.
  std::size_t bytes_;
};

}  // namespace driftlock
