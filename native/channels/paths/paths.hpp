#pragma once

// The paths channel compares pairs of parent and child, by their names, with those that a service's traces have shown.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"

namespace driftlock {

/// A child under an unusual parent, by the ids of their names.
struct PathFinding {
  std::uint32_t parent = 0, child = 0;
  /// The child's usual parent.
  std::uint32_t usual = 0;
  double bits = 0;
};

/// The model of parents and children in one stream's traces.
///
/// Children are exported before or after their parents: the later of the two completes the pair, among the latest 255
/// spans. A parent in another stream makes no pair. A child's parent is coded by PPM's method D (P. G. Howard, 1993): a
/// child that came n times, c of them under this parent, costs -log2((2c - 1) / 2n) bits; under a parent never seen,
/// -log2(d / 2n) with d parents so far, which is also the most. Up to 64 children with 4 parents each are known; their
/// counts are halved at 2,048.
class PathModel {
 public:
  /// Returns the costliest pair that this span completes. `span` and `parent` identify spans, 0 for none; `id` is the
  /// span's name. `settle` must follow.
  std::optional<PathFinding> observe(std::uint64_t span, std::uint64_t parent, std::uint32_t id);

  enum class Lesson : std::uint8_t { Learn, Strange, Accept };
  /// Learns the pairs that `observe` found; strange ones that are new only when they have come for `acceptAfter` seconds.
  void settle(Lesson lesson, std::uint32_t seconds, std::uint32_t acceptAfter);

  std::size_t memory() const { return sizeof *this + children_.capacity() * sizeof(Child); }
  /// Appends the state; between `observe` and `settle`, the one from before `observe`, except for the order of children.
  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Restores a fresh model. Returns false if the bytes are not a snapshot of one; the model is then unusable.
  bool restore(Bytes in);

 private:
  static constexpr std::size_t kMostChildren = 64;
  static constexpr std::size_t kParents = 4;
  static constexpr std::size_t kNews = 8;
  /// The most children that wait for one parent.
  static constexpr std::size_t kSiblings = 16;

  /// The latest 255 spans, found by their tags. Which spans are kept does not depend on their tags.
  class Latest {
   public:
    /// Adds a span in place of the oldest. Tags are not 0.
    void add(std::uint32_t tag, std::uint32_t id);
    /// The spans as they were before the changes that are noted, without their links.
    Latest before() const;
    /// Calls `visit` with the id of each span of that tag, the latest first, until it returns false.
    template <class Visit>
    void find(std::uint32_t tag, Visit visit) const {
      for (std::uint8_t n = heads_[tag % heads_.size()]; n != 0; n = next_[n - 1])
        if (slots_[n - 1].tag == tag && !visit(slots_[n - 1].id)) return;
    }
    void remove(std::uint32_t tag);

    template <class Self, class Visitor>
    static void visit(Self& self, Visitor& v) {
      for (auto& slot : self.slots_) v(slot.tag), v(slot.id);
      v(self.oldest_);
    }
    /// Rebuilds the links after `visit` has read the slots. Returns false if the slots are invalid.
    bool relink();

    struct Slot {
      std::uint32_t tag = 0, id = 0;
    };

   private:
    void link(std::uint8_t at);
    void unlink(std::uint8_t at);
    void note(std::uint8_t at, bool added);

    std::array<Slot, 255> slots_{};
    /// 1 + the place of the previous span whose tag has the same remainder; 0 if there is none. Links are separate from
    /// the slots, which keeps both small.
    std::array<std::uint8_t, 255> next_{};
    /// The heads of the chains, twice as many as there are spans, so that most chains hold one.
    std::array<std::uint8_t, 512> heads_{};
    std::uint8_t oldest_ = 0;
  };
  /// What `observe` has changed: a span is added to the latest, or waits, and its children no longer wait. It is kept until
  /// `settle`, in the thread's memory: there is one span at a time.
  struct Changes {
    struct Change {
      const Latest* of = nullptr;
      Latest::Slot before{};
      std::uint8_t at = 0;
      bool added = false;
    };
    std::array<Change, kSiblings + 2> all{};
    std::size_t size = 0;
  };
  static Changes& changes();
  struct Parent {
    std::uint32_t id = 0, count = 0;
  };
  struct Child {
    std::uint32_t id = 0, count = 0, distinct = 0;
    std::array<Parent, kParents> parents{};
  };
  struct News {
    std::uint32_t parent = 0, child = 0, since = 0;
  };

  void consider(std::uint32_t parent, std::uint32_t child);
  Child* find(std::uint32_t id);
  bool knows(const PathFinding& pair);
  void learn(const PathFinding& pair, std::uint32_t times);

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    for (auto& news : self.news_) v(news.parent), v(news.child), v(news.since);
    v(self.nextNews_);
  }

  /// The latest spans by their own tags, and those whose parents have not come by their parents' tags.
  Latest spans_, waiting_;
  std::vector<Child> children_;
  /// Strange pairs, and since when they have come.
  std::array<News, kNews> news_{};
  std::uint32_t nextNews_ = 0;

  // The pairs of the current span.
  std::array<PathFinding, kSiblings + 1> pairs_{};
  std::size_t count_ = 0;
};

}  // namespace driftlock
