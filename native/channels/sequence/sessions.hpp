#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "base/recency_table.hpp"
#include "channels/sequence/sequence.hpp"

namespace driftlock {

/// What the sequence channel says of a session so far, or of one that has ended.
struct SequenceVerdict {
  /// Strangeness of the session, in bits.
  double score = 0;
  /// The largest that it has been. Each was judged, so this is what sessions come to.
  double peak = 0;
  /// What the id at hand cost, and what ids usually cost.
  double bits = 0;
  double usualBits = 0;
  bool ended = false;
};

/// The sequence channel of one stream: what follows what in a trace or a session.
///
/// All sessions are paths through one model (SequenceModel). A session is learned as a whole, when it has ended and its score
/// is worth a lesson: a strange one teaches nothing, not even by its harmless beginning, and one that the model foresees
/// would only make it surer of itself, and what is rare but normal stranger by the day. Of a long one, what lies more than
/// 32 ids back is learned as it goes on. Open sessions are bounded; the one that has been quiet longest ends first.
class Sessions {
 public:
  /// Scores `id` in the session of that key, which is not 0. `last`: the session ends behind it.
  SequenceVerdict observe(std::uint64_t session, std::uint32_t id, bool last, std::uint64_t timeUnixNano);
  enum class Lesson : std::uint8_t { Learn, Known, Strange };
  /// Decides what the session that `observe` or `expire` spoke of teaches. Once strange, it stays so.
  void accept(Lesson lesson);

  /// Ends a session that has been quiet, or gives way to new ones, if there is one: its verdict, to be followed by `accept`.
  std::optional<SequenceVerdict> expire(std::uint64_t timeUnixNano);

  /// The usual next ids where the observed record stands, likeliest first.
  std::vector<ExpectedId> expected(std::size_t limit) const { return model_.expected(before_, limit); }
  /// Sessions hold one record each, as far as is known: their order says nothing.
  bool trivial() const { return closed_ >= kProbe && closedIds_ < closed_ + closed_ / 4; }

  std::size_t memory() const;

  /// Between records, that is behind `accept`.
  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Of a fresh channel. False where the bytes are no snapshot of one; the channel is of no use then.
  bool restore(Bytes in);

 private:
  struct Session {
    SequenceContext context{};
    SequenceScore score{};
    double peak = -std::numeric_limits<double>::infinity();
    std::uint64_t lastUnixNano = 0;
    bool strange = false;
    /// Ids that are not learned yet, and where they begin.
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
  static constexpr std::uint64_t kProbe = 64;

  /// Moves the point of learning over so many waiting ids.
  void passOn(Session& session, std::size_t count, bool learn);

  SequenceModel model_;
  using Table = RecencyTable<std::uint64_t, Session>;
  Table sessions_;
  std::uint64_t closed_ = 0, closedIds_ = 0;

  // What `accept` decides on.
  Table::Entry* current_ = nullptr;
  SequenceContext before_;
  bool ended_ = false, paidEnd_ = false;
};

}  // namespace driftlock
