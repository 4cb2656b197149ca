#include "channels/fields/fields.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <string>

#include "base/portable_math.hpp"
#include "base/state_bytes.hpp"
#include "codec/codec.hpp"

namespace driftlock {
namespace {

constexpr std::uint8_t snapshot_version = 2;

// Symbols of a column. Words, values or bins follow.
constexpr std::uint8_t absent = 0;
constexpr std::uint8_t other = 1;
constexpr std::uint8_t first_symbol = 2;
/// Bins are even by this in asinh((x - centre) / scale).
constexpr double bin_width = 0.5;
constexpr int last_bin = 14;
constexpr std::uint8_t middle_bin = first_symbol + last_bin;

/// Weight of each symbol before any was seen, and of all.
constexpr double prior = 0.05;
constexpr double prior_of_all = 256 * prior;

/// The past weighs as much as so many records. Its counts are kept in parts of a row, and coded in quarters.
constexpr std::uint32_t rows = 192;
constexpr std::uint32_t row_parts = 256;
constexpr std::uint32_t quarter_parts = row_parts / 4;
/// The past is filled by so many blocks; each later one replaces one part in so many.
constexpr std::uint32_t filling_blocks = 4;
constexpr std::uint32_t remembered_blocks = 48;
/// Rounding adds at most half a part a symbol and block.
constexpr std::uint32_t most_parts = rows * row_parts + remembered_blocks * 32;

/// Bins are looked at every so many blocks; too wide so many times, they are made anew.
constexpr std::uint32_t look_at_bins = 8;
constexpr std::uint8_t most_coarse = 3;
constexpr std::size_t least_looked_at = 12;

/// New words of a block that are kept, of so many bytes. Fewer are not judged by what they look like: single odd words are
/// no matter of a block.
constexpr std::uint32_t most_kept = 32;
constexpr std::uint32_t least_kept = 8;
constexpr std::size_t kept_bytes = 16;
constexpr std::size_t most_news = most_kept * (1 + kept_bytes);

/// Bits a block, and bits a new word, that are nobody's news. The least spreads.
constexpr double least_bits = 4;
constexpr double least_novel_bits = 1;
constexpr double slowest_rate = 1.0 / 64;
/// A block moves the usual by at most so many spreads, so that some odd ones hide no others.
constexpr double most_spreads = 1.5;
constexpr std::uint32_t many_blocks = std::numeric_limits<std::uint32_t>::max() / 2;

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

/// log2 of Gamma(c + q / 4), up to a constant for each q mod 4: the code of k values in a row is the difference of two that
/// are 4 k apart.
struct RisingLog {
  std::array<double, 4 * 2 * 256> at{};

  explicit RisingLog(double c) {
    for (std::size_t q = 4; q < at.size(); ++q) at[q] = at[q - 4] + portable_log2(c + static_cast<double>(q - 4) / 4);
  }
  double operator()(std::size_t quarters, std::size_t records) const { return at[quarters + 4 * records] - at[quarters]; }
};
static_assert(most_parts / quarter_parts + 32 + 4 * FieldsModel::max_block < 4 * 2 * 256);

struct CodeTables {
  RisingLog symbol{prior}, all{prior_of_all};
};

const CodeTables& code_tables() {
  static const CodeTables tables;
  return tables;
}

const Codec& openzl() {
  // Its lowest level: on some dozens of values the higher ones find no more.
  // Never freed: threads may still use it while the process exits.
  static const Codec* const codec = makeCodec(CodecName::openzl, 1).release();
  return *codec;
}

struct Location {
  double centre = 0, scale = 0;
};

struct Weighed {
  double value, weight;
};

double median(std::span<Weighed> values) {
  std::sort(values.begin(), values.end(), [](const Weighed& a, const Weighed& b) { return a.value < b.value; });
  double half = 0;
  for (const Weighed& v : values) half += v.weight / 2;
  for (const Weighed& v : values)
    if ((half -= v.weight) <= 0) return v.value;
  return values.back().value;
}

/// Median, and median distance from it. `values`, of which there is one, are left as distances.
Location locate(std::span<Weighed> values) {
  Location at{median(values), 0};
  double sum = 0, weight = 0;
  for (Weighed& v : values) {
    v.value = std::fabs(v.value - at.centre);
    sum += v.value * v.weight;
    weight += v.weight;
  }
  at.scale = std::max(median(values), sum / weight / 100);
  return at;
}

std::uint32_t word_of_number(double value) {
  const std::uint64_t bits = std::bit_cast<std::uint64_t>(value) * 0xd6e8feb86659fd93;
  return std::max<std::uint32_t>(1, static_cast<std::uint32_t>(bits >> 32));
}

}  // namespace

double FieldsModel::Usual::spread(std::uint32_t n, double floor) const {
  // 1.2533: sqrt(pi / 2), from the mean distance of a normal law to its standard deviation; wider while n blocks are few.
  return 1.2533 * distance * (1 + 4.0 / (n + 1)) + floor;
}

void FieldsModel::Usual::learn(double x, std::uint32_t n, double floor, bool lasting) {
  // What is to be usual soon moves the mean; how far it was away says nothing of the distance.
  if (lasting) {
    mean = static_cast<float>(mean + (x - mean) / filling_blocks);
    return;
  }
  const double most = n < 2 ? std::numeric_limits<double>::infinity() : most_spreads * spread(n, floor);
  const double step = std::clamp(x - mean, -most, most);
  mean = static_cast<float>(mean + step * std::max(1.0 / (n + 1), slowest_rate));
  if (n > 0) distance = static_cast<float>(distance + (std::fabs(step) - distance) * std::max(1.0 / n, slowest_rate));
}

std::uint32_t FieldsModel::word_of(std::uint64_t hash) {
  return std::max<std::uint32_t>(1, static_cast<std::uint32_t>(hash ^ hash >> 32));
}

/// Records tend to have the same fields in the same order: where the next one is, is a good guess.
FieldsModel::Column* FieldsModel::column(std::uint64_t key) {
  const auto size = static_cast<std::uint32_t>(columns_.size());
  std::uint32_t at = guess_ < size ? guess_ : 0;
  for (std::uint32_t looked = 0; looked < size; ++looked, at = at + 1 == size ? 0 : at + 1) {
    if (keys_[at] != key) continue;
    guess_ = at + 1;
    if (present_ >> at & 1) return nullptr;
    present_ |= 1u << at;
    return &columns_[at];
  }
  if (size == max_columns) {
    if (rival_count_ == 0) rival_ = key;
    if (rival_ == key && !rival_seen_) ++rival_count_, rival_seen_ = true;
    return nullptr;
  }
  if (size == columns_.capacity()) columns_.reserve(std::min(max_columns, std::size_t{size} + 4));
  keys_[size] = key;
  guess_ = size + 1;
  present_ |= 1u << size;
  return &columns_.emplace_back();
}

/// A place that no symbol has any claim to: an empty one, else one whose word neither past nor block has.
std::size_t FieldsModel::room(const Column& column, std::size_t places) {
  std::size_t forgotten = places;
  for (std::size_t i = 0; i < places; ++i) {
    if (column.now[first_symbol + i] > 0) continue;
    if ((column.known >> i & 1) == 0) return i;
    if (forgotten == places && column.past[first_symbol + i] == 0) forgotten = i;
  }
  return forgotten;
}

std::uint8_t FieldsModel::symbol(Column& column, std::uint32_t word) {
  if (column.last >= first_symbol && column.words[column.last - first_symbol] == word) return column.last;
  auto at = static_cast<std::size_t>(std::find(column.words.begin(), column.words.end(), word) - column.words.begin());
  if (at == max_words) {
    at = column.full ? max_words : room(column, max_words);
    column.full = at == max_words;
    if (column.full) return column.last = other;
    column.words[at] = word;
    column.known &= ~(1u << at);
  }
  return column.last = static_cast<std::uint8_t>(first_symbol + at);
}

void FieldsModel::word(std::uint64_t key, std::uint64_t hash, Bytes text) {
  Column* const c = column(key);
  if (c == nullptr) return;
  // A word where numbers are usual.
  const std::uint8_t s = c->kind == Kind::words ? symbol(*c, word_of(hash)) : other;
  ++c->now[s];
  const bool is_new = s == other || (c->known >> (s - first_symbol) & 1) == 0;
  if (is_new && kept_ < most_kept && c == &columns_[probe_]) keep(text);
}

void FieldsModel::keep(Bytes text) {
  const std::size_t size = std::min(text.size(), kept_bytes), needed = news_.size() + size + 1;
  if (news_.capacity() < needed) news_.reserve(std::min(most_news, 2 * needed));
  ++kept_;
  news_.insert(news_.end(), text.begin(), text.begin() + static_cast<std::ptrdiff_t>(size));
  news_.push_back('\n');
}

void FieldsModel::number(std::uint64_t key, double value) {
  Column* const c = column(key);
  if (c == nullptr) return;
  if (std::isnan(value)) {
    ++c->now[other];
    return;
  }
  value = std::clamp(value, -largest_number, largest_number);
  const bool first = c->blocks == 0 && std::all_of(c->now.begin(), c->now.end(), [](std::uint8_t n) { return n == 0; });
  if (first) {
    c->kind = Kind::values;
    c->values.fill(nan);
    c->before = value;
  }
  count_number(*c, value);
  c->before = value;
}

void FieldsModel::count_number(Column& c, double value) {
  if (c.kind == Kind::words) {
    ++c.now[symbol(c, word_of_number(value))];
    return;
  }
  if (c.kind == Kind::values) {
    std::size_t at = 0;
    while (at < max_values && c.values[at] != value) ++at;
    if (at == max_values && (at = room(c, max_values)) < max_values) {
      c.values[at] = value;
      c.known &= ~(1u << at);
    }
    if (at < max_values) {
      ++c.now[first_symbol + at];
      return;
    }
    to_numbers(c);
  }
  const double x = c.kind == Kind::steps ? std::clamp(value - c.before, -largest_number, largest_number) : value;
  ++c.now[bin(c, x)];
  const std::uint32_t place = records_ * static_cast<std::uint32_t>(max_values);
  if (c.blocks % look_at_bins == 0 && place % block_ < max_values) c.values[place / block_] = x;
}

std::uint8_t FieldsModel::bin(const Column& column, double value) {
  const auto& ends = bin_ends();
  const double y = (value - column.centre) / column.scale;
  const auto bin = static_cast<int>(std::upper_bound(ends.begin(), ends.end(), std::fabs(y)) - ends.begin());
  return static_cast<std::uint8_t>(y < 0 ? middle_bin - bin : middle_bin + bin);
}

double FieldsModel::middle(const Column& column, std::uint8_t symbol) {
  const double y = portable_exp((symbol - middle_bin) * bin_width);
  return column.centre + column.scale * (y - 1 / y) / 2;
}

/// There are too many distinct numbers for a symbol each: from now on bins of them, or of their steps where they only rise.
void FieldsModel::to_numbers(Column& c) {
  // In the order in which they came.
  std::array<Weighed, max_values + 1> values;
  std::size_t back = 0;
  for (std::size_t i = 1; i < max_values; ++i) back += c.values[i] < c.values[i - 1];
  // A counter, or a clock; a hop back is its turning over, or records that overtook each other.
  const bool rising = back <= 1 && c.values[max_values - 1] > c.values[0];
  const auto past = c.past;
  const auto now = c.now;
  const auto from = c.values;
  std::size_t n = 0;
  if (rising) {
    double zeros = 0;
    for (std::size_t i = 0; i < max_values; ++i) {
      if (i > 0) values[n++] = {from[i] - from[i - 1], 1};
      zeros += std::max(0, now[first_symbol + i] - 1);
    }
    if (zeros > 0) values[n++] = {0, zeros};
  } else {
    for (std::size_t i = 0; i < max_values; ++i) {
      values[n++] = {from[i], static_cast<double>(past[first_symbol + i]) + row_parts * now[first_symbol + i]};
    }
  }
  const Location at = locate({values.data(), n});
  c.kind = rising ? Kind::steps : Kind::numbers;
  c.centre = at.centre;
  c.scale = static_cast<float>(std::clamp(std::max(at.scale, std::fabs(at.centre) * 1e-9), 1e-30, 1e30));
  for (std::size_t s = first_symbol; s < symbols; ++s) c.past[s] = c.now[s] = 0;
  for (std::size_t i = 0; i < max_values; ++i) {
    const std::uint8_t count = now[first_symbol + i];
    if (!rising) {
      const std::uint8_t s = bin(c, from[i]);
      c.past[s] = static_cast<std::uint16_t>(c.past[s] + past[first_symbol + i]);
      c.now[s] = static_cast<std::uint8_t>(c.now[s] + count);
    } else if (count > 0) {
      ++c.now[bin(c, i > 0 ? from[i] - from[i - 1] : from[1] - from[0])];
      const std::uint8_t zero = bin(c, 0);
      c.now[zero] = static_cast<std::uint8_t>(c.now[zero] + count - 1);
    }
  }
  if (rising) c.past.fill(0);
  c.known = 0;
  c.coarse = 0;
  // What such symbols usually cost is to be seen.
  c.blocks = rising ? 0 : std::min(c.blocks, filling_blocks);
  c.bits = c.shift = c.unseen = {};
  c.values.fill(nan);
}

bool FieldsModel::end() {
  present_ = guess_ = 0;
  rival_seen_ = false;
  return ++records_ == block_;
}

std::uint32_t FieldsModel::total(const Counts& counts) { return std::accumulate(counts.begin(), counts.end(), 0u); }

FieldsModel::Counts FieldsModel::counted(const Column& column) const {
  Counts counts{};
  std::uint32_t present = 0;
  for (std::size_t s = other; s < symbols; ++s) {
    const bool is_new = column.worded() && s >= first_symbol && (column.known >> (s - first_symbol) & 1) == 0;
    counts[is_new ? other : s] = static_cast<std::uint16_t>(counts[is_new ? other : s] + column.now[s]);
    present += column.now[s];
  }
  counts[absent] = static_cast<std::uint16_t>(records_ - present);
  return counts;
}

FieldsModel::Counts FieldsModel::baseline(const Column& column) {
  Counts quarters{};
  for (std::size_t s = 0; s < symbols; ++s) {
    quarters[s] = static_cast<std::uint16_t>((column.past[s] + quarter_parts / 2) / quarter_parts);
  }
  return quarters;
}

FieldsVerdict::Code FieldsModel::code(const Column& column) const {
  Counts past = baseline(column);
  if (fresh(column)) past[absent] = 4 * rows;
  const Counts now = counted(column);
  const auto& [symbol, all] = code_tables();
  const std::size_t n = records_;
  double given = all(total(past), n), alone = all(0, n);
  for (std::size_t s = 0; s < symbols; ++s) {
    if (now[s] == 0) continue;
    given -= symbol(past[s], now[s]);
    alone -= symbol(0, now[s]);
  }
  FieldsVerdict::Code code{.bits = given, .shift = given - alone};
  code.unseen = all(total(past), n) - symbol(past[other], now[other]) - symbol(total(past) - past[other], n - now[other]);
  code.has_novel = &column == &columns_[probe_] && kept_ >= least_kept;
  if (code.has_novel) code.novel = novelty();
  return code;
}

/// Bits of a new word of the block.
double FieldsModel::novelty() const {
  // As one text: some dozens of words in a graph of strings cost half as much again, and four times the time.
  static const double frame = static_cast<double>(openzl().compressedSize({}));
  return 8 * std::max(0.0, static_cast<double>(openzl().compressedSize(news_)) - frame) / kept_;
}

/// Takes the column for the strangest one, where it is.
void FieldsModel::score(const Column& column, FieldsVerdict& verdict, std::uint32_t index) const {
  const FieldsVerdict::Code& code = verdict.codes[index];
  const std::uint32_t past = fresh(column) ? many_blocks : column.blocks - filling_blocks;
  const double mix = std::max({std::fabs(code.bits - column.bits.mean) / column.bits.spread(past, least_bits),
                               (code.shift - column.shift.mean) / column.shift.spread(past, least_bits),
                               (code.unseen - column.unseen.mean) / column.unseen.spread(past, least_bits)});
  double novel = 0;
  if (code.has_novel && column.novel_blocks >= learning_blocks - filling_blocks)
    novel = std::fabs(code.novel - column.novel.mean) / column.novel.spread(column.novel_blocks, least_novel_bits);
  if (verdict.judged && std::max(mix, novel) <= verdict.score) return;
  verdict.judged = true;
  verdict.column = index;
  verdict.score = std::max(mix, novel);
  verdict.novel = novel > mix;
  verdict.bits = verdict.novel ? code.novel : code.bits / records_;
  verdict.usual_bits = verdict.novel ? column.novel.mean : column.bits.mean / records_;
}

FieldsVerdict FieldsModel::judge() const {
  FieldsVerdict verdict;
  for (std::uint32_t i = 0; i < columns_.size(); ++i) {
    verdict.codes[i] = code(columns_[i]);
    if (!learning() && (columns_[i].judged() || fresh(columns_[i]))) score(columns_[i], verdict, i);
  }
  return verdict;
}

FieldFinding FieldsModel::explain(const FieldsVerdict& verdict) const {
  const Column& column = columns_[verdict.column];
  Counts past = baseline(column);
  if (fresh(column)) past[absent] = 4 * rows;
  const Counts now = counted(column);
  const double n = records_, before = total(past);
  FieldFinding out{.key = keys_[verdict.column]};
  std::size_t rose = symbols, usual = other;
  double most = 0;
  for (std::size_t s = 0; s < symbols; ++s) {
    if (s >= first_symbol && past[s] > past[usual]) usual = s;
    if (now[s] == 0 || (verdict.novel && s != other)) continue;
    const double share = now[s] / n, was = past[s] / before;
    const double worth = share * portable_log2(share / (was + 4 * prior / before));
    if (rose != symbols && worth <= most) continue;
    most = worth;
    rose = s;
    out.share = share;
    out.usual_share = was;
  }
  out.records = records_;
  out.novel = verdict.novel;
  using Found = FieldFinding::Kind;
  const std::size_t place = rose - first_symbol;
  if (rose == absent || rose == other) {
    out.kind = rose == absent ? Found::absent : Found::unseen;
  } else if (column.kind == Kind::words) {
    out.kind = Found::word;
    out.word = column.words[place];
  } else {
    out.kind = column.kind == Kind::values ? Found::number : Found::range;
    out.number = column.kind == Kind::values ? column.values[place] : middle(column, static_cast<std::uint8_t>(rose));
  }
  if (column.kind == Kind::words) {
    if (usual >= first_symbol && past[usual] > 0) out.usual_word = column.words[usual - first_symbol];
    return out;
  }
  tell_range(column, past, out);
  return out;
}

void FieldsModel::tell_range(const Column& column, const Counts& past, FieldFinding& out) {
  std::array<Weighed, symbols> numbers;
  double all = 0, below = 0;
  std::size_t size = 0;
  for (std::size_t s = first_symbol; s < symbols; ++s) {
    if (past[s] == 0) continue;
    const bool value = column.kind == Kind::values;
    numbers[size++] = {value ? column.values[s - first_symbol] : middle(column, static_cast<std::uint8_t>(s)), 1.0 * past[s]};
    all += past[s];
  }
  std::sort(numbers.begin(), numbers.begin() + static_cast<std::ptrdiff_t>(size),
            [](const Weighed& a, const Weighed& b) { return a.value < b.value; });
  for (std::size_t i = 0; i < size; ++i) {
    if (below <= 0.05 * all) out.low = numbers[i].value;
    if (below < 0.95 * all) out.high = numbers[i].value;
    below += numbers[i].weight;
  }
}

const FieldsModel::Column& FieldsModel::column_of(const FieldFinding& finding) const {
  const auto key = std::find(keys_.begin(), keys_.begin() + static_cast<std::ptrdiff_t>(columns_.size()), finding.key);
  return columns_[static_cast<std::size_t>(key - keys_.begin())];
}

bool FieldsModel::is_new(const Column& column, std::uint32_t word) {
  const auto at = static_cast<std::size_t>(std::find(column.words.begin(), column.words.end(), word) - column.words.begin());
  return at == max_words || (column.known >> at & 1) == 0;
}

bool FieldsModel::shows(const FieldFinding& finding, std::uint64_t hash) const {
  if (finding.kind == FieldFinding::Kind::word) return word_of(hash) == finding.word;
  if (finding.kind != FieldFinding::Kind::unseen) return false;
  const Column& column = column_of(finding);
  return column.kind != Kind::words || is_new(column, word_of(hash));
}

bool FieldsModel::shows(const FieldFinding& finding, double value) const {
  if (finding.kind == FieldFinding::Kind::word) return word_of_number(value) == finding.word;
  if (finding.kind != FieldFinding::Kind::unseen) return false;
  const Column& column = column_of(finding);
  if (column.kind == Kind::words) return is_new(column, word_of_number(value));
  if (column.kind != Kind::values) return std::isnan(value);
  for (std::size_t i = 0; i < max_values; ++i)
    if (column.values[i] == value) return (column.known >> i & 1) == 0;
  return true;
}

void FieldsModel::learn(const FieldsVerdict& verdict, bool lasting) {
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    Column& column = columns_[i];
    const FieldsVerdict::Code& code = verdict.codes[i];
    if (column.blocks >= filling_blocks) {
      const std::uint32_t past = column.blocks - filling_blocks;
      column.bits.learn(code.bits, past, least_bits, lasting);
      column.shift.learn(code.shift, past, least_bits, lasting);
      column.unseen.learn(code.unseen, past, least_bits, lasting);
    }
    if (code.has_novel) column.novel.learn(code.novel, column.novel_blocks, least_novel_bits, lasting);
    if (code.has_novel && column.novel_blocks < many_blocks) ++column.novel_blocks;
    take(column, lasting);
  }
  admit();
  ++blocks_;
  next();
}

/// The block's counts into the past's.
void FieldsModel::take(Column& column, bool lasting) {
  const bool fast = lasting || column.blocks < filling_blocks;
  const std::uint32_t parts = rows * row_parts / (fast ? filling_blocks : remembered_blocks);
  const std::uint32_t left = column.blocks < filling_blocks ? 0 : fast ? filling_blocks : remembered_blocks;
  std::uint32_t present = 0;
  for (std::size_t s = other; s < symbols; ++s) present += column.now[s];
  for (std::size_t s = 0; s < symbols; ++s) {
    const std::uint32_t here = s == absent ? records_ - present : column.now[s];
    std::uint32_t past = column.past[s];
    // Rounded up, so that what is gone is forgotten in the end.
    if (left > 0) past -= (past + left - 1) / left;
    column.past[s] = static_cast<std::uint16_t>(past + (here * parts + records_ / 2) / records_);
    if (column.worded() && s >= first_symbol && here > 0) column.known |= 1u << (s - first_symbol);
  }
  if (column.blocks < many_blocks) ++column.blocks;
  if (!column.worded() && column.blocks % look_at_bins == 1) look(column);
}

/// Whether the bins still fit; else the column begins anew.
void FieldsModel::look(Column& column) {
  std::array<Weighed, max_values> values;
  std::size_t size = 0;
  for (const double value : column.values)
    if (!std::isnan(value)) values[size++] = {value, 1};
  column.values.fill(nan);
  if (size < least_looked_at) return;
  const Location at = locate({values.data(), size});
  const double away = (at.centre - column.centre) / column.scale;
  const double width = bin_width * column.scale * std::sqrt(1 + away * away);
  const bool coarse = at.scale > 0 && width > 2 * at.scale;
  column.coarse = static_cast<std::uint8_t>(coarse ? column.coarse + 1 : 0);
  if (column.coarse < most_coarse) return;
  column = {};
}

/// In a full channel a field takes the place of the rarest one, where it is in twice as many records.
void FieldsModel::admit() {
  if (rival_count_ == 0) return;
  const auto share = [](const Column& column) {
    const double all = total(column.past);
    return all > 0 ? 1 - column.past[absent] / all : 1;
  };
  const auto rarest = std::min_element(columns_.begin(), columns_.end(),
                                       [&](const Column& a, const Column& b) { return share(a) < share(b); });
  if (2 * share(*rarest) > static_cast<double>(rival_count_) / records_) return;
  *rarest = {};
  keys_[static_cast<std::size_t>(rarest - columns_.begin())] = rival_;
}

void FieldsModel::reject() {
  // Fields that it brought are forgotten.
  columns_.resize(learning() ? columns_.size() : settled_);
  next();
}

/// Begins the next block.
void FieldsModel::next() {
  // Compressing is dear: of the columns that had enough new words, one in turn is looked at.
  const std::uint32_t size = settled_ = static_cast<std::uint32_t>(columns_.size());
  for (std::uint32_t step = 1; step <= size; ++step) {
    const std::uint32_t at = (probe_ + step) % size;
    if (columns_[at].kind != Kind::words || counted(columns_[at])[other] < least_kept) continue;
    probe_ = at;
    break;
  }
  if (probe_ >= size) probe_ = 0;
  records_ = rival_count_ = kept_ = 0;
  news_.clear();
  for (Column& column : columns_) {
    column.now.fill(0);
    column.last = 0;
    column.full = false;
    for (std::size_t i = 0; column.worded() && i < (column.kind == Kind::words ? max_words : max_values); ++i) {
      if (column.known >> i & 1) continue;
      if (column.kind == Kind::words)
        column.words[i] = 0;
      else
        column.values[i] = nan;
    }
  }
}

std::size_t FieldsModel::memory() const { return sizeof *this + columns_.capacity() * sizeof(Column) + news_.capacity(); }

template <class Self, class Visitor>
void FieldsModel::visit(Self& self, Visitor& v) {
  v(self.records_), v(self.blocks_), v(self.settled_), v(self.probe_), v(self.kept_), v(self.rival_), v(self.rival_count_);
}

template <class Self, class Visitor>
void FieldsModel::visit_column(Self& c, Visitor& v) {
  for (auto& n : c.past) v(n);
  for (auto& n : c.now) v(n);
  v(c.last), v(c.coarse), v(c.known), v(c.blocks), v(c.novel_blocks);
  for (auto* usual : {&c.bits, &c.shift, &c.unseen, &c.novel}) v(usual->mean), v(usual->distance);
  v(c.scale), v(c.centre), v(c.before);
}

void FieldsModel::snapshot(std::vector<std::uint8_t>& out) const {
  StateWriter write(out);
  write(snapshot_version), write(block_);
  visit(*this, write);
  put(out, static_cast<std::uint8_t>(columns_.size()));
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const Column& column = columns_[i];
    write(keys_[i]), write(static_cast<std::uint8_t>(column.kind));
    visit_column(column, write);
    if (column.kind == Kind::words) {
      for (const std::uint32_t word : column.words) write(word);
    } else {
      // Empty places are no numbers.
      for (const double value : column.values) write(std::bit_cast<std::uint64_t>(value));
    }
  }
  put_bytes(out, news_);
}

bool FieldsModel::valid(const Column& c) const {
  std::uint32_t present = 0;
  for (std::size_t s = other; s < symbols; ++s) present += c.now[s];
  if (present > records_ || c.now[absent] != 0 || total(c.past) > most_parts || c.last >= symbols) return false;
  for (const Usual& usual : {c.bits, c.shift, c.unseen, c.novel})
    if (!(std::fabs(usual.mean) < 1e6f && usual.distance >= 0 && usual.distance < 1e6f)) return false;
  if (!(std::fabs(c.centre) <= 2 * largest_number && std::fabs(c.before) <= largest_number)) return false;
  if (!c.worded() && !(c.scale > 0 && c.scale < 1e31f)) return false;
  if ((c.blocks == 0) != (total(c.past) == 0)) return false;
  if (c.worded() && c.known >> (c.kind == Kind::words ? max_words : max_values) != 0) return false;
  for (std::size_t s = first_symbol + max_values; c.kind == Kind::values && s < symbols; ++s)
    if (c.past[s] > 0 || c.now[s] > 0) return false;
  return c.coarse < most_coarse && c.blocks <= many_blocks && c.novel_blocks <= many_blocks;
}

bool FieldsModel::restore(Bytes in) {
  StateReader read(in);
  if (read.get<std::uint8_t>() != snapshot_version || read.get<std::uint32_t>() != block_) return false;
  visit(*this, read);
  const std::size_t columns = read.get<std::uint8_t>();
  if (!read.ok() || columns > max_columns || settled_ > columns) return false;
  if (records_ >= block_ || rival_count_ > records_ || blocks_ > many_blocks) return false;
  for (std::size_t i = 0; i < columns; ++i) {
    if (columns_.size() == columns_.capacity()) columns_.reserve(std::min(max_columns, columns_.size() + 4));
    Column& column = columns_.emplace_back();
    read(keys_[i]);
    const auto kind = read.get<std::uint8_t>();
    visit_column(column, read);
    if (!read.ok() || kind > static_cast<std::uint8_t>(Kind::steps)) return false;
    column.kind = static_cast<Kind>(kind);
    if (column.kind == Kind::words) {
      for (std::uint32_t& word : column.words) read(word);
    } else {
      for (double& value : column.values) {
        value = std::bit_cast<double>(read.get<std::uint64_t>());
        if (std::fabs(value) > largest_number) return false;
      }
    }
    const auto own = keys_.begin() + static_cast<std::ptrdiff_t>(i);
    if (!valid(column) || std::find(keys_.begin(), own, keys_[i]) != own) return false;
  }
  const Bytes news = read.get_bytes();
  news_.assign(news.begin(), news.end());
  return read.done() && news.size() <= most_news && kept_ <= most_kept && probe_ < std::max<std::size_t>(1, columns);
}

}  // namespace driftlock
