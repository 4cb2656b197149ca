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
    word,
    /// A number, or the middle of a range of them.
    number,
    range,
    /// Values that the baseline lacks.
    unseen,
    /// The field is missing.
    absent,
  };

  /// Of the field's name, as it was given.
  std::uint64_t key = 0;
  /// Of the value whose share rose the most.
  Kind kind = Kind::absent;
  std::uint32_t word = 0;
  double number = 0;
  double share = 0, usual_share = 0;
  /// The value that is usual the most, where it is a word; 0 where it is none.
  std::uint32_t usual_word = 0;
  /// The range of nine in ten of the usual numbers, where the field has some; else low > high.
  double low = 1, high = 0;
  /// It is what new words look like that is strange, not how many there are.
  bool novel = false;
  /// Records of the block.
  std::uint32_t records = 0;
};

/// What is said of a block; to be given back to `learn`.
struct FieldsVerdict {
  static constexpr std::size_t max_columns = 16;

  /// False while the channel learns.
  bool judged = false;
  /// Spreads from the usual, of the strangest field.
  double score = 0;
  /// The strangest field's column, and what a record's value costs there, given the past, and usually. Of new words, where
  /// it is them that are strange.
  std::uint32_t column = 0;
  bool novel = false;
  double bits = 0, usual_bits = 0;

  /// Of each column: bits of the block, what of them the baseline's shares are to blame for, bits of a new value.
  struct Code {
    double bits = 0, shift = 0, unseen = 0, novel = 0;
    bool has_novel = false;
  };
  std::array<Code, max_columns> codes{};
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
  static constexpr std::size_t max_columns = FieldsVerdict::max_columns;
  static constexpr std::size_t max_words = 30;
  /// Numbers with more distinct values than this are no words (status codes are, sizes are not).
  static constexpr std::size_t max_values = max_words / 2;
  /// Blocks that a column learns from before it is judged.
  static constexpr std::uint32_t learning_blocks = 12;
  static constexpr std::uint32_t min_block = 32, max_block = 255;

  /// `block`: in records, from `min_block` to `max_block`.
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
  static std::uint32_t word_of(std::uint64_t hash);

  /// Takes the block for part of what is usual. `lasting`: it is to be usual soon, not just a little of it.
  void learn(const FieldsVerdict& verdict, bool lasting = false);
  /// Leaves the block out.
  void reject();

  bool learning() const { return blocks_ < learning_blocks; }
  std::size_t memory() const;

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Of a fresh channel. False where the bytes are no snapshot of one with such blocks; the channel is of no use then.
  bool restore(Bytes in);

 private:
  /// The first two are what a record lacks, and values that have no symbol of their own.
  static constexpr std::size_t symbols = 2 + max_words;
  using Counts = std::array<std::uint16_t, symbols>;

  /// A quantity's usual value and the mean distance from it, with exponential forgetting.
  struct Usual {
    float mean = 0, distance = 0;

    double spread(std::uint32_t n, double floor) const;
    void learn(double x, std::uint32_t n, double floor, bool lasting);
  };
  enum class Kind : std::uint8_t { words, values, numbers, steps };
  struct Column {
    /// The block's counts, and the past's in shares of a row.
    Counts past{};
    std::array<std::uint8_t, symbols> now{};
    Kind kind = Kind::words;
    /// The symbol that came last.
    std::uint8_t last = 0;
    /// Looks in a row at bins that were too wide.
    std::uint8_t coarse = 0;
    /// No word finds a place any more in the block; no part of the state.
    bool full = false;
    /// A bit for each word or value that was learned.
    std::uint32_t known = 0;
    std::uint32_t blocks = 0, novel_blocks = 0;
    Usual bits, shift, unseen, novel;
    float scale = 0;
    double centre = 0;
    /// Of steps: the number before.
    double before = 0;
    /// Words; or distinct numbers; or some of the block's numbers, to look at the bins by.
    union {
      std::array<std::uint32_t, max_words> words{};
      std::array<double, max_values> values;
    };

    bool judged() const { return blocks >= learning_blocks; }
    bool worded() const { return kind <= Kind::values; }
  };

  Column* column(std::uint64_t key);
  const Column& column_of(const FieldFinding& finding) const;
  static bool is_new(const Column& column, std::uint32_t word);
  static void tell_range(const Column& column, const Counts& past, FieldFinding& out);
  static std::uint8_t symbol(Column& column, std::uint32_t word);
  void count_number(Column& column, double value);
  void keep(Bytes text);
  static std::size_t room(const Column& column, std::size_t places);
  static void to_numbers(Column& column);
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
  static void visit_column(Self& column, Visitor& v);

  std::uint32_t block_;
  std::uint32_t records_ = 0;
  std::uint64_t blocks_ = 0;
  std::array<std::uint64_t, max_columns> keys_{};
  std::vector<Column> columns_;
  /// Columns that were there when the block began.
  std::uint32_t settled_ = 0;
  /// A column, and how many of its new words of the block are in `news_`, a line each.
  std::uint32_t probe_ = 0, kept_ = 0;
  std::vector<std::uint8_t> news_;
  /// Of a full channel: a field that it has no column for, and how often it came in the block.
  std::uint64_t rival_ = 0;
  std::uint32_t rival_count_ = 0;

  // Of the record at hand; no part of the state.
  std::uint32_t present_ = 0;
  std::uint32_t guess_ = 0;
  bool rival_seen_ = false;
};

}  // namespace driftlock
