#pragma once

// The sequence channel scores how surprising an id (a template, a span's name) is after the ids before it.

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.hpp"

namespace driftlock {

/// The end of a session, among expected ids.
inline constexpr std::uint32_t kEndOfSession = 0xFFFFFFFFu;
/// The largest id of the caller; larger ones count as this one.
inline constexpr std::uint32_t kLargestId = 0xFFFFFFFDu;

/// The bounds of a model, whose tables grow with what it learns, to 27 KiB by default. Growing and ageing need a temporary copy
/// of a table.
struct SequenceLimits {
  /// The number of contexts (of orders 1 to 3) in the table: 16 to 32,768, rounded up to a power of two. 8 bytes each.
  std::uint32_t contexts = 1024;
  /// The number of pairs of context and next id: 64 to 65,534. 8 bytes each.
  std::uint32_t successors = 1536;
  /// The number of ids (order 0) in the table: 16 to 32,768, rounded up to a power of two. 7 bytes each.
  std::uint32_t alphabet = 1024;
  friend bool operator==(const SequenceLimits&, const SequenceLimits&) = default;
};

/// The position of one session, trace or stream: its latest ids, latest first. A new one is at the beginning, which
/// counts as an id of its own, so that the first ids of a session are part of the model.
struct SequenceContext {
  std::array<std::uint32_t, 3> ids{0xFFFFFFFEu, 0, 0};
  std::uint8_t length = 1;

  void push(std::uint32_t id);

  /// Lists the fields, for snapshots.
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    for (auto& id : self.ids) v(id);
    v(self.length);
  }
  bool valid() const { return length >= 1 && length <= ids.size(); }
};

/// An id that a model expects.
struct ExpectedId {
  std::uint32_t id = 0;
  double probability = 0;
};

/// PPM (prediction by partial matching) of order 3 over an open alphabet of ids, in bounded memory.
///
/// In a context of order 1 to 3 that was seen n times with d distinct successors, a successor seen c times has
/// probability c / (n + d), and everything else shares d / (n + d), the escape (method C); after an escape the context
/// one id shorter decides, without the ids already excluded. At order 0 the escape is 1 + t, where t ids were seen once
/// (method X, after Good and Turing): it is the event "an id never seen", whose name costs nothing, because ids are
/// assigned as they come. Known ids share the rest by the number of times that each came where no longer context knew it
/// (Kneser and Ney): how often an id comes in its own places does not say how likely it is to come in another one. So the
/// probabilities of all known ids, of the end and of "a new id" sum to 1 in any context.
///
/// Sources: J. G. Cleary, I. H. Witten, Data compression using adaptive coding and partial string matching, IEEE Trans.
/// Comm. 32(4), 1984; A. Moffat, Implementing the PPM data compression scheme, IEEE Trans. Comm. 38(11), 1990 (method C,
/// update exclusion); I. H. Witten, T. C. Bell, The zero-frequency problem, IEEE Trans. Inf. Theory 37(4), 1991 (X);
/// R. Kneser, H. Ney, Improved backing-off for m-gram language modeling, ICASSP 1995.
///
/// Ageing: when memory runs out, contexts that were not used since the last ageing are dropped first, from the longest
/// down; if that frees too little, the counts of the longest are halved, then those of shorter ones. The state is a
/// function of the ids alone.
class SequenceModel {
 public:
  explicit SequenceModel(SequenceLimits limits = {});

  /// The code length of `id` after `context`, in bits; 0 for a model that has learnt nothing.
  double cost(const SequenceContext& context, std::uint32_t id) const;
  /// The code length of "the session ends here".
  double endCost(const SequenceContext& context) const;

  /// Learns `id`, which cost `bits`, as normal after `context`, and advances the context.
  void learn(SequenceContext& context, std::uint32_t id, double bits);
  /// Learns the end of a session as normal.
  void learnEnd(const SequenceContext& context, double bits);

  /// The mean code length of the latest 2,048 or so ids and ends learnt.
  double meanCost() const { return meanCost_; }
  /// The number of ids and ends learnt.
  std::uint64_t learnt() const { return learnt_; }

  /// The most probable next ids (`kEndOfSession` among them), likeliest first, ties by id; at most `limit`.
  std::vector<ExpectedId> expected(const SequenceContext& context, std::size_t limit) const;
  /// The probability of an id that the model does not know.
  double novelty(const SequenceContext& context) const;

  /// The memory in bytes.
  std::size_t memory() const;

  /// Appends a canonical form: models that behave alike give equal bytes.
  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Returns false, and changes nothing, if the bytes are not a snapshot of a model with these limits.
  bool restore(Bytes in);

 private:
  /// A slot of the open-addressing table. Key 0 is free; bits 0-1 of a key hold the order, bit 2 "used since
  /// the last ageing".
  struct Slot {
    std::uint32_t key = 0;
    std::uint16_t head = 0;   // 1 + index of the latest successor
    std::uint16_t total = 0;  // sum of the successors' counts
  };
  struct Node {
    std::uint32_t id = 0;
    std::uint16_t count = 0;
    std::uint16_t next = 0;  // 1 + index
  };

  double probability(const SequenceContext& context, std::uint32_t id) const;
  void update(const SequenceContext& context, std::uint32_t id, double bits);
  std::uint32_t find(std::uint32_t key) const;
  bool add(std::uint32_t key, std::uint32_t id);
  std::uint32_t findId(std::uint32_t id) const;
  /// Counts `id`; `elsewhere`: no longer context knew it.
  void addId(std::uint32_t id, bool elsewhere);
  void halveAlphabet();
  void halvePlaces();
  std::uint32_t halve(Slot& slot);
  std::uint16_t take(Node successor);
  void makeRoom();
  template <class F>
  void sweep(F f);
  void growContexts();
  void growAlphabet(std::size_t size);

  SequenceLimits limits_;
  std::vector<Slot> slots_;
  std::vector<Node> nodes_;
  // What is left of the bounds, beyond what the tables have grown to.
  std::uint32_t freeSlots_ = 0;
  std::uint32_t freeNodes_ = 0;
  std::vector<std::uint32_t> ids_;       // the alphabet, by open addressing
  std::vector<std::uint16_t> idCounts_;  // a count of 0 is free
  std::vector<std::uint8_t> idPlaces_;   // the number of times that no longer context knew the id
  std::uint32_t knownIds_ = 0, idTotal_ = 0, idsOnce_ = 0, placesTotal_ = 0;
  std::uint16_t free_ = 0;  // 1 + index of the first free one among `nodes_`; they are linked by `next`
  std::uint64_t learnt_ = 0;
  double meanCost_ = 0;
};

/// Combines a session's costs into one score, in a few bytes, whatever the session's length.
///
/// Page's CUSUM of the bits above what is usual: S_i = max(0, S_{i-1}) + b_i - (mean + 2); the score is the largest S_i
/// less log2(n) for n costs. One costly id and a long run of slightly costly ones both rise, in the right proportion;
/// the last term is the union bound over the places where a session of n ids could go astray, so that length alone is
/// not strange. Source: E. S. Page, Continuous inspection schemes, Biometrika 41, 1954.
class SequenceScore {
 public:
  /// What a cost does to the score: whether it begins to rise anew, and whether it is the highest so far.
  struct Added {
    bool begins, highest;
  };
  /// Adds the cost of the next id (or of the end), in bits; `mean` bits are usual.
  Added add(double bits, double mean);
  /// The score in bits; minus infinity before the first cost.
  double value() const;
  std::uint32_t count() const { return count_; }

  /// Lists the fields, for snapshots.
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    v(self.sum_), v(self.best_), v(self.count_);
  }

 private:
  double sum_ = 0, best_ = 0;
  std::uint32_t count_ = 0;
};

}  // namespace driftlock
