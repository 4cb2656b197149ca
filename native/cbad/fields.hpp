#pragma once

// The fields channel: a window of records as columns. Whose values are not as usual?

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bytes.hpp"

namespace driftlock {

/// The records of one window, a column a field. Scratch that a thread keeps and fills anew for each window, of any
/// stream; at most 1 MiB, whatever comes in.
class FieldsWindow {
 public:
  static constexpr std::size_t max_records = 256;
  /// Fields beyond these many names, in the order of the records, are left out.
  static constexpr std::size_t max_columns = 48;
  /// Of a text, so much tells values apart, and so much is kept.
  static constexpr std::size_t told_apart = 256;
  static constexpr std::size_t kept = 64;
  static constexpr std::size_t kept_name = 32;

  void clear();
  /// Begins the next record; false, and nothing is added until `clear`, where the window is full.
  bool next();

  /// The current record's value under a key, which is a hash of its name. A second value under the same key is left out.
  void add(std::uint64_t key, std::string_view name, std::string_view text);
  void add(std::uint64_t key, std::string_view name, std::int64_t integer);
  void add(std::uint64_t key, std::string_view name, double real);

  std::size_t records() const { return records_; }
  std::size_t columns() const { return columns_; }
  std::size_t memory() const;

 private:
  friend class FieldsChannel;

  struct Cell {
    enum class Kind : std::uint8_t { absent, text, integer, real };

    /// Of a number; of a text, its hash.
    std::uint64_t bits = 0;
    std::uint32_t begin = 0;
    std::uint8_t size = 0;
    Kind kind = Kind::absent;

    bool number() const { return kind >= Kind::integer; }
  };
  struct Column {
    std::uint64_t key = 0;
    std::string name;
    std::uint32_t present = 0;
    std::vector<Cell> cells;
  };
  /// A column in the channel's symbols, and what they cost.
  struct Coded {
    /// Of the channel's columns, and of the window's; `none` where it has no such column.
    std::uint32_t known, column;
    std::array<std::uint8_t, max_records> symbols;
    double bits, shift;  ///< a record
  };
  static constexpr std::uint32_t none = 0xFFFFFFFFu;

  Cell* cell(std::uint64_t key, std::string_view name);
  std::string_view text(const Cell& cell) const { return {text_.data() + cell.begin, cell.size}; }

  std::size_t records_ = 0, columns_ = 0;
  /// Records tend to have the same fields in the same order: the next one's place.
  std::size_t guess_ = 0;
  bool full_ = false;
  std::vector<Column> data_;
  std::string text_;
  std::vector<Coded> coded_;
};

/// One field of a window beside the stream's past.
struct FieldFinding {
  std::string name;
  /// The larger of two distances from the usual, in spreads: of the bits, either way, and of the shift, upwards.
  double score = 0;
  /// What a record's value costs, given the baseline's values.
  double bits = 0, usual_bits = 0;
  /// What of it the baseline's shares of values are to blame for: nothing where the window has the same shares.
  double shift_bits = 0, usual_shift = 0;
  /// The value whose share rose the most: a word, the middle of a range of numbers, or empty where the field is absent.
  std::string value;
  bool absent = false, number = false, unseen = false;  ///< of `value`; unseen: one of the values that the baseline lacks
  double share = 0, usual_share = 0;
};

struct FieldsVerdict {
  /// Of the strangest field: findings[0].
  double score = 0;
  /// The strangest fields, strangest first; at most 5.
  std::vector<FieldFinding> findings;
};

/// Which field of a window is unusual: each is a column of symbols, and is as strange as its code is longer or shorter
/// than usual. Works on windows, never on single records. State: 11.5 KiB at most. docs/algorithms/fields.md derives it.
///
/// A column's symbols are its words while there are few of them, else bins of its numbers (of their steps, where they
/// only rise), else one symbol for "another text". They are coded by the Krichevsky-Trofimov estimator on top of a sample
/// of the past; the bytes of values that the sample lacks by OpenZL, as strings. Windows are to be of one length.
class FieldsChannel {
 public:
  static constexpr std::size_t max_columns = 24;
  static constexpr std::size_t max_words = 48;
  static constexpr std::size_t sample_size = 192;
  /// Windows that a column learns from before it is judged.
  static constexpr std::uint32_t learning_windows = 12;
  static constexpr std::size_t min_records = 32;

  /// What the window's fields are worth. Nothing while learning, or for fewer than `min_records`.
  /// @throws std::runtime_error where OpenZL fails.
  std::optional<FieldsVerdict> judge(FieldsWindow& window) const;
  /// Takes the window that `judge` was last given for part of what is usual. Flagged ones are better left out.
  void learn(const FieldsWindow& window);

  bool learning() const { return windows_ < learning_windows; }
  double progress() const;
  std::uint64_t windows() const { return windows_; }
  std::size_t memory() const { return sizeof *this + columns_.capacity() * sizeof(Column); }

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// False, with nothing changed, when the bytes are no snapshot of this channel.
  bool restore(Bytes in);

 private:
  /// A quantity's usual value and the mean distance from it, with exponential forgetting.
  struct Usual {
    float mean = 0, distance = 0;

    double spread(std::uint32_t n, double floor) const;
    void learn(double x, std::uint32_t n, double floor);
  };
  enum class Kind : std::uint8_t { words, numbers, steps };
  struct Column {
    std::uint64_t key = 0;
    double centre = 0, scale = 0;  ///< of numbers
    Usual bits, shift;
    std::uint32_t windows = 0;
    std::uint8_t filled = 0, cursor = 0;  ///< of the sample, a ring
    std::uint8_t coarse = 0;              ///< windows in a row for which the bins were too wide
    Kind kind = Kind::words;
    std::uint8_t name_size = 0;
    std::array<char, FieldsWindow::kept_name> name{};
    std::array<std::uint32_t, max_words> words{};
    std::array<std::uint8_t, sample_size> sample{};

    bool judged() const { return windows >= learning_windows; }
  };
  using Window = FieldsWindow;
  using Symbols = std::array<std::uint8_t, FieldsWindow::max_records>;
  using Numbers = std::array<double, FieldsWindow::max_records>;

  static Column never_seen();
  static std::uint32_t word(const Window::Cell& cell);
  static std::size_t numbers(const Window& window, const Window::Column& from, bool steps, Numbers& out);
  /// `from` is null where no record has the field.
  static void symbols(const Column& column, const Window& window, const Window::Column* from, Symbols& out);
  static void code(const Column& column, const Window& window, Window::Coded& coded);
  static FieldFinding finding(const Column& column, const Window& window, const Window::Coded& coded);
  static void explain(const Column& column, const Window& window, const Window::Coded& coded, FieldFinding& out);
  static void start(Column& column, const Window& window, const Window::Column& from, bool as_numbers);
  static void begin(Column& column, const Window& window, const Window::Column& from, bool as_numbers);
  static bool meet(Column& column, const Window& window, const Window::Column& from);
  static bool take(Column& column, const Window& window, const Window::Column* from, Symbols now);
  static bool valid(const Column& column);
  void admit(const Window& window);

  std::vector<Column> columns_;
  std::uint64_t windows_ = 0;
};

}  // namespace driftlock
