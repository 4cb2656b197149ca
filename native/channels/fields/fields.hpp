#pragma once

// The fields channel: a block of records as columns. Whose values are not as usual?

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.hpp"

namespace driftlock {

/// What a field of a block shows beside the stream's past.
struct FieldFinding {
  enum class Kind : std::uint8_t {
    /// One of the field's usual values.
    Word,
    /// A number, or the middle of a range of them.
    Number,
    Range,
    /// Values that the baseline lacks.
    Unseen,
    /// The field is missing.
    Absent,
  };

  /// Of the field's name, as it was given.
  std::uint64_t key = 0;
  /// Of the value whose share rose the most.
  Kind kind = Kind::Absent;
  std::uint32_t word = 0;
  double number = 0;
  double share = 0, usualShare = 0;
  /// The value that is usual the most, where it is a word; 0 where it is none.
  std::uint32_t usualWord = 0;
  /// The range of nine in ten of the usual numbers, where the field has some; else low > high.
  double low = 1, high = 0;
  /// It is what new words look like that is strange, not how many there are.
  bool novel = false;
  /// Records of the block.
  std::uint32_t records = 0;
};

/// What is said of a block; to be given back to `learn`.
struct FieldsVerdict {
  static constexpr std::size_t kMaxColumns = 16;

  /// False while the channel learns.
  bool judged = false;
  /// Spreads from the usual, of the strangest field.
  double score = 0;
  /// The strangest field's column, and what a record's value costs there, given the past, and usually. Of new words, where
  /// it is them that are strange.
  std::uint32_t column = 0;
  bool novel = false;
  double bits = 0, usualBits = 0;

  /// Of each column: bits of the block, what of them the baseline's shares are to blame for, bits of a new value.
  struct Code {
    double bits = 0, shift = 0, unseen = 0, novel = 0;
    bool hasNovel = false;
  };
  std::array<Code, kMaxColumns> codes{};
};

/// Which field of a block of records is unusual: each is a column of symbols, and is as strange as its code is longer or
/// shorter than usual. It takes records as they come and keeps counts of them alone: the code depends on nothing else.
/// State: 6 KiB at most, whatever comes in. docs/algorithms/fields.md derives it.
///
/// A column's symbols are its words or its few distinct numbers, else bins of its numbers (of their steps, where they only
/// rise). They are coded by the Krichevsky-Trofimov estimator on top of the past's counts; the bytes of words that the past
/// lacks, where a block has many, by OpenZL.
class FieldsModel {
 public:
  static constexpr std::size_t kMaxColumns = FieldsVerdict::kMaxColumns;
  static constexpr std::size_t kMaxWords = 30;
  /// Numbers with more distinct values than this are no words (status codes are, sizes are not).
  static constexpr std::size_t kMaxValues = kMaxWords / 2;
  /// Blocks that a column learns from before it is judged.
  static constexpr std::uint32_t kLearningBlocks = 12;
  static constexpr std::uint32_t kMinBlock = 32, kMaxBlock = 255;

  /// `block`: in records, from `kMinBlock` to `kMaxBlock`.
  explicit FieldsModel(std::uint32_t block) : block_(block) {}

  /// The next record's fields. Keys are hashes of names, words of values; a second value under one key is left out.
  void word(std::uint64_t key, std::uint64_t hash, Bytes text);
  void number(std::uint64_t key, double value);
  /// Ends the record. True where that completes the block: to be judged, and then learned or rejected.
  bool end();

  /// @throws std::runtime_error where OpenZL fails.
  FieldsVerdict judge() const;
  /// The strangest field; before the block is learned or rejected.
  FieldFinding explain(const FieldsVerdict& verdict) const;
  /// Whether a value is the one that the finding is about, or like it; before the block is learned or rejected.
  bool shows(const FieldFinding& finding, std::uint64_t hash) const;
  bool shows(const FieldFinding& finding, double value) const;
  static std::uint32_t wordOf(std::uint64_t hash);

  /// Takes the block for part of what is usual. `lasting`: it is to be usual soon, not just a little of it.
  void learn(const FieldsVerdict& verdict, bool lasting = false);
  /// Leaves the block out.
  void reject();

  bool learning() const { return blocks_ < kLearningBlocks; }
  std::size_t memory() const;

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Of a fresh channel. False where the bytes are no snapshot of one with such blocks; the channel is of no use then.
  bool restore(Bytes in);

 private:
  /// The first two are what a record lacks, and values that have no symbol of their own.
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
    /// The block's counts, and the past's in shares of a row.
    Counts past{};
    std::array<std::uint8_t, kSymbols> now{};
    Kind kind = Kind::Words;
    /// The symbol that came last.
    std::uint8_t last = 0;
    /// Looks in a row at bins that were too wide.
    std::uint8_t coarse = 0;
    /// No word finds a place any more in the block; no part of the state.
    bool full = false;
    /// A bit for each word or value that was learned.
    std::uint32_t known = 0;
    std::uint32_t blocks = 0, novelBlocks = 0;
    Usual bits, shift, unseen, novel;
    float scale = 0;
    double centre = 0;
    /// Of steps: the number before.
    double before = 0;
    /// Words; or distinct numbers; or some of the block's numbers, to look at the bins by.
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
  /// The block's counts as they are coded: what is new is one symbol.
  Counts counted(const Column& column) const;
  /// The past of a column, in quarters of a row.
  static Counts baseline(const Column& column);
  FieldsVerdict::Code code(const Column& column) const;
  double novelty() const;
  /// A field that came for the first time.
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
  std::uint32_t records_ = 0;
  std::uint64_t blocks_ = 0;
  std::array<std::uint64_t, kMaxColumns> keys_{};
  std::vector<Column> columns_;
  /// Columns that were there when the block began.
  std::uint32_t settled_ = 0;
  /// A column, and how many of its new words of the block are in `news_`, a line each.
  std::uint32_t probe_ = 0, kept_ = 0;
  std::vector<std::uint8_t> news_;
  /// Of a full channel: a field that it has no column for, and how often it came in the block.
  std::uint64_t rival_ = 0;
  std::uint32_t rivalCount_ = 0;

  // Of the record at hand; no part of the state.
  std::uint32_t present_ = 0;
  std::uint32_t guess_ = 0;
  bool rivalSeen_ = false;
};

}  // namespace driftlock
