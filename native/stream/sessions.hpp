#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "bytes.hpp"
#include "cbad/sequence.hpp"

namespace driftlock {

/// What the sequence channel says of a record, or of a session that has ended.
struct SequenceVerdict {
  /// Strangeness of the session so far, in bits; of a record of no session, its own bits above what is usual.
  double score = 0;
  /// What this id cost, and what ids usually cost.
  double bits = 0;
  double usualBits = 0;
  /// Of a session that ended with it.
  bool ended = false;
};

/// The sequence channel of one stream: what follows what, in a trace, a session, or the stream itself.
///
/// Each session is a path through one model (SequenceModel). What is judged strange is not learned: `accept` is called with
/// the decision. Open sessions are bounded; the one that has been quiet longest ends first.
class SequenceChannel {
 public:
  SequenceChannel();

  /// Scores `id` in the session of that key; key 0 is the stream itself. `last`: the session ends behind it.
  SequenceVerdict observe(std::uint64_t session, std::uint32_t id, bool last, std::uint64_t timeUnixNano);
  /// Learns what `observe` saw, unless it or its session was flagged.
  void accept(bool flagged);

  /// Ends a session that has been quiet, or gives way to new ones, if there is one: its verdict. Call until there is none.
  std::optional<SequenceVerdict> expire(std::uint64_t timeUnixNano);

  /// The usual next ids where the observed record stands, likeliest first.
  std::vector<ExpectedId> expected(std::size_t limit) const { return model_.expected(before_, limit); }
  /// Sessions hold one record each, as far as is known: their order says nothing.
  bool trivial() const { return closed_ >= kProbe && closedIds_ < closed_ + closed_ / 4; }

  std::size_t memory() const;
 private:
  struct Session {
    std::uint64_t key = 0;
    SequenceContext context{};
    SequenceScore score{};
    std::uint64_t lastUnixNano = 0;
    bool flagged = false;
  };
  static constexpr std::size_t kMostSessions = 128;
  static constexpr std::uint64_t kProbe = 64;

  SequenceVerdict end(Session& session);
  void count(const Session& session);

  SequenceModel model_;
  /// Least recently used last.
  std::list<Session> order_;
  std::unordered_map<std::uint64_t, std::list<Session>::iterator> sessions_;
  Session stream_{};
  std::uint64_t closed_ = 0, closedIds_ = 0;

  // The observation that `accept` decides on.
  Session* current_ = nullptr;
  SequenceContext before_;
  std::uint32_t id_ = 0;
  double bits_ = 0, endBits_ = 0;
  bool last_ = false;
};

}  // namespace driftlock
