#pragma once

// The fields channel finds the field with unusual values in a block of records, each field being a column.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "privacy/policy.hpp"

namespace driftlock {

/// How a field of a block differs from the stream's past.
struct FieldFinding {
  enum class Kind : std::uint8_t {
    /// One of the field's usual values.
    Word,
    /// A number, or the middle of a range of them.
    Number,
    Range,
    /// Values that the baseline does not contain.
    Unseen,
    /// The field is missing.
    Absent,
  };

  /// The hash of the field's name, as the caller gave it.
  std::uint64_t key = 0;
  /// The kind of the value whose share rose the most.
  Kind kind = Kind::Absent;
  std::uint32_t word = 0;
  double number = 0;
  double share = 0, usualShare = 0;
  /// The most usual value if it is a word, otherwise 0.
  std::uint32_t usualWord = 0;
  /// The range of nine in ten of the usual numbers, if the field has some; otherwise low > high.
  double low = 1, high = 0;
  /// The appearance of new words is strange, not their number.
  bool novel = false;
  /// The number of records in the block.
  std::uint32_t records = 0;

  /// A hash of what it is about, whatever the shares are.
  std::uint32_t subject() const {
    const std::uint64_t value = std::bit_cast<std::uint64_t>(number) ^ word ^ static_cast<std::uint64_t>(kind) << 32;
    return static_cast<std::uint32_t>((key ^ value) * 0x9E3779B97F4A7C15 >> 32);
  }
};

/// The verdict on a block, which is passed back to `learn`.
struct FieldsVerdict {
  static constexpr std::size_t kMaxColumns = 16;

  /// False while the channel learns.
  bool judged = false;
  /// The distance of the strangest field from its usual value, in spreads.
  double score = 0;
  /// The strangest field's column, and the cost of a record's value in it: given the past, and usually. If new words
  /// are what is strange, the costs are theirs.
  std::uint32_t column = 0;
  bool novel = false;
  double bits = 0, usualBits = 0;

  /// The code of each column: the bits of the block, the part of them due to the baseline's shares, and the bits of a new value.
  struct Code {
    double bits = 0, shift = 0, unseen = 0, novel = 0;
    bool hasNovel = false;
  };
  std::array<Code, kMaxColumns> codes{};
};

/// Finds the unusual field of a block of records. Each field is a column of symbols, and is as strange as its code is
/// longer or shorter than usual. The model takes records as they come and keeps only counts of them, on which alone the
/// code depends. The state takes at most 6 KiB, whatever the input. docs/algorithms/fields.md derives it.
///
/// A column's symbols are its words or its few distinct numbers, otherwise bins of its numbers (of their steps, if they
/// only rise). They are coded by the Krichevsky-Trofimov estimator on top of the past's counts; the bytes of words that
/// are not in the past, if a block has many, by OpenZL.
class FieldsModel {
 public:
  static constexpr std::size_t kMaxColumns = FieldsVerdict::kMaxColumns;
  static constexpr std::size_t kMaxWords = 30;
  /// The most distinct values of numbers that are treated as words (as status codes are, and sizes are not).
  static constexpr std::size_t kMaxValues = kMaxWords / 2;
  /// The number of blocks that a column learns from before it is judged.
  static constexpr std::uint32_t kLearningBlocks = 12;
  static constexpr std::uint32_t kMinBlock = 32, kMaxBlock = 255;

  /// @param block the number of records in a block, from `kMinBlock` to `kMaxBlock`
  /// @param masking masks personal and secret values in the new words that are kept
  explicit FieldsModel(std::uint32_t block, std::optional<privacy::Masking> masking = {}) : block_(block), masking_(masking) {}

  /// Adds fields of the next record. Keys are hashes of names, and words are hashes of values; a second value under a
  /// key is ignored.
  void word(std::uint64_t key, std::uint64_t hash, Bytes text);
  void number(std::uint64_t key, double value);
  /// Forgets what was learned of a field, between records.
  void forget(std::uint64_t key);
  /// Ends the record. Returns true if that completes the block, which must then be judged, and learned or rejected.
  bool end();

  /// Whether the block has no record yet, and whether it is complete, and neither learned nor rejected.
  bool empty() const { return records_ == 0; }
  bool complete() const { return records_ == block_; }

  /// @throws std::runtime_error if OpenZL fails.
  FieldsVerdict judge() const;
  /// Describes the strangest field; called before the block is learned or rejected.
  FieldFinding explain(const FieldsVerdict& verdict) const;
  /// Whether a value is the one that the finding is about, or like it; called before the block is learned or rejected.
  bool shows(const FieldFinding& finding, std::uint64_t hash) const;
  bool shows(const FieldFinding& finding, double value) const;
  static std::uint32_t wordOf(std::uint64_t hash);

  /// Learns the block as usual. `lasting`: it should become usual soon, not gradually.
  void learn(const FieldsVerdict& verdict, bool lasting = false);
  /// Leaves the block out.
  void reject();

  bool learning() const { return blocks_ < kLearningBlocks; }
  std::size_t memory() const;

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Restores a fresh channel. Returns false if the bytes are not a snapshot of one with such blocks; the channel is
  /// then unusable.
  bool restore(Bytes in);

 private:
  /// The first two symbols stand for a missing value, and for values without a symbol of their own.
  static constexpr std::size_t kSymbols = 2 + kMaxWords;
  using Counts = std::array<std::uint16_t, kSymbols>;

  /// A quantity's usual value and the mean distance from it, with exponential forgetting.
  struct Usual {
    float mean = 0, distance = 0;

    double spread(std::uint32_t n, double floor) const;
    void learn(double x, std::uint32_t n, double floor, bool lasting);
  };
  enum class Kind : std::uint8_t { Words, Values, Numbers, Steps };
  struct Column {
    /// The counts of the past, in parts of a row, and those of the block.
    Counts past{};
    std::array<std::uint8_t, kSymbols> now{};
    Kind kind = Kind::Words;
    /// The symbol that came last.
    std::uint8_t last = 0;
    /// The number of successive checks in which the bins were too wide.
    std::uint8_t coarse = 0;
    /// No place is left for another word in this block; not part of the state.
    bool full = false;
    /// A bit for each word or value that was learned.
    std::uint32_t known = 0;
    std::uint32_t blocks = 0, novelBlocks = 0;
    Usual bits, shift, unseen, novel;
    float scale = 0;
    double centre = 0;
    /// The previous number, if the column holds steps.
    double before = 0;
    /// The words, the distinct numbers, or some of the block's numbers with which the bins are checked.
    union {
      std::array<std::uint32_t, kMaxWords> words{};
      std::array<double, kMaxValues> values;
    };

    bool judged() const { return blocks >= kLearningBlocks; }
    bool worded() const { return kind <= Kind::Values; }
  };

  Column* column(std::uint64_t key);
  const Column& columnOf(const FieldFinding& finding) const;
  static bool isNew(const Column& column, std::uint32_t word);
  static void tellRange(const Column& column, const Counts& past, FieldFinding& out);
  static std::uint8_t symbol(Column& column, std::uint32_t word);
  void countNumber(Column& column, double value);
  void keep(Bytes text);
  static std::size_t room(const Column& column, std::size_t places);
  static void toNumbers(Column& column);
  static std::uint8_t bin(const Column& column, double value);
  static double middle(const Column& column, std::uint8_t symbol);
  /// The block's counts as they are coded: all that is new is one symbol.
  Counts counted(const Column& column) const;
  /// The past of a column, in quarters of a row.
  static Counts baseline(const Column& column);
  FieldsVerdict::Code code(const Column& column) const;
  double novelty() const;
  /// Whether the field has come for the first time.
  bool fresh(const Column& column) const {
    return !learning() && static_cast<std::size_t>(&column - columns_.data()) >= settled_;
  }
  void score(const Column& column, FieldsVerdict& verdict, std::uint32_t index) const;
  void take(Column& column, bool lasting);
  static void look(Column& column);
  void admit();
  void next();
  bool valid(const Column& column) const;
  static std::uint32_t total(const Counts& counts);

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v);
  template <class Self, class Visitor>
  static void visitColumn(Self& column, Visitor& v);

  std::uint32_t block_;
  std::optional<privacy::Masking> masking_;
  std::uint32_t records_ = 0;
  std::uint64_t blocks_ = 0;
  std::array<std::uint64_t, kMaxColumns> keys_{};
  std::vector<Column> columns_;
  /// The number of columns when the block began.
  std::uint32_t settled_ = 0;
  /// A column, and how many of its new words of the block are in `news_`, a line each.
  std::uint32_t probe_ = 0, kept_ = 0;
  std::vector<std::uint8_t> news_;
  /// In a full channel, a field without a column, and how often it came in the block.
  std::uint64_t rival_ = 0;
  std::uint32_t rivalCount_ = 0;

  // This belongs to the current record and is not part of the state.
  std::uint32_t present_ = 0;
  std::uint32_t guess_ = 0;
  bool rivalSeen_ = false;
};

}  // namespace driftlock
