#include "channels/content/prose.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "base/portable_math.hpp"
#include "base/state_bytes.hpp"
#include "base/work.hpp"
#include "channels/content/slots.hpp"

namespace driftlock {
namespace {

/// The orders that are counted at the places where the last three bytes are the same.
constexpr std::size_t kLongest = 5, kShortest = 3;
/// The most such places that are looked at, latest first.
constexpr int kMostPlaces = 64;
constexpr double kDiscount = 0.5;

/// An index of a dictionary's text.
struct Index {
  std::uint64_t owner = 0;
  /// The owner's rewrites when the index was begun, and how much of the text it contains.
  std::uint64_t rewrites = 0;
  std::size_t size = 0;

  /// The place after the latest occurrence of three bytes, by their hash, and for each place the one before; 0 is none.
  std::array<std::uint16_t, 65'536> latest, before;
  /// How often a byte follows another one, by both, and how many bytes follow a byte, and how many different ones.
  std::array<std::uint16_t, 65'536> pairs;
  std::array<std::uint32_t, 256> followers, distinct;
  /// How often each byte occurs, and how many different ones do.
  std::array<std::uint32_t, 256> singles;
  std::uint32_t alphabet = 0;

  void clear() {
    latest.fill(0), pairs.fill(0), followers.fill(0), distinct.fill(0), singles.fill(0);
    alphabet = 0;
    size = 0;
  }

  static std::size_t hashOf(const std::uint8_t* end) {
    const std::uint32_t three = end[-1] | std::uint32_t{end[-2]} << 8 | std::uint32_t{end[-3]} << 16;
    return three * 0x9E3779B1u >> 16;
  }

  /// Brings the index up to the whole text. It is a function of the text alone, however the text came about.
  void extend(Bytes text) {
    countWork(text.size() - size);
    for (std::size_t i = size; i < text.size(); ++i) {
      const std::uint8_t byte = text[i];
      alphabet += singles[byte]++ == 0;
      if (i == 0) continue;
      const std::uint8_t last = text[i - 1];
      distinct[last] += pairs[std::size_t{last} << 8 | byte]++ == 0;
      ++followers[last];
      if (i < kShortest) continue;
      std::uint16_t& head = latest[hashOf(&text[i])];
      before[i] = head;
      head = static_cast<std::uint16_t>(i);
    }
    size = text.size();
  }
};

Index& indexOf(const Dictionary& dictionary, std::uint32_t& hint) {
  thread_local Slots<Index, 4> indexes;
  Index& index = indexes.find(dictionary.name(), hint);
  if (index.owner != dictionary.name() || index.rewrites != dictionary.rewrites()) {
    index.owner = dictionary.name();
    index.rewrites = dictionary.rewrites();
    index.clear();
  }
  index.extend(dictionary.text());
  return index;
}

/// The bytes that follow a context: how many, how many different ones, and how often the byte in question does.
struct Counts {
  std::uint32_t all = 0, distinct = 0, own = 0;

  double blend(double shorter) const {
    if (all == 0) return shorter;
    return (std::max(own - kDiscount, 0.0) + kDiscount * distinct * shorter) / all;
  }
};

/// Counts what follows the contexts of three to five bytes before `at`, of which there are at most `length`.
std::array<Counts, kLongest - kShortest + 1> countPlaces(const Index& index, Bytes text, const std::uint8_t* at,
                                                         std::size_t length) {
  std::array<Counts, kLongest - kShortest + 1> counts;
  std::array<std::array<std::uint64_t, 4>, kLongest - kShortest + 1> seen{};
  int places = 0;
  for (std::size_t place = index.latest[Index::hashOf(at)]; place != 0 && places < kMostPlaces; place = index.before[place]) {
    ++places;
    std::size_t same = 0;
    while (same < length && same < place && text[place - 1 - same] == at[-1 - static_cast<std::ptrdiff_t>(same)]) ++same;
    const std::uint8_t next = text[place];
    for (std::size_t order = kShortest; order <= same; ++order) {
      Counts& count = counts[order - kShortest];
      std::uint64_t& set = seen[order - kShortest][next / 64];
      const std::uint64_t bit = std::uint64_t{1} << next % 64;
      ++count.all;
      count.distinct += (set & bit) == 0;
      count.own += next == *at;
      set |= bit;
    }
  }
  countWork(static_cast<std::size_t>(places));
  return counts;
}

}  // namespace

void codeLengths(Bytes line, const Dictionary& dictionary, std::uint32_t& hint, std::vector<double>& bits) {
  const Bytes text = dictionary.text();
  const Index& index = indexOf(dictionary, hint);
  thread_local std::vector<std::uint8_t> source;
  source.assign(1, '\n');
  source.insert(source.end(), line.begin(), line.end());
  bits.resize(line.size());
  for (std::size_t i = 1; i < source.size(); ++i) {
    const std::uint8_t byte = source[i], last = source[i - 1];
    double p = Counts{static_cast<std::uint32_t>(text.size()), index.alphabet, index.singles[byte]}.blend(1.0 / 256);
    p = Counts{index.followers[last], index.distinct[last], index.pairs[std::size_t{last} << 8 | byte]}.blend(p);
    if (i >= kShortest) {
      for (const Counts& counts : countPlaces(index, text, &source[i], std::min(i, kLongest))) p = counts.blend(p);
    }
    bits[i - 1] = -portableLog2(p);
  }
}

LiteralRun costliestRun(const double* bits, std::size_t size, std::size_t length) {
  double run = 0, most = 0;
  std::size_t end = std::min(size, length);
  for (std::size_t i = 0; i < size; ++i) {
    run += bits[i] - (i >= length ? bits[i - length] : 0);
    if (i + 1 >= length && run > most) most = run, end = i + 1;
  }
  return {static_cast<std::uint32_t>(end - std::min(size, length)), static_cast<std::uint32_t>(end)};
}

ProseCost proseCost(const double* bits, std::size_t size) {
  const auto mean = [&](std::size_t from, std::size_t to) {
    return from == to ? 0 : std::accumulate(bits + from, bits + to, 0.0) / static_cast<double>(to - from);
  };
  const LiteralRun worst = costliestRun(bits, size, kProseRun);
  return {mean(0, size), mean(worst.start, worst.end)};
}

LiteralRun costliestPart(const double* bits, Bytes text, double threshold) {
  double sum = 0, most = 0;
  std::size_t start = 0, from = 0, to = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (sum <= 0) sum = 0, start = i;
    sum += bits[i] - threshold;
    if (sum > most) most = sum, from = start, to = i + 1;
  }
  if (from == to) return {};
  while (from > 0 && text[from - 1] != ' ' && text[from - 1] != '\n') --from;
  while (to < text.size() && text[to] != ' ' && text[to] != '\n') ++to;
  return {static_cast<std::uint32_t>(from), static_cast<std::uint32_t>(to)};
}

bool isProse(Bytes text) {
  constexpr std::size_t kShortestProse = 16;
  if (text.size() < kShortestProse) return false;
  std::size_t letters = 0, spaces = 0, beyondAscii = 0;
  for (const std::uint8_t c : text) {
    spaces += c == ' ' || c == '\n';
    beyondAscii += c >= 0x80;
    letters += (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
  }
  // Six bytes of seven, and a space in at most sixteen, unless the script has none.
  return 7 * (letters + spaces + beyondAscii) >= 6 * text.size() && 16 * spaces + 2 * beyondAscii >= text.size();
}

const ProseFields::Field* ProseFields::find(std::uint64_t key) const {
  const auto found = std::ranges::find(fields_, key, &Field::key);
  return found != fields_.end() && found->prose ? &*found : nullptr;
}

void ProseFields::count(std::uint64_t key, bool newProse) {
  auto found = std::ranges::find(fields_, key, &Field::key);
  if (newProse) {
    if (found == fields_.end()) {
      if (fields_.size() == kMostFields) return;
      fields_.push_back({.key = key});
      found = fields_.end() - 1;
    }
    if (found->evidence < kMostEvidence) ++found->evidence;
    found->prose |= found->evidence >= kEnoughEvidence;
  } else if (found != fields_.end() && --found->evidence == 0) {
    fields_.erase(found);
  }
}

void ProseFields::learn(std::uint64_t key, const ProseCost& cost) {
  const auto found = std::ranges::find(fields_, key, &Field::key);
  if (found == fields_.end()) return;
  found->values = std::min(found->values + 1, kEnoughValues);
  found->usual.mean += (cost.mean - found->usual.mean) / found->values;
  found->usual.worst += (cost.worst - found->usual.worst) / found->values;
}

void ProseFields::snapshot(std::vector<std::uint8_t>& out) const {
  StateWriter write(out);
  put(out, static_cast<std::uint8_t>(fields_.size()));
  for (const Field& field : fields_) Field::visit(field, write);
}

bool ProseFields::restore(Bytes in) {
  StateReader read(in);
  const auto size = read.get<std::uint8_t>();
  if (size > kMostFields) return false;
  fields_.resize(size);
  for (Field& field : fields_) {
    Field::visit(field, read);
    const bool finite = std::isfinite(field.usual.mean) && std::isfinite(field.usual.worst);
    if (!finite || field.evidence == 0 || field.evidence > kMostEvidence || field.values > kEnoughValues) return false;
  }
  return read.done();
}

}  // namespace driftlock
