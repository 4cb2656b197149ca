#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "base/recency_table.hpp"
#include "channels/sequence/sequence.hpp"

namespace driftlock {

/// The sequence channel's verdict on a session so far, or on one that has ended.
struct SequenceVerdict {
  /// The strangeness of the session, in bits.
  double score = 0;
  /// The largest score that the session has had. Each was judged, so calibration learns this one.
  double peak = 0;
  /// The cost of the current id, or of what a session that has ended owes its score to, and the usual cost of ids.
  double bits = 0;
  double usualBits = 0;
  /// Whether the score is due to earlier ids, and neither the current one nor the end makes it higher.
  bool stands = false;
  bool ended = false;
};

/// What a session owes its score to: an id, or its end.
struct TellingStep {
  std::uint32_t id = kEndOfSession;
  SequenceContext before{};
  /// Whether the session went on after it.
  bool earlier = false;
};

/// The sequence channel of one stream: which records follow which in a trace or a session.
///
/// All sessions are paths through one model (SequenceModel). A session is learned as a whole, once it has ended and its
/// score makes it worth learning: nothing is learned from a strange one, not even from its harmless beginning, and a
/// session that a certain model predicts would only make it more certain, and rare but normal sessions ever stranger.
/// In a long one, ids more than 32 back are learned as it continues. Open sessions are bounded; the one that has been
/// quiet longest ends first.
class Sessions {
 public:
  /// Scores `id` in the session with this key, which is not 0. `last`: the session ends after it.
  SequenceVerdict observe(std::uint64_t session, std::uint32_t id, bool last, std::uint64_t timeUnixNano);
  enum class Lesson : std::uint8_t { Learn, Known, Strange };
  /// Decides what is learned from the session that `observe` or `expire` returned. A strange session stays strange.
  void accept(Lesson lesson);

  /// Ends a session that has been quiet, or that must make room, if there is one, and returns its verdict. `accept` must follow.
  std::optional<SequenceVerdict> expire(std::uint64_t timeUnixNano);

  /// Drops the sessions that have been quiet, unjudged and unlearned, because their records may have been missed.
  void forgetQuiet(std::uint64_t timeUnixNano);

  /// The step that the observed record's session, or the session that expired last, owes its score to.
  const TellingStep& observed() const { return observed_; }
  const TellingStep& expired() const { return expired_; }
  /// The usual ids in the place of a step, likeliest first.
  std::vector<ExpectedId> expected(const TellingStep& step, std::size_t limit) const {
    return model_.expected(step.before, limit);
  }
  /// Whether the model has learned so many ids and ends that it can tell what comes once in thousands of sessions.
  bool certain() const { return model_.learnt() >= kCertain; }
  /// Whether sessions, as far as is known, hold one record each, so that their order carries no information.
  bool trivial() const { return closed_ >= kProbe && closedIds_ < closed_ + closed_ / 4; }

  std::size_t memory() const;

  /// Appends the state. Before `accept`, it is the state from before `observe` or `expire`, except for the order of use.
  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Restores a fresh channel. Returns false if the bytes are not a snapshot of one; the channel is then unusable.
  bool restore(Bytes in);

 private:
  struct Session {
    SequenceContext context{};
    SequenceScore score{};
    double peak = -std::numeric_limits<double>::infinity();
    std::uint64_t lastUnixNano = 0;
    bool strange = false;
    /// The ids that are not learned yet, and where they begin.
    std::vector<std::uint32_t> waiting;
    SequenceContext learned{};

    template <class Self, class Visitor>
    static void visit(Self& self, Visitor& v) {
      v(self.peak), v(self.lastUnixNano), v(self.strange);
      SequenceContext::visit(self.context, v);
      SequenceContext::visit(self.learned, v);
      SequenceScore::visit(self.score, v);
    }
  };
  static constexpr std::size_t kMostSessions = 64;
  static constexpr std::size_t kWaiting = 32, kFewWaiting = 8;
  static constexpr std::uint64_t kProbe = 64, kCertain = 8192;

  /// Whether a session has been quiet for so long that it is over.
  static bool isQuiet(const Session& session, std::uint64_t timeUnixNano);
  void keep(const Session& session) { before_ = {session.score, session.context, session.peak, session.waiting.size()}; }
  /// Finds the costliest step on the way to the score of a session that ends, as far as its ids are known.
  void blame(const Session& session, SequenceVerdict& verdict, TellingStep& step) const;
  /// Moves the point of learning past `count` waiting ids.
  void passOn(Session& session, std::size_t count, bool learn);

  SequenceModel model_;
  using Table = RecencyTable<std::uint64_t, Session>;
  Table sessions_;
  std::uint64_t closed_ = 0, closedIds_ = 0;

  // The session that `accept` decides on, and what was known of it before.
  Table::Entry* current_ = nullptr;
  struct Before {
    SequenceScore score{};
    SequenceContext context{};
    double peak = 0;
    std::size_t waiting = 0;
  };
  Before before_;
  bool began_ = false;
  TellingStep observed_, expired_;
  bool ended_ = false, paidEnd_ = false;
};

}  // namespace driftlock
