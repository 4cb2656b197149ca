#include <optional>
#include <utility>

#include "base/state_bytes.hpp"
#include "channels/channel.hpp"
#include "channels/sequence/sessions.hpp"
#include "text/sentence.hpp"

namespace driftlock {
namespace {

/// The most sessions that end after one record.
constexpr std::size_t kExpiredAtOnce = 2;
/// The most expected templates that a finding names.
constexpr std::size_t kMostNext = 3;

static_assert(kLargestId == kLargestTemplateId);

/// A record out of order, or a session that broke off.
class SequenceFinding final : public Finding {
 public:
  /// @param ended whether the session broke off
  SequenceFinding(const TellingStep& step, bool ended, std::vector<ExpectedId> expected)
      : step_(step), ended_(ended), expected_(std::move(expected)) {}

  void describe(const Texts& texts, Description& out) const override {
    for (const ExpectedId& expected : expected_) {
      // What came, or the end that came too early, is not what was expected instead.
      if (expected.id == step_.id) continue;
      std::string text = expected.id == kEndOfSession ? "the end of the session" : texts.ofTemplate(expected.id);
      if (!text.empty() && out.next.size() < kMostNext) out.next.push_back(std::move(text));
    }
    out.sentence = place(texts);
    const std::string bits = text::fixed(out.bits, 1), usual = text::fixed(out.usualBits, 1);
    if (out.bits > out.usualBits && bits != usual) text::append(out.sentence, ": ", bits, " bits; usually ", usual);
    if (!out.next.empty()) text::append(out.sentence, "; expected was ", text::quoted(out.next.front()));
  }

 private:
  std::string place(const Texts& texts) const {
    if (step_.id == kEndOfSession)
      return ended_ ? "A session broke off where it usually goes on" : "The session ends where it usually goes on";
    if (!step_.earlier && !ended_) return "Unexpected at this point of the session";
    const std::string text = texts.ofTemplate(step_.id);
    const std::string what = text.empty() ? "a record that is not in the baseline" : text::quoted(text);
    return (ended_ ? "A session broke off after it had an unexpected record: "
                   : "The session had an unexpected record before: ") +
           what;
  }

  TellingStep step_;
  bool ended_;
  std::vector<ExpectedId> expected_;
};

/// Detects unusual orders of records in traces and sessions.
class SequenceChannel final : public Channel {
 public:
  void observe(Observation& record) override {
    if (sessions_ && sessions_->trivial()) {
      sessions_.reset();
      unordered_ = true;
    }
    if (sessions_ && record.interrupted) sessions_->forgetQuiet(record.now);
    inSession_ = record.record.inSession() && !unordered_;
    if (!inSession_) return;
    if (!sessions_) sessions_ = std::make_unique<Sessions>();
    record.scores.add(scoreOf(sessions_->observe(record.session, record.id(), record.record.last, record.now)));
  }

  void learn(Observation&, const Outcome& outcome, Host&) override {
    if (inSession_) sessions_->accept(lesson(outcome));
  }

  void expire(const Observation& record, Host& host) override { judgeAgain(record.now, host); }

  void judgeAgain(std::uint64_t now, Host& host) override {
    if (!sessions_) return;
    for (std::size_t i = 0; i < kExpiredAtOnce; ++i) {
      const std::optional<SequenceVerdict> ended = sessions_->expire(now);
      if (!ended) return;
      if (!host.calibrating()) {
        sessions_->accept(Sessions::Lesson::Learn);
        continue;
      }
      const Outcome outcome = host.judge(scoreOf(*ended), Host::Unit::Counted);
      sessions_->accept(lesson(outcome));
      if (!outcome.learning) host.notice(ChannelId::Sequence, outcome.strangeness);
      if (outcome.flagged) host.raise(now, nullptr);
    }
  }

  std::unique_ptr<Finding> find(const Observation* record) const override {
    const TellingStep step = sessions_ ? (record ? sessions_->observed() : sessions_->expired()) : TellingStep{};
    return std::make_unique<SequenceFinding>(step, !record,
                                             sessions_ ? sessions_->expected(step, kMostNext + 1) : std::vector<ExpectedId>{});
  }

  std::size_t memory() const override { return sizeof *this + (sessions_ ? sessions_->memory() : 0); }

  void snapshot(std::vector<std::uint8_t>& out) const override {
    StateWriter write(out);
    write(unordered_);
    putOptional(out, sessions_);
  }

  bool restore(Bytes in) override {
    StateReader read(in);
    read(unordered_);
    return getOptional(read, sessions_, [] { return std::make_unique<Sessions>(); }) && read.done();
  }

 private:
  static Score scoreOf(const SequenceVerdict& session) {
    return {.channel = ChannelId::Sequence,
            .score = session.score,
            .bits = session.bits,
            .usualBits = session.usualBits,
            .lesson = session.peak,
            .whole = session.ended,
            .stands = session.stands};
  }

  /// Until the model is certain, it learns the usual and the rare alike, because rare sessions would seem ever stranger if
  /// it became more certain of the usual ones alone.
  Sessions::Lesson lesson(const Outcome& outcome) const {
    using Lesson = Sessions::Lesson;
    const bool certain = outcome.exact || sessions_->certain();
    if (outcome.learning) return Lesson::Learn;
    if (!outcome.pardoned && (outcome.flagged || (outcome.strange && certain))) return Lesson::Strange;
    return outcome.usual && certain ? Lesson::Known : Lesson::Learn;
  }

  /// Null until a record is in a session.
  std::unique_ptr<Sessions> sessions_;
  /// Whether sessions hold a single record each, so that their order carries no information.
  bool unordered_ = false;

  /// Whether the current record is in a session that is tracked.
  bool inSession_ = false;
};

}  // namespace

std::unique_ptr<Channel> makeSequenceChannel(const ChannelContext& context) {
  if (context.key.signal == otlp::Signal::Metrics || context.key.derived != Derived::None) return nullptr;
  return std::make_unique<SequenceChannel>();
}

}  // namespace driftlock
