#include "channels/sequence/sequence.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>

#include "base/portable_math.hpp"
#include "base/state_bytes.hpp"

namespace driftlock {
namespace {

constexpr int kOrders = 3;
constexpr std::uint32_t kBeginning = 0xFFFFFFFEu;
constexpr std::uint32_t kOrderMask = 3;
constexpr std::uint32_t kUsedBit = 4;
constexpr std::uint32_t kIdentity = ~kUsedBit;
/// The most successors of a context of order 1 to 3. It bounds the work of exclusion; a context with more predicts little anyway.
constexpr std::uint32_t kMaxFanOut = 128;
/// The total at which a context's counts are halved, so that it follows a changing stream.
constexpr std::uint16_t kMaxTotal = 32768;
/// The number of places of an id at which the numbers of all are halved.
constexpr std::uint8_t kMostPlaces = 255;
/// The number of learnt costs over which the mean is taken.
constexpr std::uint64_t kMeanMemory = 2048;
/// The bits above the mean from which a cost counts against a session.
constexpr double kSlack = 2;
constexpr std::uint8_t kSnapshotVersion = 2;
/// The size of the tables of a model that has learnt nothing. They double while more than seven eighths of them are used.
constexpr std::uint32_t kSmallest = 16;

constexpr std::uint64_t mix(std::uint64_t x) {  // the finaliser of SplitMix64
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

/// The keys of a context's suffixes, from order 1 to its length.
struct Keys {
  std::array<std::uint32_t, kOrders + 1> key;
  int longest;
  explicit Keys(const SequenceContext& context) : longest(std::min<int>(context.length, kOrders)) {
    std::uint64_t hash = 0x5EC0;
    for (int k = 1; k <= longest; ++k) {
      hash = mix(hash ^ context.ids[k - 1]);
      key[k] = (static_cast<std::uint32_t>(hash >> 32) & ~(kUsedBit | kOrderMask)) | static_cast<std::uint32_t>(k);
    }
  }
};

/// The ids seen in longer contexts: at most `orders` times the fan-out.
class Excluded {
 public:
  bool contains(std::uint32_t id) const {
    if (size_ == 0) return false;
    for (std::uint32_t i = slot(id); used_[i / 64] >> (i % 64) & 1; i = (i + 1) & (kCapacity - 1))
      if (table_[i] == id) return true;
    return false;
  }
  void add(std::uint32_t id) {
    if (size_ == 0) used_.fill(0);
    std::uint32_t i = slot(id);
    for (; used_[i / 64] >> (i % 64) & 1; i = (i + 1) & (kCapacity - 1))
      if (table_[i] == id) return;
    used_[i / 64] |= std::uint64_t{1} << (i % 64);
    table_[i] = id;
    ids_[size_++] = id;
  }
  const std::uint32_t* begin() const { return ids_.data(); }
  const std::uint32_t* end() const { return ids_.data() + size_; }

 private:
  static constexpr std::uint32_t kCapacity = 1024;
  static_assert(kOrders * kMaxFanOut < kCapacity / 2);
  static std::uint32_t slot(std::uint32_t id) { return (id * 0x9E3779B1u) >> 22; }
  std::array<std::uint32_t, kOrders * kMaxFanOut> ids_;
  std::array<std::uint32_t, kCapacity> table_;
  std::array<std::uint64_t, kCapacity / 64> used_;
  std::uint32_t size_ = 0;
};

/// portableLog2 of a number of ids, which is small for most sessions.
double log2OfCount(std::uint32_t count) {
  static const auto logarithms = [] {
    std::array<double, 64> all;
    for (std::size_t n = 0; n < all.size(); ++n) all[n] = portableLog2(static_cast<double>(n));
    return all;
  }();
  return count < logarithms.size() ? logarithms[count] : portableLog2(count);
}

/// The size of a table that has grown to hold so many entries.
std::size_t sizeFor(std::uint32_t entries) {
  std::size_t size = kSmallest;
  while (entries > size - size / 8) size *= 2;
  return size;
}

}  // namespace

void SequenceContext::push(std::uint32_t id) {
  ids[2] = ids[1];
  ids[1] = ids[0];
  ids[0] = std::min(id, kLargestId);
  length = static_cast<std::uint8_t>(std::min<int>(length + 1, kOrders));
}

SequenceModel::SequenceModel(SequenceLimits limits) : limits_(limits) {
  limits_.contexts = std::bit_ceil(std::clamp<std::uint32_t>(limits.contexts, 16, 32768));
  limits_.successors = std::clamp<std::uint32_t>(limits.successors, 64, 65534);
  limits_.alphabet = std::bit_ceil(std::clamp<std::uint32_t>(limits.alphabet, 16, 32768));
  slots_.resize(kSmallest);
  ids_.resize(kSmallest);
  idCounts_.resize(kSmallest);
  idPlaces_.resize(kSmallest);
  freeSlots_ = limits_.contexts;
  freeNodes_ = limits_.successors;
}

std::size_t SequenceModel::memory() const {
  return sizeof *this + slots_.capacity() * sizeof(Slot) + nodes_.capacity() * sizeof(Node) +
         ids_.capacity() * sizeof(std::uint32_t) + idCounts_.capacity() * sizeof(std::uint16_t) + idPlaces_.capacity();
}

/// Finds the place of `key`, or the free place where it would go. There is always a free place.
std::uint32_t SequenceModel::find(std::uint32_t key) const {
  const auto mask = static_cast<std::uint32_t>(slots_.size() - 1);
  for (std::uint32_t i = (key * 0x9E3779B1u) >> 7;; ++i) {
    const Slot& slot = slots_[i & mask];
    if (slot.key == 0 || (slot.key & kIdentity) == key) return i & mask;
  }
}

double SequenceModel::probability(const SequenceContext& context, std::uint32_t id) const {
  const Keys keys(context);
  Excluded excluded;
  double escaped = 1;
  for (int k = keys.longest; k >= 1; --k) {
    const Slot& slot = slots_[find(keys.key[k])];
    std::uint32_t total = 0, distinct = 0, count = 0;
    for (std::uint16_t n = slot.head; n != 0; n = nodes_[n - 1].next) {
      const Node& node = nodes_[n - 1];
      if (excluded.contains(node.id)) continue;
      total += node.count;
      ++distinct;
      if (node.id == id) count = node.count;
    }
    if (distinct == 0) continue;
    const double whole = total + distinct;
    if (count != 0) return escaped * count / whole;
    escaped *= distinct / whole;
    for (std::uint16_t n = slot.head; n != 0; n = nodes_[n - 1].next) excluded.add(nodes_[n - 1].id);
  }
  std::uint32_t total = idTotal_, once = idsOnce_, places = placesTotal_;
  for (const std::uint32_t other : excluded) {
    const std::uint32_t at = findId(other);
    const std::uint16_t count = idCounts_[at];
    total -= count;
    once -= count == 1;
    if (count != 0) places -= idPlaces_[at];
  }
  if (total == 0) return escaped;
  const double escape = once + 1;
  const std::uint32_t at = findId(id);
  if (idCounts_[at] == 0) return escaped * escape / (total + escape);
  return escaped * total / (total + escape) * idPlaces_[at] / places;
}

double SequenceModel::cost(const SequenceContext& context, std::uint32_t id) const {
  return -portableLog2(probability(context, std::min(id, kLargestId)));
}

double SequenceModel::endCost(const SequenceContext& context) const { return -portableLog2(probability(context, kEndOfSession)); }

double SequenceModel::novelty(const SequenceContext& context) const { return probability(context, kBeginning); }

std::vector<ExpectedId> SequenceModel::expected(const SequenceContext& context, std::size_t limit) const {
  const Keys keys(context);
  Excluded excluded;
  double escaped = 1;
  std::vector<ExpectedId> all;
  for (int k = keys.longest; k >= 0; --k) {
    const std::size_t first = all.size();
    double total = 0, weights = 0, once = 0;
    const auto see = [&](std::uint32_t id, std::uint16_t count, std::uint16_t weight) {
      if (count == 0 || excluded.contains(id)) return;
      total += count;
      weights += weight;
      once += count == 1;
      all.push_back({id, static_cast<double>(weight)});
    };
    if (k > 0)
      for (std::uint16_t n = slots_[find(keys.key[k])].head; n != 0; n = nodes_[n - 1].next)
        see(nodes_[n - 1].id, nodes_[n - 1].count, nodes_[n - 1].count);
    else
      for (std::size_t i = 0; i < ids_.size(); ++i) see(ids_[i], idCounts_[i], idPlaces_[i]);
    if (all.size() == first) continue;
    const double escape = k == 0 ? once + 1 : static_cast<double>(all.size() - first);
    for (std::size_t i = first; i < all.size(); ++i) {
      if (k > 0) excluded.add(all[i].id);
      all[i].probability *= escaped * total / (total + escape) / weights;
    }
    escaped *= escape / (total + escape);
  }
  std::sort(all.begin(), all.end(), [](const ExpectedId& a, const ExpectedId& b) {
    return a.probability != b.probability ? a.probability > b.probability : a.id < b.id;
  });
  if (all.size() > limit) all.resize(limit);
  return all;
}

void SequenceModel::learn(SequenceContext& context, std::uint32_t id, double bits) {
  update(context, std::min(id, kLargestId), bits);
  context.push(id);
}

void SequenceModel::learnEnd(const SequenceContext& context, double bits) { update(context, kEndOfSession, bits); }

/// Applies update exclusion: the contexts that did not predict the id learn it, and the longest one that did. Order 0
/// always learns, because it also estimates how often anything new comes.
void SequenceModel::update(const SequenceContext& context, std::uint32_t id, double bits) {
  const Keys keys(context);
  int k = keys.longest;
  while (k >= 1 && !add(keys.key[k], id)) --k;
  addId(id, k == 0);
  ++learnt_;
  meanCost_ += (bits - meanCost_) / static_cast<double>(std::min(learnt_, kMeanMemory));
}

/// Finds the place of `id` in the alphabet, or the free place where it would go.
std::uint32_t SequenceModel::findId(std::uint32_t id) const {
  const auto mask = static_cast<std::uint32_t>(ids_.size() - 1);
  std::uint32_t i = (id * 0x9E3779B1u) >> 7 & mask;
  while (idCounts_[i] != 0 && ids_[i] != id) i = (i + 1) & mask;
  return i;
}

void SequenceModel::addId(std::uint32_t id, bool elsewhere) {
  std::uint32_t at = findId(id);
  if (idCounts_[at] == 0) {
    const std::uint32_t most = limits_.alphabet - limits_.alphabet / 8;
    if (knownIds_ >= most) {
      while (knownIds_ > most - most / 4) halveAlphabet();
      at = findId(id);
    } else if (knownIds_ >= ids_.size() - ids_.size() / 8) {
      growAlphabet(2 * ids_.size());
      at = findId(id);
    }
    ids_[at] = id;
    idPlaces_[at] = 0;
    elsewhere = true;
    ++knownIds_;
    ++idsOnce_;
  } else {
    idsOnce_ -= idCounts_[at] == 1;
  }
  ++idCounts_[at];
  if (elsewhere) {
    ++placesTotal_;
    if (++idPlaces_[at] == kMostPlaces) halvePlaces();
  }
  if (++idTotal_ >= kMaxTotal) halveAlphabet();
}

/// Gives the table of the alphabet another size.
void SequenceModel::growAlphabet(std::size_t size) {
  std::vector<std::uint32_t> ids(size);
  std::vector<std::uint16_t> counts(size);
  std::vector<std::uint8_t> places(size);
  ids.swap(ids_);
  counts.swap(idCounts_);
  places.swap(idPlaces_);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (counts[i] == 0) continue;
    const std::uint32_t at = findId(ids[i]);
    ids_[at] = ids[i];
    idCounts_[at] = counts[i];
    idPlaces_[at] = places[i];
  }
}

/// Halves the counts of the alphabet, and drops ids seen once.
void SequenceModel::halveAlphabet() {
  std::vector<std::uint32_t> ids(ids_.size());
  std::vector<std::uint16_t> counts(idCounts_.size());
  std::vector<std::uint8_t> places(idPlaces_.size());
  ids.swap(ids_);
  counts.swap(idCounts_);
  places.swap(idPlaces_);
  knownIds_ = idTotal_ = idsOnce_ = placesTotal_ = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const std::uint16_t count = counts[i] / 2;
    if (count == 0) continue;
    const std::uint32_t at = findId(ids[i]);
    ids_[at] = ids[i];
    idCounts_[at] = count;
    idPlaces_[at] = places[i];
    ++knownIds_;
    idTotal_ += count;
    idsOnce_ += count == 1;
    placesTotal_ += places[i];
  }
}

/// Halves the numbers of places, of which each known id keeps at least one.
void SequenceModel::halvePlaces() {
  placesTotal_ = 0;
  for (std::size_t i = 0; i < idPlaces_.size(); ++i) {
    if (idCounts_[i] == 0) continue;
    idPlaces_[i] = static_cast<std::uint8_t>((idPlaces_[i] + 1) / 2);
    placesTotal_ += idPlaces_[i];
  }
}

/// Counts `id` in a context. Returns true if it was known there.
bool SequenceModel::add(std::uint32_t key, std::uint32_t id) {
  std::uint32_t at = find(key);
  if (slots_[at].key == 0) {
    if (freeSlots_ <= limits_.contexts / 8) {  // the table stays open enough for short probes
      makeRoom();
      at = find(key);
    }
    if (limits_.contexts - freeSlots_ >= slots_.size() - slots_.size() / 8) {
      growContexts();
      at = find(key);
    }
    slots_[at].key = key;
    --freeSlots_;
  }
  Slot* slot = &slots_[at];
  slot->key |= kUsedBit;
  std::uint32_t distinct = 0;
  for (std::uint16_t* link = &slot->head; *link != 0; link = &nodes_[*link - 1].next) {
    ++distinct;
    Node& node = nodes_[*link - 1];
    if (node.id != id) continue;
    ++node.count;
    ++slot->total;
    const std::uint16_t found = *link;  // moved to the front: frequent successors are found soon
    *link = node.next;
    node.next = slot->head;
    slot->head = found;
    if (slot->total >= kMaxTotal) halve(*slot);
    return true;
  }
  while (distinct >= kMaxFanOut) distinct = halve(*slot);
  if (freeNodes_ == 0) {
    makeRoom();
    slot = &slots_[find(key)];
    if (slot->key == 0) --freeSlots_;
    slot->key = key | kUsedBit;
  }
  slot->head = take({id, 1, slot->head});
  ++slot->total;
  if (slot->total >= kMaxTotal) halve(*slot);
  return false;
}

/// Takes a free node, of which there is one, for a successor. Returns 1 + its index.
std::uint16_t SequenceModel::take(Node successor) {
  --freeNodes_;
  if (free_ != 0) {
    const std::uint16_t at = free_;
    free_ = std::exchange(nodes_[at - 1], successor).next;
    return at;
  }
  if (nodes_.size() == nodes_.capacity()) {
    nodes_.reserve(std::min<std::size_t>(std::max<std::size_t>(2 * nodes_.size(), kSmallest), limits_.successors));
  }
  nodes_.push_back(successor);
  return static_cast<std::uint16_t>(nodes_.size());
}

/// Halves a context's counts, drops successors seen once, and returns how many are left.
std::uint32_t SequenceModel::halve(Slot& slot) {
  std::uint32_t left = 0;
  slot.total = 0;
  for (std::uint16_t* link = &slot.head; *link != 0;) {
    Node& node = nodes_[*link - 1];
    node.count /= 2;
    if (node.count == 0) {
      const std::uint16_t gone = *link;
      *link = node.next;
      node.next = free_;
      free_ = gone;
      ++freeNodes_;
    } else {
      slot.total = static_cast<std::uint16_t>(slot.total + node.count);
      ++left;
      link = &node.next;
    }
  }
  return left;
}

/// Frees at least a quarter of the contexts and of the successors. It makes only whole passes, so that the outcome does
/// not depend on where in the table a context lies.
void SequenceModel::makeRoom() {
  const auto enough = [&] {
    return freeSlots_ >= limits_.contexts / 8 + limits_.contexts / 4 && freeNodes_ >= limits_.successors / 4;
  };
  const auto halveOrder = [&](std::uint32_t order) {
    sweep([&](Slot& slot) {
      if ((slot.key & kOrderMask) == order) halve(slot);
    });
  };
  for (std::uint32_t order = kOrders; order >= 1 && !enough(); --order)
    sweep([&](Slot& slot) {
      if ((slot.key & kOrderMask) == order && (slot.key & kUsedBit) == 0)
        while (halve(slot) != 0) {
        }
    });
  for (int round = 0; round < std::bit_width(kMaxTotal) && !enough(); ++round)
    for (std::uint32_t order = kOrders; order >= 1 && !enough(); --order) halveOrder(order);
  for (Slot& slot : slots_) slot.key &= kIdentity;
}

/// Applies `f` to each context, then puts those that still have successors into a fresh table.
template <class F>
void SequenceModel::sweep(F f) {
  std::vector<Slot> old(slots_.size());
  old.swap(slots_);
  freeSlots_ = limits_.contexts;
  for (Slot& slot : old) {
    if (slot.key == 0) continue;
    f(slot);
    if (slot.head == 0) continue;
    slots_[find(slot.key & kIdentity)] = slot;
    --freeSlots_;
  }
}

/// Doubles the table of contexts.
void SequenceModel::growContexts() {
  std::vector<Slot> old(2 * slots_.size());
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.key != 0) slots_[find(slot.key & kIdentity)] = slot;
  }
}

void SequenceModel::snapshot(std::vector<std::uint8_t>& out) const {
  std::vector<Slot> contexts;
  for (const Slot& slot : slots_)
    if (slot.key != 0) contexts.push_back(slot);
  std::sort(contexts.begin(), contexts.end(),
            [](const Slot& a, const Slot& b) { return (a.key & kIdentity) < (b.key & kIdentity); });
  put<std::uint8_t>(out, kSnapshotVersion);
  put<std::uint32_t>(out, limits_.contexts);
  put<std::uint32_t>(out, limits_.successors);
  put<std::uint32_t>(out, limits_.alphabet);
  put<std::uint64_t>(out, learnt_);
  putDouble(out, meanCost_);
  std::vector<std::tuple<std::uint32_t, std::uint16_t, std::uint8_t>> alphabet;
  for (std::size_t i = 0; i < ids_.size(); ++i)
    if (idCounts_[i] != 0) alphabet.emplace_back(ids_[i], idCounts_[i], idPlaces_[i]);
  std::sort(alphabet.begin(), alphabet.end());
  put<std::uint32_t>(out, static_cast<std::uint32_t>(alphabet.size()));
  for (const auto& [id, count, places] : alphabet) {
    put(out, id);
    put(out, count);
    put(out, places);
  }
  put<std::uint32_t>(out, static_cast<std::uint32_t>(contexts.size()));
  for (const Slot& slot : contexts) {
    std::vector<Node> successors;
    for (std::uint16_t n = slot.head; n != 0; n = nodes_[n - 1].next) successors.push_back(nodes_[n - 1]);
    std::sort(successors.begin(), successors.end(), [](const Node& a, const Node& b) { return a.id < b.id; });
    put<std::uint32_t>(out, slot.key);
    put<std::uint16_t>(out, static_cast<std::uint16_t>(successors.size()));
    for (const Node& node : successors) {
      put<std::uint32_t>(out, node.id);
      put<std::uint16_t>(out, node.count);
    }
  }
}

bool SequenceModel::restore(Bytes in) {
  StateReader read(in);
  if (read.get<std::uint8_t>() != kSnapshotVersion) return false;
  SequenceModel fresh(limits_);
  for (const std::uint32_t limit : {limits_.contexts, limits_.successors, limits_.alphabet})
    if (read.get<std::uint32_t>() != limit) return false;
  fresh.learnt_ = read.get<std::uint64_t>();
  fresh.meanCost_ = read.getDouble();
  if (!read.ok() || !std::isfinite(fresh.meanCost_) || fresh.meanCost_ < 0) return false;
  const std::uint32_t known = read.get<std::uint32_t>();
  if (known > limits_.alphabet - limits_.alphabet / 8) return false;
  fresh.growAlphabet(sizeFor(known));
  for (std::uint32_t i = 0, before = 0; i < known; ++i) {
    const std::uint32_t id = read.get<std::uint32_t>();
    const std::uint16_t count = read.get<std::uint16_t>();
    const std::uint8_t places = read.get<std::uint8_t>();
    if (!read.ok() || count == 0 || id == kBeginning || (i > 0 && id <= before)) return false;
    if (places == 0 || places >= kMostPlaces) return false;
    before = id;
    const std::uint32_t at = fresh.findId(id);
    fresh.ids_[at] = id;
    fresh.idCounts_[at] = count;
    fresh.idPlaces_[at] = places;
    ++fresh.knownIds_;
    fresh.idsOnce_ += count == 1;
    fresh.placesTotal_ += places;
    if ((fresh.idTotal_ += count) >= kMaxTotal) return false;
  }
  const std::uint32_t contexts = read.get<std::uint32_t>();
  if (!read.ok() || contexts > limits_.contexts - limits_.contexts / 8) return false;
  fresh.slots_.assign(sizeFor(contexts), {});
  std::uint32_t previous = 0;
  for (std::uint32_t i = 0; i < contexts; ++i) {
    const std::uint32_t key = read.get<std::uint32_t>();
    const std::uint16_t distinct = read.get<std::uint16_t>();
    if (!read.ok() || (key & kIdentity) <= previous || distinct == 0 || distinct > fresh.freeNodes_) return false;
    if ((key & kOrderMask) == 0 || distinct > kMaxFanOut) return false;
    previous = key & kIdentity;
    Slot& slot = fresh.slots_[fresh.find(previous)];
    slot.key = key;
    --fresh.freeSlots_;
    std::uint32_t total = 0;
    for (std::uint16_t d = 0; d < distinct; ++d) {
      const std::uint32_t id = read.get<std::uint32_t>();
      const std::uint16_t count = read.get<std::uint16_t>();
      if (!read.ok() || count == 0 || id == kBeginning) return false;
      if (d > 0 && id <= fresh.nodes_[slot.head - 1].id) return false;
      slot.head = fresh.take({id, count, slot.head});
      total += count;
    }
    if (total >= kMaxTotal) return false;
    slot.total = static_cast<std::uint16_t>(total);
  }
  if (!read.done()) return false;
  *this = std::move(fresh);
  return true;
}

SequenceScore::Added SequenceScore::add(double bits, double mean) {
  const bool begins = sum_ <= 0;
  sum_ = std::max(sum_, 0.0) + bits - (mean + kSlack);
  const bool highest = count_ == 0 || sum_ > best_;
  if (highest) best_ = sum_;
  ++count_;
  return {begins, highest};
}

double SequenceScore::value() const {
  if (count_ == 0) return -std::numeric_limits<double>::infinity();
  return best_ - log2OfCount(count_);
}

}  // namespace driftlock
