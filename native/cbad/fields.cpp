#include "cbad/fields.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <span>

#include "cbad/portable_math.hpp"
#include "cbad/state_bytes.hpp"
#include "codec/codec.hpp"

namespace driftlock {
namespace {

constexpr std::uint8_t snapshot_version = 1;

// Symbols of a column. Words and bins follow.
constexpr std::uint8_t absent = 0;
constexpr std::uint8_t other = 1;
constexpr std::uint8_t first_symbol = 2;
constexpr std::uint8_t middle_bin = 128;
constexpr int last_bin = 126;
/// Bins are even by this in asinh((x - centre) / scale).
constexpr double bin_width = 0.5;
/// Numbers with more distinct values than this are no words (status codes are, sizes are not).
constexpr std::size_t most_number_words = 24;

/// Weight of each symbol before any was seen.
constexpr double prior = 0.05;
/// Rows that a window gives to the sample while it is filled, and later.
constexpr std::size_t rows_filling = 48;
constexpr std::size_t rows_usual = 4;
/// Windows that fill the sample. Those after show what it makes of usual windows.
constexpr std::uint32_t filling_windows = FieldsChannel::sample_size / rows_filling;
/// Bins are looked at every so many windows; too wide so many times, they are made anew.
constexpr std::uint32_t look_at_bins = 8;
constexpr std::uint8_t most_coarse = 3;

/// New values whose bytes are looked at; more are taken to be like them.
constexpr std::size_t most_new_values = 32;

/// Bits a window that are nobody's news. The least spread.
constexpr double least_spread_bits = 4;
constexpr double slowest_rate = 1.0 / 64;
/// A window moves the usual by at most so many spreads.
constexpr double most_spreads = 4;
constexpr std::size_t most_findings = 5;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double largest_number = 1e300;

/// sinh((k + 1/2) bin_width): where the bins above the middle end.
const std::array<double, last_bin>& bin_ends() {
  static const auto ends = [] {
    std::array<double, last_bin> e;
    for (std::size_t k = 0; k < e.size(); ++k) {
      const double y = portable_exp((static_cast<double>(k) + 0.5) * bin_width);
      e[k] = (y - 1 / y) / 2;
    }
    return e;
  }();
  return ends;
}

std::uint8_t bin_of(double x, double centre, double scale) {
  const auto& ends = bin_ends();
  const double y = (x - centre) / scale;
  const auto bin = static_cast<int>(std::upper_bound(ends.begin(), ends.end(), std::fabs(y)) - ends.begin());
  return static_cast<std::uint8_t>(y < 0 ? middle_bin - bin : std::min<int>(middle_bin + bin, 255));
}

double value_of_bin(std::uint8_t symbol, double centre, double scale) {
  const double y = portable_exp((symbol - middle_bin) * bin_width);
  return centre + scale * (y - 1 / y) / 2;
}

/// log2 of Gamma(c + k) / Gamma(c) for whole k: the code of k values in a row, up to its sign.
struct RisingLog {
  std::array<double, FieldsChannel::sample_size + FieldsWindow::max_records + 1> at{};

  explicit RisingLog(double c) {
    for (std::size_t k = 0; k + 1 < at.size(); ++k) at[k + 1] = at[k] + portable_log2(c + static_cast<double>(k));
  }
};

struct CodeTables {
  RisingLog symbol{prior}, all{256 * prior};
};

const CodeTables& code_tables() {
  static const CodeTables tables;
  return tables;
}

const Codec& openzl() {
  // Its lowest level: on some dozens of values the higher ones find no more.
  static const auto codec = makeCodec(CodecName::openzl, 1);
  return *codec;
}

using Counts = std::array<std::uint16_t, 256>;

Counts count(std::span<const std::uint8_t> symbols) {
  Counts counts{};
  for (const std::uint8_t s : symbols) ++counts[s];
  return counts;
}

std::uint64_t hash_of(std::string_view text) {
  // FNV-1a.
  std::uint64_t h = 0xcbf29ce484222325;
  for (const char c : text.substr(0, FieldsWindow::told_apart)) h = (h ^ static_cast<std::uint8_t>(c)) * 0x100000001b3;
  return (h ^ text.size()) * 0x9e3779b97f4a7c15;
}

template <class Number>
void append_number(std::string& text, Number number) {
  char digits[32];
  std::to_chars_result end;
  if constexpr (std::is_floating_point_v<Number>)
    end = std::to_chars(digits, digits + sizeof digits, number, std::chars_format::general, 6);
  else
    end = std::to_chars(digits, digits + sizeof digits, number);
  text.append(digits, end.ptr);
}

double median(std::span<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// The numbers among the first `size`, in order.
std::span<double> compact(std::span<double> values, std::size_t size) {
  const auto some = values.first(size);
  return {some.begin(), std::remove_if(some.begin(), some.end(), [](double x) { return std::isnan(x); })};
}

struct Location {
  double centre = 0, scale = 0;
};

/// Median, and median distance from it. `values` are left in disorder.
Location locate(std::span<double> values) {
  Location at{median(values), 0};
  double mean = 0;
  for (double& x : values) {
    x = std::fabs(x - at.centre);
    mean += x / static_cast<double>(values.size());
  }
  at.scale = std::max(median(values), mean / 100);
  return at;
}

}  // namespace

void FieldsWindow::clear() {
  records_ = columns_ = guess_ = 0;
  full_ = false;
  text_.clear();
  coded_.clear();
}

bool FieldsWindow::next() {
  full_ = records_ == max_records;
  if (full_) return false;
  ++records_;
  guess_ = 0;
  return true;
}

FieldsWindow::Cell* FieldsWindow::cell(std::uint64_t key, std::string_view name) {
  if (records_ == 0 || full_) return nullptr;
  std::size_t at = guess_;
  for (std::size_t looked = 0; looked < columns_; ++looked, ++at) {
    if (at >= columns_) at = 0;
    if (data_[at].key == key) break;
  }
  if (columns_ == 0 || at >= columns_ || data_[at].key != key) {
    if (columns_ == max_columns) return nullptr;
    at = columns_++;
    if (data_.size() < columns_) data_.emplace_back();
    data_[at].key = key;
    data_[at].name = name.substr(0, kept_name);
    data_[at].present = 0;
    data_[at].cells.assign(max_records, {});
  }
  guess_ = at + 1;
  Cell& cell = data_[at].cells[records_ - 1];
  if (cell.kind != Cell::Kind::absent) return nullptr;
  ++data_[at].present;
  return &cell;
}

void FieldsWindow::add(std::uint64_t key, std::string_view name, std::string_view text) {
  Cell* const c = cell(key, name);
  if (c == nullptr) return;
  c->kind = Cell::Kind::text;
  c->bits = hash_of(text);
  c->begin = static_cast<std::uint32_t>(text_.size());
  c->size = static_cast<std::uint8_t>(std::min(text.size(), kept));
  text_.append(text.substr(0, kept));
}

void FieldsWindow::add(std::uint64_t key, std::string_view name, std::int64_t integer) {
  if (Cell* const c = cell(key, name)) c->kind = Cell::Kind::integer, c->bits = static_cast<std::uint64_t>(integer);
}

void FieldsWindow::add(std::uint64_t key, std::string_view name, double real) {
  if (Cell* const c = cell(key, name)) c->kind = Cell::Kind::real, c->bits = std::bit_cast<std::uint64_t>(real);
}

std::size_t FieldsWindow::memory() const {
  std::size_t bytes = sizeof *this + text_.capacity() + coded_.capacity() * sizeof(Coded) + data_.capacity() * sizeof(Column);
  for (const Column& column : data_) bytes += column.name.capacity() + column.cells.capacity() * sizeof(Cell);
  return bytes;
}

double FieldsChannel::Usual::spread(std::uint32_t n, double floor) const {
  // 1.2533: sqrt(pi / 2), from the mean distance of a normal law to its standard deviation; wider while n windows are few.
  return 1.2533 * distance * (1 + 4.0 / (n + 1)) + floor;
}

void FieldsChannel::Usual::learn(double x, std::uint32_t n, double floor) {
  const double rate = std::max(1.0 / (n + 1), slowest_rate);
  const double most = n < 2 ? std::numeric_limits<double>::infinity() : most_spreads * spread(n, floor);
  const double step = std::clamp(x - mean, -most, most);
  mean = static_cast<float>(mean + step * rate);
  if (n > 0) distance = static_cast<float>(distance + (std::fabs(step) - distance) * std::max(1.0 / n, slowest_rate));
}

/// A field that no record had so far.
FieldsChannel::Column FieldsChannel::never_seen() {
  Column column;
  column.filled = sample_size;
  column.windows = learning_windows;
  return column;
}

std::uint32_t FieldsChannel::word(const Window::Cell& cell) {
  const std::uint64_t h = (cell.bits ^ static_cast<std::uint64_t>(cell.kind)) * 0xd6e8feb86659fd93;
  return std::max<std::uint32_t>(1, static_cast<std::uint32_t>(h >> 32));
}

/// The numbers of a column, or their steps; NaN where a record has none. Gives how many there are.
std::size_t FieldsChannel::numbers(const Window& window, const Window::Column& from, bool steps, Numbers& out) {
  std::size_t found = 0, first = 0, last = 0;
  const auto real = [](const Window::Cell& c) {
    return c.kind == Window::Cell::Kind::integer ? static_cast<double>(static_cast<std::int64_t>(c.bits))
                                                 : std::bit_cast<double>(c.bits);
  };
  for (std::size_t i = 0; i < window.records_; ++i) {
    const Window::Cell& cell = from.cells[i];
    out[i] = nan;
    if (!cell.number() || std::isnan(real(cell))) continue;
    if (!steps) {
      out[i] = std::clamp(real(cell), -largest_number, largest_number);
    } else if (found == 0) {
      first = i;
    } else {
      const Window::Cell& before = from.cells[last];
      // Of times in nanoseconds a double keeps no steps.
      const double step = cell.kind == before.kind && cell.kind == Window::Cell::Kind::integer
                              ? static_cast<double>(static_cast<std::int64_t>(cell.bits - before.bits))
                              : real(cell) - real(before);
      out[i] = std::isnan(step) ? 0 : std::clamp(step, -largest_number, largest_number);
      if (found == 1) out[first] = out[i];
    }
    last = i;
    ++found;
  }
  if (steps && found == 1) out[first] = 0;
  return found;
}

void FieldsChannel::symbols(const Column& column, const Window& window, const Window::Column* from, Symbols& out) {
  std::fill_n(out.begin(), window.records_, absent);
  if (from == nullptr) return;
  if (column.kind != Kind::words) {
    Numbers values;
    numbers(window, *from, column.kind == Kind::steps, values);
    for (std::size_t i = 0; i < window.records_; ++i) {
      if (!std::isnan(values[i]))
        out[i] = bin_of(values[i], column.centre, column.scale);
      else if (from->cells[i].kind != Window::Cell::Kind::absent)
        out[i] = other;
    }
    return;
  }
  std::uint32_t last = 0;
  std::uint8_t symbol = absent;
  for (std::size_t i = 0; i < window.records_; ++i) {
    if (from->cells[i].kind == Window::Cell::Kind::absent) continue;
    const std::uint32_t w = word(from->cells[i]);
    if (symbol == absent || w != last) {
      const auto known = std::find(column.words.begin(), column.words.end(), w);
      symbol = known == column.words.end() ? other : static_cast<std::uint8_t>(first_symbol + (known - column.words.begin()));
      last = w;
    }
    out[i] = symbol;
  }
}

void FieldsChannel::code(const Column& column, const Window& window, Window::Coded& coded) {
  const Window::Column* const from = coded.column == Window::none ? nullptr : &window.data_[coded.column];
  symbols(column, window, from, coded.symbols);

  const std::size_t n = window.records_;
  const Counts past = count({column.sample.data(), column.filled});
  const Counts now = count({coded.symbols.data(), n});
  const auto& [symbol, all] = code_tables();
  double given = all.at[column.filled + n] - all.at[column.filled];
  double alone = all.at[n];
  for (std::size_t s = 0; s < now.size(); ++s) {
    if (now[s] == 0) continue;
    given -= symbol.at[past[s] + now[s]] - symbol.at[past[s]];
    alone -= symbol.at[now[s]];
  }

  double bytes = 0;
  if (now[other] > 0) {
    thread_local std::string text;
    std::array<std::uint32_t, most_new_values> lengths;
    std::size_t values = 0;
    text.clear();
    for (std::size_t i = 0; i < n && values < most_new_values; ++i) {
      if (coded.symbols[i] != other) continue;
      const Window::Cell& cell = from->cells[i];
      const std::size_t before = text.size();
      if (cell.kind == Window::Cell::Kind::integer)
        append_number(text, static_cast<std::int64_t>(cell.bits));
      else if (cell.kind == Window::Cell::Kind::real)
        append_number(text, std::bit_cast<double>(cell.bits));
      else
        text += window.text(cell);
      lengths[values++] = static_cast<std::uint32_t>(text.size() - before);
    }
    const auto size = [](std::string_view of, std::span<const std::uint32_t> strings) {
      return static_cast<double>(openzl().compressedSize({reinterpret_cast<const std::uint8_t*>(of.data()), of.size()},
                                                         {.kind = driftlock::Column::Kind::string, .lengths = strings}));
    };
    static const double frame = size({}, {});
    bytes = 8 * std::max(0.0, size(text, {lengths.data(), values}) - frame) * now[other] / static_cast<double>(values);
  }
  coded.bits = (given + bytes) / static_cast<double>(n);
  coded.shift = (given - alone) / static_cast<double>(n);
}

FieldFinding FieldsChannel::finding(const Column& column, const Window& window, const Window::Coded& coded) {
  const bool known = coded.known != Window::none;
  const std::uint32_t past = known ? column.windows - filling_windows : std::numeric_limits<std::uint32_t>::max() - 1;
  const double floor = least_spread_bits / static_cast<double>(window.records_);
  FieldFinding out;
  out.bits = coded.bits;
  out.usual_bits = column.bits.mean;
  out.shift_bits = coded.shift;
  out.usual_shift = column.shift.mean;
  out.score = std::max(std::fabs(out.bits - out.usual_bits) / column.bits.spread(past, floor),
                       (out.shift_bits - out.usual_shift) / column.shift.spread(past, floor));
  return out;
}

void FieldsChannel::explain(const Column& column, const Window& window, const Window::Coded& coded, FieldFinding& out) {
  const std::size_t n = window.records_;
  const Counts past = count({column.sample.data(), column.filled});
  const Counts now = count({coded.symbols.data(), n});
  std::size_t rose = 0;
  double most = -1;
  for (std::size_t s = 0; s < now.size(); ++s) {
    if (now[s] == 0) continue;
    const double share = static_cast<double>(now[s]) / static_cast<double>(n);
    const double usual = static_cast<double>(past[s]) / column.filled;
    const double worth = share * portable_log2(share / (usual + prior / column.filled));
    if (worth <= most && rose != 0) continue;
    most = worth;
    rose = s;
    out.share = share;
    out.usual_share = usual;
  }
  out.name = coded.column == Window::none ? std::string(column.name.data(), column.name_size) : window.data_[coded.column].name;
  out.absent = rose == absent;
  out.unseen = rose == other;
  if (out.absent) return;
  if (column.kind != Kind::words && rose != other) {
    out.number = true;
    return append_number(out.value, value_of_bin(static_cast<std::uint8_t>(rose), column.centre, column.scale));
  }
  std::size_t first = 0;
  while (coded.symbols[first] != rose) ++first;
  const Window::Cell& cell = window.data_[coded.column].cells[first];
  out.number = cell.number();
  if (cell.kind == Window::Cell::Kind::integer)
    append_number(out.value, static_cast<std::int64_t>(cell.bits));
  else if (cell.kind == Window::Cell::Kind::real)
    append_number(out.value, std::bit_cast<double>(cell.bits));
  else
    out.value = window.text(cell);
}

double FieldsChannel::progress() const {
  return std::min(1.0, static_cast<double>(windows_) / learning_windows);
}

std::optional<FieldsVerdict> FieldsChannel::judge(FieldsWindow& window) const {
  window.coded_.clear();
  if (window.records_ < min_records) return std::nullopt;

  std::array<bool, Window::max_columns> matched{};
  for (std::uint32_t k = 0; k < columns_.size(); ++k) {
    std::uint32_t column = 0;
    while (column < window.columns_ && window.data_[column].key != columns_[k].key) ++column;
    if (column < window.columns_)
      matched[column] = true;
    else
      column = Window::none;
    window.coded_.push_back({.known = k, .column = column, .symbols = {}, .bits = 0, .shift = 0});
    code(columns_[k], window, window.coded_.back());
  }
  const Column unknown = never_seen();
  // Where more fields come than there is room for, a new one is no news.
  if (!learning() && columns_.size() < max_columns) {
    for (std::uint32_t c = 0; c < window.columns_; ++c) {
      if (matched[c]) continue;
      window.coded_.push_back({.known = Window::none, .column = c, .symbols = {}, .bits = 0, .shift = 0});
      code(unknown, window, window.coded_.back());
    }
  }
  if (learning()) return std::nullopt;

  struct Ranked {
    FieldFinding finding;
    const Window::Coded* coded;
  };
  std::vector<Ranked> ranked;
  for (const Window::Coded& coded : window.coded_) {
    const Column& column = coded.known == Window::none ? unknown : columns_[coded.known];
    if (column.judged()) ranked.push_back({finding(column, window, coded), &coded});
  }
  if (ranked.empty()) return std::nullopt;
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const Ranked& a, const Ranked& b) { return a.finding.score > b.finding.score; });
  FieldsVerdict verdict{.score = ranked[0].finding.score, .findings = {}};
  for (std::size_t i = 0; i < std::min(ranked.size(), most_findings); ++i) {
    const Window::Coded& coded = *ranked[i].coded;
    explain(coded.known == Window::none ? unknown : columns_[coded.known], window, coded, ranked[i].finding);
    verdict.findings.push_back(std::move(ranked[i].finding));
  }
  return verdict;
}

/// Starts a column on what the window shows of it.
void FieldsChannel::start(Column& column, const Window& window, const Window::Column& from, bool as_numbers) {
  begin(column, window, from, as_numbers);
  Symbols now;
  symbols(column, window, &from, now);
  if (!take(column, window, &from, now) && !as_numbers) start(column, window, from, true);
}

void FieldsChannel::begin(Column& column, const Window& window, const Window::Column& from, bool as_numbers) {
  column = {};
  column.key = from.key;
  column.name_size = static_cast<std::uint8_t>(from.name.size());
  std::copy(from.name.begin(), from.name.end(), column.name.begin());
  if (!as_numbers) return;

  Numbers values;
  const std::size_t found = numbers(window, from, false, values);
  if (found == 0) return;
  const auto all = compact(values, window.records_);
  // A counter, or a clock: a hop back now and then is its turning over, or records that overtook each other.
  std::size_t back = 0;
  for (std::size_t i = 1; i < all.size(); ++i) back += all[i] < all[i - 1];
  const bool rising = all.size() >= min_records && back * 20 <= all.size() && all.back() > all.front();
  column.kind = rising ? Kind::steps : Kind::numbers;
  if (rising) numbers(window, from, true, values);
  const Location at = locate(rising ? compact(values, window.records_) : all);
  column.centre = at.centre;
  column.scale = std::max({at.scale, std::fabs(at.centre) * 1e-9, 1e-300});
}

/// Words of the window into the column's, while there is room: also the rare ones are then known. True where one is new.
bool FieldsChannel::meet(Column& column, const Window& window, const Window::Column& from) {
  const auto first = std::find(column.words.begin(), column.words.end(), 0u);
  auto room = first;
  for (std::size_t i = 0; i < window.records_ && room != column.words.end(); ++i) {
    if (from.cells[i].kind == Window::Cell::Kind::absent) continue;
    const std::uint32_t w = word(from.cells[i]);
    if (std::find(column.words.begin(), room, w) == room) *room++ = w;
  }
  return room != first;
}

/// Rows of the window into the sample. `now`: its symbols. False where the column is to begin anew, as numbers.
bool FieldsChannel::take(Column& column, const Window& window, const Window::Column* from, Symbols now) {
  if (from != nullptr && column.kind == Kind::words && meet(column, window, *from)) symbols(column, window, from, now);
  const Counts here = count({now.data(), window.records_});
  Counts past = count({column.sample.data(), column.filled});
  const std::size_t rows = column.windows < filling_windows ? rows_filling : rows_usual;
  for (std::size_t row = 0; row < rows; ++row) {
    const std::size_t i = row * window.records_ / rows;
    if (column.filled == sample_size) --past[column.sample[column.cursor]];
    std::uint8_t symbol = now[i];
    if (symbol == other && column.kind == Kind::words) {
      // It takes the place of a word that neither the sample nor the window has; perhaps a row before brought it in.
      const std::uint32_t w = word(from->cells[i]);
      auto place = std::find(column.words.begin(), column.words.end(), w);
      for (std::size_t k = 0; place == column.words.end() && k < max_words; ++k) {
        if (past[first_symbol + k] > 0 || here[first_symbol + k] > 0) continue;
        place = column.words.begin() + static_cast<std::ptrdiff_t>(k);
        *place = w;
      }
      if (place != column.words.end()) symbol = static_cast<std::uint8_t>(first_symbol + (place - column.words.begin()));
    }
    ++past[symbol];
    column.sample[column.cursor] = symbol;
    column.cursor = static_cast<std::uint8_t>((column.cursor + 1) % sample_size);
    if (column.filled < sample_size) ++column.filled;
  }
  if (column.windows < std::numeric_limits<std::uint32_t>::max() / 2) ++column.windows;
  if (from == nullptr) return true;

  if (column.kind == Kind::words) {
    const auto words = std::count_if(column.words.begin(), column.words.end(), [](std::uint32_t w) { return w != 0; });
    const auto numeric = std::count_if(from->cells.begin(), from->cells.end(), [](const Window::Cell& c) { return c.number(); });
    return static_cast<std::size_t>(words) <= most_number_words || static_cast<std::size_t>(numeric) * 2 <= from->present;
  }
  if (column.windows % look_at_bins != 0) return true;
  Numbers values;
  numbers(window, *from, column.kind == Kind::steps, values);
  const auto all = compact(values, window.records_);
  if (all.size() < min_records) return true;
  const Location at = locate(all);
  const double away = (at.centre - column.centre) / column.scale;
  const double width = bin_width * column.scale * std::sqrt(1 + away * away);
  const bool coarse = at.scale > 0 && width > 2 * at.scale;
  column.coarse = static_cast<std::uint8_t>(coarse ? column.coarse + 1 : 0);
  return column.coarse < most_coarse;
}

void FieldsChannel::learn(const FieldsWindow& window) {
  if (window.records_ < min_records) return;
  const double floor = least_spread_bits / static_cast<double>(window.records_);
  for (const Window::Coded& coded : window.coded_) {
    if (coded.known >= columns_.size()) continue;
    Column& column = columns_[coded.known];
    const Window::Column* const from = coded.column == Window::none ? nullptr : &window.data_[coded.column];
    if (column.windows >= filling_windows) {
      const std::uint32_t past = column.windows - filling_windows;
      column.bits.learn(coded.bits, past, floor);
      column.shift.learn(coded.shift, past, floor);
    }
    if (!take(column, window, from, coded.symbols)) start(column, window, *from, true);
  }
  admit(window);
  ++windows_;
}

/// Takes in fields that are not known, those of most records first; a full channel, those of twice as many records as
/// the rarest has.
void FieldsChannel::admit(const Window& window) {
  std::vector<const Window::Column*> fresh;
  for (std::size_t c = 0; c < window.columns_; ++c) {
    const Window::Column& from = window.data_[c];
    if (std::none_of(columns_.begin(), columns_.end(), [&](const Column& column) { return column.key == from.key; }))
      fresh.push_back(&from);
  }
  std::stable_sort(fresh.begin(), fresh.end(), [](const auto* a, const auto* b) { return a->present > b->present; });
  const auto share = [](const Column& column) {
    const auto gaps = std::count(column.sample.begin(), column.sample.begin() + column.filled, absent);
    return 1 - static_cast<double>(gaps) / column.filled;
  };
  columns_.reserve(std::min(max_columns, columns_.size() + fresh.size()));
  for (const Window::Column* from : fresh) {
    Column* column = nullptr;
    if (columns_.size() < max_columns) {
      column = &columns_.emplace_back();
    } else {
      column = &*std::min_element(columns_.begin(), columns_.end(),
                                  [&](const Column& a, const Column& b) { return share(a) < share(b); });
      if (2 * share(*column) > static_cast<double>(from->present) / static_cast<double>(window.records_)) return;
    }
    start(*column, window, *from, false);
  }
}

void FieldsChannel::snapshot(std::vector<std::uint8_t>& out) const {
  put(out, snapshot_version);
  put(out, windows_);
  put(out, static_cast<std::uint8_t>(columns_.size()));
  for (const Column& c : columns_) {
    put(out, c.key);
    put_double(out, c.centre);
    put_double(out, c.scale);
    for (const float value : {c.bits.mean, c.bits.distance, c.shift.mean, c.shift.distance})
      put(out, std::bit_cast<std::uint32_t>(value));
    put(out, c.windows);
    for (const std::uint8_t value : {c.filled, c.cursor, c.coarse, static_cast<std::uint8_t>(c.kind), c.name_size}) put(out, value);
    for (const char letter : c.name) put(out, static_cast<std::uint8_t>(letter));
    for (const std::uint32_t w : c.words) put(out, w);
    out.insert(out.end(), c.sample.begin(), c.sample.end());
  }
}

bool FieldsChannel::valid(const Column& c) {
  for (const float value : {c.bits.mean, c.bits.distance, c.shift.mean, c.shift.distance})
    if (!(std::fabs(value) < 1e6f)) return false;
  if (!std::isfinite(c.centre) || !std::isfinite(c.scale) || c.bits.distance < 0 || c.shift.distance < 0) return false;
  if (c.filled == 0 || c.filled > sample_size || (c.filled < sample_size && c.cursor != c.filled)) return false;
  if (c.cursor >= sample_size || c.name_size > c.name.size() || c.coarse >= most_coarse) return false;
  if (c.kind > Kind::steps || (c.kind != Kind::words && !(c.scale > 0))) return false;
  if (c.windows >= filling_windows && c.filled != sample_size) return false;
  const auto most = c.kind == Kind::words ? first_symbol + max_words - 1 : 255;
  return std::all_of(c.sample.begin(), c.sample.begin() + c.filled, [&](std::uint8_t s) { return s <= most; });
}

bool FieldsChannel::restore(Bytes in) {
  StateReader read(in);
  if (read.get<std::uint8_t>() != snapshot_version) return false;
  FieldsChannel fresh;
  fresh.windows_ = read.get<std::uint64_t>();
  const std::size_t columns = read.get<std::uint8_t>();
  if (!read.ok() || columns > max_columns) return false;
  for (std::size_t i = 0; i < columns; ++i) {
    Column c;
    c.key = read.get<std::uint64_t>();
    c.centre = read.get_double();
    c.scale = read.get_double();
    for (float* value : {&c.bits.mean, &c.bits.distance, &c.shift.mean, &c.shift.distance})
      *value = std::bit_cast<float>(read.get<std::uint32_t>());
    c.windows = read.get<std::uint32_t>();
    for (std::uint8_t* value : {&c.filled, &c.cursor, &c.coarse}) *value = read.get<std::uint8_t>();
    c.kind = static_cast<Kind>(read.get<std::uint8_t>());
    c.name_size = read.get<std::uint8_t>();
    for (char& letter : c.name) letter = static_cast<char>(read.get<std::uint8_t>());
    for (std::uint32_t& w : c.words) w = read.get<std::uint32_t>();
    for (std::uint8_t& s : c.sample) s = read.get<std::uint8_t>();
    if (!read.ok() || !valid(c)) return false;
    for (const Column& before : fresh.columns_)
      if (before.key == c.key) return false;
    fresh.columns_.push_back(c);
  }
  if (!read.done()) return false;
  *this = std::move(fresh);
  return true;
}

}  // namespace driftlock
