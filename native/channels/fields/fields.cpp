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

constexpr std::uint8_t kSnapshotVersion = 2;

// The first symbols of a column. Words, values or bins follow.
constexpr std::uint8_t kAbsent = 0;
constexpr std::uint8_t kOther = 1;
constexpr std::uint8_t kFirstSymbol = 2;
/// The width of a bin in asinh((x - centre) / scale).
constexpr double kBinWidth = 0.5;
constexpr int kLastBin = 14;
constexpr std::uint8_t kMiddleBin = kFirstSymbol + kLastBin;

/// The weight of each symbol before any was seen, and that of all.
constexpr double kPrior = 0.05;
constexpr double kPriorOfAll = 256 * kPrior;

/// The number of records that the past weighs as much as. Its counts are kept in parts of a row, and coded in quarters.
constexpr std::uint32_t kRows = 192;
constexpr std::uint32_t kRowParts = 256;
constexpr std::uint32_t kQuarterParts = kRowParts / 4;
/// The number of blocks that fill the past, and the share of it that each later block replaces, as a divisor.
constexpr std::uint32_t kFillingBlocks = 4;
constexpr std::uint32_t kRememberedBlocks = 48;
/// The bound on all parts; rounding adds at most half a part per symbol and block.
constexpr std::uint32_t kMostParts = kRows * kRowParts + kRememberedBlocks * 32;

/// The number of blocks between checks of the bins, and how many times they are too wide before they are made anew.
constexpr std::uint32_t kLookAtBins = 8;
constexpr std::uint8_t kMostCoarse = 3;
constexpr std::size_t kLeastLookedAt = 12;

/// The new words of a block that are kept, and their bytes. Fewer words than the minimum are not judged by their
/// appearance: single odd words do not concern a block.
constexpr std::uint32_t kMostKept = 32;
constexpr std::uint32_t kLeastKept = 8;
constexpr std::size_t kKeptBytes = 16;
/// The bytes beyond them that are looked at for personal and secret values.
constexpr std::size_t kBeyondKept = 128;
/// The fewest digits of a number that is a value, and the fewest dots of an address.
constexpr std::ptrdiff_t kFewestDigits = 7, kFewestDots = 3;
constexpr std::size_t kMostNews = kMostKept * (1 + kKeptBytes);

/// The least spreads: bits per block, and bits per new word, that are not novel.
constexpr double kLeastBits = 4;
constexpr double kLeastNovelBits = 1;
constexpr double kSlowestRate = 1.0 / 64;
/// The most spreads by which a block moves the usual value, so that a few odd blocks do not hide others.
constexpr double kMostSpreads = 1.5;
constexpr std::uint32_t kManyBlocks = std::numeric_limits<std::uint32_t>::max() / 2;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kLargestNumber = 1e300;

/// The upper ends of the bins above the middle: sinh((k + 1/2) kBinWidth).
const std::array<double, kLastBin>& binEnds() {
  static const auto ends = [] {
    std::array<double, kLastBin> e;
    for (std::size_t k = 0; k < e.size(); ++k) {
      const double y = portableExp((static_cast<double>(k) + 0.5) * kBinWidth);
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
    for (std::size_t q = 4; q < at.size(); ++q) at[q] = at[q - 4] + portableLog2(c + static_cast<double>(q - 4) / 4);
  }
  double operator()(std::size_t quarters, std::size_t records) const { return at[quarters + 4 * records] - at[quarters]; }
};
static_assert(kMostParts / kQuarterParts + 32 + 4 * FieldsModel::kMaxBlock < 4 * 2 * 256);

struct CodeTables {
  RisingLog symbol{kPrior}, all{kPriorOfAll};
};

const CodeTables& codeTables() {
  static const CodeTables tables;
  return tables;
}

const Codec& openzl() {
  // This is OpenZL's lowest level: on some dozens of values the higher ones gain nothing. The codec is never freed,
  // because threads may still use it while the process exits.
  static const Codec* const codec = makeCodec(CodecName::Openzl, 1).release();
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

/// Computes the median, and the median distance from it. `values`, at least one, are replaced by their distances.
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

/// The place of the first of some words that is `word`; their number if none is. The comparisons become vector code, which has no
/// branches that depend on the place.
template <std::size_t Size>
std::size_t placeOf(std::uint32_t word, const std::array<std::uint32_t, Size>& words) {
  static_assert(Size < 32);
  static constexpr auto kBits = [] {
    std::array<std::uint32_t, Size> bits{};
    for (std::size_t i = 0; i < Size; ++i) bits[i] = 1u << i;
    return bits;
  }();
  std::uint32_t found = 0;
  for (std::size_t i = 0; i < Size; ++i) found |= (0 - static_cast<std::uint32_t>(words[i] == word)) & kBits[i];
  return found == 0 ? Size : static_cast<std::size_t>(std::countr_zero(found));
}

std::uint32_t wordOfNumber(double value) {
  const std::uint64_t bits = std::bit_cast<std::uint64_t>(value) * 0xd6e8feb86659fd93;
  return std::max<std::uint32_t>(1, static_cast<std::uint32_t>(bits >> 32));
}

}  // namespace

double FieldsModel::Usual::spread(std::uint32_t n, double floor) const {
  // 1.2533 is sqrt(pi / 2), which turns the mean distance of a normal law into its standard deviation; it is wider
  // while there are few blocks.
  return 1.2533 * distance * (1 + 4.0 / (n + 1)) + floor;
}

void FieldsModel::Usual::learn(double x, std::uint32_t n, double floor, bool lasting) {
  // What should become usual soon moves the mean; its distance from the mean is not representative.
  if (lasting) {
    mean = static_cast<float>(mean + (x - mean) / kFillingBlocks);
    return;
  }
  const double most = n < 2 ? std::numeric_limits<double>::infinity() : kMostSpreads * spread(n, floor);
  const double step = std::clamp(x - mean, -most, most);
  mean = static_cast<float>(mean + step * std::max(1.0 / (n + 1), kSlowestRate));
  if (n > 0) distance = static_cast<float>(distance + (std::fabs(step) - distance) * std::max(1.0 / n, kSlowestRate));
}

std::uint32_t FieldsModel::wordOf(std::uint64_t hash) {
  return std::max<std::uint32_t>(1, static_cast<std::uint32_t>(hash ^ hash >> 32));
}

/// Finds a key's column. Records tend to have the same fields in the same order, so the next column is tried first.
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
  if (size == kMaxColumns) {
    if (rivalCount_ == 0) rival_ = key;
    if (rival_ == key && !rivalSeen_) ++rivalCount_, rivalSeen_ = true;
    return nullptr;
  }
  if (size == columns_.capacity()) columns_.reserve(std::min(kMaxColumns, std::size_t{size} + 4));
  keys_[size] = key;
  guess_ = size + 1;
  present_ |= 1u << size;
  return &columns_.emplace_back();
}

/// Returns a free place for a symbol: an empty one, or else one whose word is in neither the past nor the block.
std::size_t FieldsModel::room(const Column& column, std::size_t places) {
  std::size_t forgotten = places;
  for (std::size_t i = 0; i < places; ++i) {
    if (column.now[kFirstSymbol + i] > 0) continue;
    if ((column.known >> i & 1) == 0) return i;
    if (forgotten == places && column.past[kFirstSymbol + i] == 0) forgotten = i;
  }
  return forgotten;
}

std::uint8_t FieldsModel::symbol(Column& column, std::uint32_t word) {
  if (column.last >= kFirstSymbol && column.words[column.last - kFirstSymbol] == word) return column.last;
  std::size_t at = placeOf(word, column.words);
  if (at == kMaxWords) {
    at = column.full ? kMaxWords : room(column, kMaxWords);
    column.full = at == kMaxWords;
    if (column.full) return column.last = kOther;
    column.words[at] = word;
    column.known &= ~(1u << at);
  }
  return column.last = static_cast<std::uint8_t>(kFirstSymbol + at);
}

void FieldsModel::word(std::uint64_t key, std::uint64_t hash, Bytes text) {
  Column* const c = column(key);
  if (c == nullptr) return;
  // This is a word in a column of numbers.
  const std::uint8_t s = c->kind == Kind::Words ? symbol(*c, wordOf(hash)) : kOther;
  ++c->now[s];
  const bool isNew = s == kOther || (c->known >> (s - kFirstSymbol) & 1) == 0;
  if (isNew && kept_ < kMostKept && c == &columns_[probe_]) keep(text);
}

void FieldsModel::keep(Bytes text) {
  const std::size_t size = std::min(text.size(), kKeptBytes), needed = news_.size() + size + 1;
  if (news_.capacity() < needed) news_.reserve(std::min(kMostNews, 2 * needed));
  ++kept_;
  thread_local std::vector<std::uint8_t> word;
  // What is masked may reach beyond what is kept.
  word.assign(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(std::min(text.size(), size + kBeyondKept)));
  // What has letters was masked before: see ContentScore::textOf.
  const auto digits = std::ranges::count_if(text.first(size), [](std::uint8_t c) { return c >= '0' && c <= '9'; });
  const auto dots = std::ranges::count(text.first(size), '.');
  if (masking_ && (digits >= kFewestDigits || dots >= kFewestDots || masking_->policy().hasDetectors()))
    masking_->blank(word, {});
  news_.insert(news_.end(), word.begin(), word.begin() + static_cast<std::ptrdiff_t>(size));
  news_.push_back('\n');
}

void FieldsModel::number(std::uint64_t key, double value) {
  Column* const c = column(key);
  if (c == nullptr) return;
  if (std::isnan(value)) {
    ++c->now[kOther];
    return;
  }
  value = std::clamp(value, -kLargestNumber, kLargestNumber);
  const bool first = c->blocks == 0 && std::all_of(c->now.begin(), c->now.end(), [](std::uint8_t n) { return n == 0; });
  if (first) {
    c->kind = Kind::Values;
    c->values.fill(kNan);
    c->before = value;
  }
  countNumber(*c, value);
  c->before = value;
}

void FieldsModel::countNumber(Column& c, double value) {
  if (c.kind == Kind::Words) {
    ++c.now[symbol(c, wordOfNumber(value))];
    return;
  }
  if (c.kind == Kind::Values) {
    std::size_t at = 0;
    while (at < kMaxValues && c.values[at] != value) ++at;
    if (at == kMaxValues && (at = room(c, kMaxValues)) < kMaxValues) {
      c.values[at] = value;
      c.known &= ~(1u << at);
    }
    if (at < kMaxValues) {
      ++c.now[kFirstSymbol + at];
      return;
    }
    toNumbers(c);
  }
  const double x = c.kind == Kind::Steps ? std::clamp(value - c.before, -kLargestNumber, kLargestNumber) : value;
  ++c.now[bin(c, x)];
  const std::uint32_t place = records_ * static_cast<std::uint32_t>(kMaxValues);
  if (c.blocks % kLookAtBins == 0 && place % block_ < kMaxValues) c.values[place / block_] = x;
}

std::uint8_t FieldsModel::bin(const Column& column, double value) {
  const auto& ends = binEnds();
  const double y = (value - column.centre) / column.scale, distance = std::fabs(y);
  int bin = 0;
  for (const double end : ends) bin += distance < end ? 0 : 1;
  return static_cast<std::uint8_t>(y < 0 ? kMiddleBin - bin : kMiddleBin + bin);
}

double FieldsModel::middle(const Column& column, std::uint8_t symbol) {
  const double y = portableExp((symbol - kMiddleBin) * kBinWidth);
  return column.centre + column.scale * (y - 1 / y) / 2;
}

/// Turns a column with too many distinct numbers for a symbol each into bins of them, or of their steps if they only rise.
void FieldsModel::toNumbers(Column& c) {
  // The values are in the order in which they came.
  std::array<Weighed, kMaxValues + 1> values;
  std::size_t back = 0;
  for (std::size_t i = 1; i < kMaxValues; ++i) back += c.values[i] < c.values[i - 1];
  // This is a counter or a clock; a step back means that it wrapped around, or that records overtook each other.
  const bool rising = back <= 1 && c.values[kMaxValues - 1] > c.values[0];
  const auto past = c.past;
  const auto now = c.now;
  const auto from = c.values;
  std::size_t n = 0;
  if (rising) {
    double zeros = 0;
    for (std::size_t i = 0; i < kMaxValues; ++i) {
      if (i > 0) values[n++] = {from[i] - from[i - 1], 1};
      zeros += std::max(0, now[kFirstSymbol + i] - 1);
    }
    if (zeros > 0) values[n++] = {0, zeros};
  } else {
    for (std::size_t i = 0; i < kMaxValues; ++i) {
      values[n++] = {from[i], static_cast<double>(past[kFirstSymbol + i]) + kRowParts * now[kFirstSymbol + i]};
    }
  }
  const Location at = locate({values.data(), n});
  c.kind = rising ? Kind::Steps : Kind::Numbers;
  c.centre = at.centre;
  c.scale = static_cast<float>(std::clamp(std::max(at.scale, std::fabs(at.centre) * 1e-9), 1e-30, 1e30));
  for (std::size_t s = kFirstSymbol; s < kSymbols; ++s) c.past[s] = c.now[s] = 0;
  for (std::size_t i = 0; i < kMaxValues; ++i) {
    const std::uint8_t count = now[kFirstSymbol + i];
    if (!rising) {
      const std::uint8_t s = bin(c, from[i]);
      c.past[s] = static_cast<std::uint16_t>(c.past[s] + past[kFirstSymbol + i]);
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
  // The usual cost of such symbols is not known yet.
  c.blocks = rising ? 0 : std::min(c.blocks, kFillingBlocks);
  c.bits = c.shift = c.unseen = {};
  c.values.fill(kNan);
}

bool FieldsModel::end() {
  present_ = guess_ = 0;
  rivalSeen_ = false;
  return ++records_ == block_;
}

std::uint32_t FieldsModel::total(const Counts& counts) { return std::accumulate(counts.begin(), counts.end(), 0u); }

FieldsModel::Counts FieldsModel::counted(const Column& column) const {
  Counts counts{};
  std::uint32_t present = 0;
  for (std::size_t s = kOther; s < kSymbols; ++s) {
    const bool isNew = column.worded() && s >= kFirstSymbol && (column.known >> (s - kFirstSymbol) & 1) == 0;
    counts[isNew ? kOther : s] = static_cast<std::uint16_t>(counts[isNew ? kOther : s] + column.now[s]);
    present += column.now[s];
  }
  counts[kAbsent] = static_cast<std::uint16_t>(records_ - present);
  return counts;
}

FieldsModel::Counts FieldsModel::baseline(const Column& column) {
  Counts quarters{};
  for (std::size_t s = 0; s < kSymbols; ++s) {
    quarters[s] = static_cast<std::uint16_t>((column.past[s] + kQuarterParts / 2) / kQuarterParts);
  }
  return quarters;
}

FieldsVerdict::Code FieldsModel::code(const Column& column) const {
  Counts past = baseline(column);
  if (fresh(column)) past[kAbsent] = 4 * kRows;
  const Counts now = counted(column);
  const auto& [symbol, all] = codeTables();
  const std::size_t n = records_;
  double given = all(total(past), n), alone = all(0, n);
  for (std::size_t s = 0; s < kSymbols; ++s) {
    if (now[s] == 0) continue;
    given -= symbol(past[s], now[s]);
    alone -= symbol(0, now[s]);
  }
  FieldsVerdict::Code code{.bits = given, .shift = given - alone};
  code.unseen = all(total(past), n) - symbol(past[kOther], now[kOther]) - symbol(total(past) - past[kOther], n - now[kOther]);
  code.hasNovel = &column == &columns_[probe_] && kept_ >= kLeastKept;
  if (code.hasNovel) code.novel = novelty();
  return code;
}

/// The number of bits per new word of the block.
double FieldsModel::novelty() const {
  // The words are compressed as one text: as a graph of strings, some dozens of words cost half as many bits again and
  // four times the time.
  static const double frame = static_cast<double>(openzl().compressedSize({}));
  return 8 * std::max(0.0, static_cast<double>(openzl().compressedSize(news_)) - frame) / kept_;
}

/// Updates the verdict if this column is the strangest so far.
void FieldsModel::score(const Column& column, FieldsVerdict& verdict, std::uint32_t index) const {
  const FieldsVerdict::Code& code = verdict.codes[index];
  const std::uint32_t past = fresh(column) ? kManyBlocks : column.blocks - kFillingBlocks;
  const double mix = std::max({std::fabs(code.bits - column.bits.mean) / column.bits.spread(past, kLeastBits),
                               (code.shift - column.shift.mean) / column.shift.spread(past, kLeastBits),
                               (code.unseen - column.unseen.mean) / column.unseen.spread(past, kLeastBits)});
  double novel = 0;
  if (code.hasNovel && column.novelBlocks >= kLearningBlocks - kFillingBlocks)
    novel = std::fabs(code.novel - column.novel.mean) / column.novel.spread(column.novelBlocks, kLeastNovelBits);
  if (verdict.judged && std::max(mix, novel) <= verdict.score) return;
  verdict.judged = true;
  verdict.column = index;
  verdict.score = std::max(mix, novel);
  verdict.novel = novel > mix;
  verdict.bits = verdict.novel ? code.novel : code.bits / records_;
  verdict.usualBits = verdict.novel ? column.novel.mean : column.bits.mean / records_;
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
  if (fresh(column)) past[kAbsent] = 4 * kRows;
  const Counts now = counted(column);
  const double n = records_, before = total(past);
  FieldFinding out{.key = keys_[verdict.column]};
  std::size_t rose = kSymbols, usual = kOther;
  double most = 0;
  for (std::size_t s = 0; s < kSymbols; ++s) {
    if (s >= kFirstSymbol && past[s] > past[usual]) usual = s;
    if (now[s] == 0 || (verdict.novel && s != kOther)) continue;
    const double share = now[s] / n, was = past[s] / before;
    const double worth = share * portableLog2(share / (was + 4 * kPrior / before));
    if (rose != kSymbols && worth <= most) continue;
    most = worth;
    rose = s;
    out.share = share;
    out.usualShare = was;
  }
  out.records = records_;
  out.novel = verdict.novel;
  using Found = FieldFinding::Kind;
  const std::size_t place = rose - kFirstSymbol;
  if (rose == kAbsent || rose == kOther) {
    out.kind = rose == kAbsent ? Found::Absent : Found::Unseen;
  } else if (column.kind == Kind::Words) {
    out.kind = Found::Word;
    out.word = column.words[place];
  } else {
    out.kind = column.kind == Kind::Values ? Found::Number : Found::Range;
    out.number = column.kind == Kind::Values ? column.values[place] : middle(column, static_cast<std::uint8_t>(rose));
  }
  if (column.kind == Kind::Words) {
    if (usual >= kFirstSymbol && past[usual] > 0) out.usualWord = column.words[usual - kFirstSymbol];
    return out;
  }
  tellRange(column, past, out);
  return out;
}

void FieldsModel::tellRange(const Column& column, const Counts& past, FieldFinding& out) {
  std::array<Weighed, kSymbols> numbers;
  double all = 0, below = 0;
  std::size_t size = 0;
  for (std::size_t s = kFirstSymbol; s < kSymbols; ++s) {
    if (past[s] == 0) continue;
    const bool value = column.kind == Kind::Values;
    numbers[size++] = {value ? column.values[s - kFirstSymbol] : middle(column, static_cast<std::uint8_t>(s)), 1.0 * past[s]};
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

const FieldsModel::Column& FieldsModel::columnOf(const FieldFinding& finding) const {
  const auto key = std::find(keys_.begin(), keys_.begin() + static_cast<std::ptrdiff_t>(columns_.size()), finding.key);
  return columns_[static_cast<std::size_t>(key - keys_.begin())];
}

bool FieldsModel::isNew(const Column& column, std::uint32_t word) {
  const std::size_t at = placeOf(word, column.words);
  return at == kMaxWords || (column.known >> at & 1) == 0;
}

bool FieldsModel::shows(const FieldFinding& finding, std::uint64_t hash) const {
  if (finding.kind == FieldFinding::Kind::Word) return wordOf(hash) == finding.word;
  if (finding.kind != FieldFinding::Kind::Unseen) return false;
  const Column& column = columnOf(finding);
  return column.kind != Kind::Words || isNew(column, wordOf(hash));
}

bool FieldsModel::shows(const FieldFinding& finding, double value) const {
  if (finding.kind == FieldFinding::Kind::Word) return wordOfNumber(value) == finding.word;
  if (finding.kind != FieldFinding::Kind::Unseen) return false;
  const Column& column = columnOf(finding);
  if (column.kind == Kind::Words) return isNew(column, wordOfNumber(value));
  if (column.kind != Kind::Values) return std::isnan(value);
  for (std::size_t i = 0; i < kMaxValues; ++i)
    if (column.values[i] == value) return (column.known >> i & 1) == 0;
  return true;
}

void FieldsModel::learn(const FieldsVerdict& verdict, bool lasting) {
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    Column& column = columns_[i];
    const FieldsVerdict::Code& code = verdict.codes[i];
    if (column.blocks >= kFillingBlocks) {
      const std::uint32_t past = column.blocks - kFillingBlocks;
      column.bits.learn(code.bits, past, kLeastBits, lasting);
      column.shift.learn(code.shift, past, kLeastBits, lasting);
      column.unseen.learn(code.unseen, past, kLeastBits, lasting);
    }
    if (code.hasNovel) column.novel.learn(code.novel, column.novelBlocks, kLeastNovelBits, lasting);
    if (code.hasNovel && column.novelBlocks < kManyBlocks) ++column.novelBlocks;
    take(column, lasting);
  }
  admit();
  ++blocks_;
  next();
}

/// Adds the block's counts to those of the past.
void FieldsModel::take(Column& column, bool lasting) {
  const bool fast = lasting || column.blocks < kFillingBlocks;
  const std::uint32_t parts = kRows * kRowParts / (fast ? kFillingBlocks : kRememberedBlocks);
  const std::uint32_t left = column.blocks < kFillingBlocks ? 0 : fast ? kFillingBlocks : kRememberedBlocks;
  std::uint32_t present = 0;
  for (std::size_t s = kOther; s < kSymbols; ++s) present += column.now[s];
  for (std::size_t s = 0; s < kSymbols; ++s) {
    const std::uint32_t here = s == kAbsent ? records_ - present : column.now[s];
    std::uint32_t past = column.past[s];
    // This is rounded up, so that symbols that no longer occur are forgotten in the end.
    if (left > 0) past -= (past + left - 1) / left;
    column.past[s] = static_cast<std::uint16_t>(past + (here * parts + records_ / 2) / records_);
    if (column.worded() && s >= kFirstSymbol && here > 0) column.known |= 1u << (s - kFirstSymbol);
  }
  if (column.blocks < kManyBlocks) ++column.blocks;
  if (!column.worded() && column.blocks % kLookAtBins == 1) look(column);
}

/// Checks whether the bins still fit; if not, the column begins anew.
void FieldsModel::look(Column& column) {
  std::array<Weighed, kMaxValues> values;
  std::size_t size = 0;
  for (const double value : column.values)
    if (!std::isnan(value)) values[size++] = {value, 1};
  column.values.fill(kNan);
  if (size < kLeastLookedAt) return;
  const Location at = locate({values.data(), size});
  const double away = (at.centre - column.centre) / column.scale;
  const double width = kBinWidth * column.scale * std::sqrt(1 + away * away);
  const bool coarse = at.scale > 0 && width > 2 * at.scale;
  column.coarse = static_cast<std::uint8_t>(coarse ? column.coarse + 1 : 0);
  if (column.coarse < kMostCoarse) return;
  column = {};
}

/// In a full channel, lets a field replace the rarest one if it is in twice as many records.
void FieldsModel::admit() {
  if (rivalCount_ == 0) return;
  const auto share = [](const Column& column) {
    const double all = total(column.past);
    return all > 0 ? 1 - column.past[kAbsent] / all : 1;
  };
  const auto rarest =
      std::min_element(columns_.begin(), columns_.end(), [&](const Column& a, const Column& b) { return share(a) < share(b); });
  if (2 * share(*rarest) > static_cast<double>(rivalCount_) / records_) return;
  *rarest = {};
  keys_[static_cast<std::size_t>(rarest - columns_.begin())] = rival_;
}

void FieldsModel::forget(std::uint64_t key) {
  const auto at = static_cast<std::size_t>(std::find(keys_.begin(), keys_.begin() + columns_.size(), key) - keys_.begin());
  if (at < columns_.size()) columns_[at] = {};
}

void FieldsModel::reject() {
  // Fields that came with the block are forgotten.
  columns_.resize(learning() ? columns_.size() : settled_);
  next();
}

/// Begins the next block.
void FieldsModel::next() {
  // Compressing is expensive: of the columns with enough new words, one is examined in turn.
  const std::uint32_t size = settled_ = static_cast<std::uint32_t>(columns_.size());
  for (std::uint32_t step = 1; step <= size; ++step) {
    const std::uint32_t at = (probe_ + step) % size;
    if (columns_[at].kind != Kind::Words || counted(columns_[at])[kOther] < kLeastKept) continue;
    probe_ = at;
    break;
  }
  if (probe_ >= size) probe_ = 0;
  records_ = rivalCount_ = kept_ = 0;
  news_.clear();
  for (Column& column : columns_) {
    column.now.fill(0);
    column.last = 0;
    column.full = false;
    for (std::size_t i = 0; column.worded() && i < (column.kind == Kind::Words ? kMaxWords : kMaxValues); ++i) {
      if (column.known >> i & 1) continue;
      if (column.kind == Kind::Words) column.words[i] = 0;
      else column.values[i] = kNan;
    }
  }
}

std::size_t FieldsModel::memory() const { return sizeof *this + columns_.capacity() * sizeof(Column) + news_.capacity(); }

template <class Self, class Visitor>
void FieldsModel::visit(Self& self, Visitor& v) {
  v(self.records_), v(self.blocks_), v(self.settled_), v(self.probe_), v(self.kept_), v(self.rival_), v(self.rivalCount_);
}

template <class Self, class Visitor>
void FieldsModel::visitColumn(Self& c, Visitor& v) {
  for (auto& n : c.past) v(n);
  for (auto& n : c.now) v(n);
  v(c.last), v(c.coarse), v(c.known), v(c.blocks), v(c.novelBlocks);
  for (auto* usual : {&c.bits, &c.shift, &c.unseen, &c.novel}) v(usual->mean), v(usual->distance);
  v(c.scale), v(c.centre), v(c.before);
}

void FieldsModel::snapshot(std::vector<std::uint8_t>& out) const {
  StateWriter write(out);
  write(kSnapshotVersion), write(block_);
  visit(*this, write);
  put(out, static_cast<std::uint8_t>(columns_.size()));
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const Column& column = columns_[i];
    write(keys_[i]), write(static_cast<std::uint8_t>(column.kind));
    visitColumn(column, write);
    if (column.kind == Kind::Words) {
      for (const std::uint32_t word : column.words) write(word);
    } else {
      // Empty places hold NaN, so the bits are written.
      for (const double value : column.values) write(std::bit_cast<std::uint64_t>(value));
    }
  }
  putBytes(out, news_);
}

bool FieldsModel::valid(const Column& c) const {
  std::uint32_t present = 0;
  for (std::size_t s = kOther; s < kSymbols; ++s) present += c.now[s];
  if (present > records_ || c.now[kAbsent] != 0 || total(c.past) > kMostParts || c.last >= kSymbols) return false;
  for (const Usual& usual : {c.bits, c.shift, c.unseen, c.novel})
    if (!(std::fabs(usual.mean) < 1e6f && usual.distance >= 0 && usual.distance < 1e6f)) return false;
  if (!(std::fabs(c.centre) <= 2 * kLargestNumber && std::fabs(c.before) <= kLargestNumber)) return false;
  if (!c.worded() && !(c.scale > 0 && c.scale < 1e31f)) return false;
  if ((c.blocks == 0) != (total(c.past) == 0)) return false;
  if (c.worded() && c.known >> (c.kind == Kind::Words ? kMaxWords : kMaxValues) != 0) return false;
  for (std::size_t s = kFirstSymbol + kMaxValues; c.kind == Kind::Values && s < kSymbols; ++s)
    if (c.past[s] > 0 || c.now[s] > 0) return false;
  return c.coarse < kMostCoarse && c.blocks <= kManyBlocks && c.novelBlocks <= kManyBlocks;
}

bool FieldsModel::restore(Bytes in) {
  StateReader read(in);
  if (read.get<std::uint8_t>() != kSnapshotVersion || read.get<std::uint32_t>() != block_) return false;
  visit(*this, read);
  const std::size_t columns = read.get<std::uint8_t>();
  if (!read.ok() || columns > kMaxColumns || settled_ > columns) return false;
  if (records_ > block_ || rivalCount_ > records_ || blocks_ > kManyBlocks) return false;
  for (std::size_t i = 0; i < columns; ++i) {
    if (columns_.size() == columns_.capacity()) columns_.reserve(std::min(kMaxColumns, columns_.size() + 4));
    Column& column = columns_.emplace_back();
    read(keys_[i]);
    const auto kind = read.get<std::uint8_t>();
    visitColumn(column, read);
    if (!read.ok() || kind > static_cast<std::uint8_t>(Kind::Steps)) return false;
    column.kind = static_cast<Kind>(kind);
    if (column.kind == Kind::Words) {
      for (std::uint32_t& word : column.words) read(word);
    } else {
      for (double& value : column.values) {
        value = std::bit_cast<double>(read.get<std::uint64_t>());
        if (std::fabs(value) > kLargestNumber) return false;
      }
    }
    const auto own = keys_.begin() + static_cast<std::ptrdiff_t>(i);
    if (!valid(column) || std::find(keys_.begin(), own, keys_[i]) != own) return false;
  }
  const Bytes news = read.getBytes();
  news_.assign(news.begin(), news.end());
  return read.done() && news.size() <= kMostNews && kept_ <= kMostKept && probe_ < std::max<std::size_t>(1, columns);
}

}  // namespace driftlock
