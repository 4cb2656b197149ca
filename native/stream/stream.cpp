#include "stream/stream.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace driftlock {
namespace {

Gravity gravityOf(const Observation* record, const Finding* finding) {
  return record ? driftlock::gravityOf(record->record) : finding ? finding->gravity() : Gravity::Normal;
}

}  // namespace

/// What the stream does for its channels while they learn from one record.
class Stream::Desk final : public Host {
 public:
  Desk(Stream& stream, std::uint64_t now, std::vector<Event>& events, Witness* witness)
      : stream_(stream), now_(now), events_(events), witness_(witness) {}

  bool learning() const override { return stream_.learning(); }
  bool calibrating() const override { return stream_.judge_.calibrating(); }
  bool settled() const override { return stream_.settled(); }
  bool records() const override { return witness_ != nullptr; }
  void notice(ChannelId channel, double strangeness) override { stream_.windows_.notice(channel, strangeness); }
  void noticeMix(ChannelId channel, double bits) override { stream_.windows_.noticeMix(channel, bits); }

  Outcome judge(const Score& unit, Unit kind) override {
    Judge& judge = stream_.judge_;
    Score score = unit;
    if (!stream_.policy_->admits(score)) score.leaveOut();
    const bool accepted = kind == Unit::Lapsing && judge.pardons(score.channel);
    unit_ = {.learning = judge.learning()};
    bool pardoned = false;
    if (!unit_.learning) {
      if (kind == Unit::Counted) judge.count(stream_.clock_.now(), stream_.clock_.guessed());
      unit_.score = judge.strangeness(score);
      judge.judge({&score, 1}, stream_.open(), nullptr, unit_);
      if (witness_ && unit_.flagged && stream_.mayBeNews(unit_, nullptr)) {
        stream_.show({.verdict = unit_, .unit = score.channel, .now = now_}, kind == Unit::Counted, *witness_);
      }
      stream_.windows_.include(unit_);
      pardoned = judge.pardoned();
    }
    if (kind != Unit::Lapsing || !pardoned) judge.learn({&score, 1}, unit_);
    if (accepted && !pardoned) judge.lapse(score.channel);
    if (unit_.alarm == Alarm::Withheld) events_.push_back({.verdict = unit_});
    Outcome outcome = judge.outcome(score.channel, &score, unit_, pardoned);
    outcome.accepted = accepted;
    outcome.strangeness = unit_.score;
    return outcome;
  }

  void calibrate(const Score& score) override { stream_.judge_.learn({&score, 1}, {.learning = stream_.judge_.learning()}); }

  bool reportsNext(std::uint64_t finding) const override {
    if (stream_.anomalies_.shown().isNews(stream_.sight(unit_, finding, Gravity::Normal))) return true;
    const auto flagged = std::ranges::count_if(events_, [](const Event& event) { return event.verdict.flagged; });
    return std::has_single_bit(stream_.anomaly().occurrences + static_cast<std::uint64_t>(flagged) + 1);
  }

  void raise(std::optional<std::uint64_t> at, std::unique_ptr<Finding> finding) override {
    Event& event = events_.emplace_back();
    event.verdict = unit_;
    event.timeUnixNano = at ? stream_.clock_.eventAt(*at) : 0;
    event.finding = std::move(finding);
  }

  Texts texts() const override { return stream_.texts(); }
  const Window& latest() const override { return stream_.windows_.latest(); }

 private:
  Stream& stream_;
  std::uint64_t now_;
  std::vector<Event>& events_;
  Witness* witness_;
  /// The verdict on the unit that was judged last.
  Verdict unit_;
};

// Replicas know values by the same hashes, so that they can take over what one of them has learned.
Stream::Stream(StreamKey key, const Settings& settings, Group& group)
    : Stream(key, settings, group, hashOfStream(settings.hashKey, key.family)) {}

Stream::Stream(StreamKey key, const Settings& settings, Group& group, const KeyedHash& hash)
    : key_(std::move(key)),
      settings_(settings),
      group_(group),
      hash_(hash),
      clock_(settings.stepNanos),
      channels_(makeChannels({.key = key_,
                              .policy = policy_,
                              .hash = hash_,
                              .privacy = *settings.privacy,
                              .dictionarySize = settings.dictionarySize,
                              .windowHop = settings.windowHop,
                              .acceptAfterNanos = settings.acceptAfterNanos,
                              .records = settings.recordings,
                              .callTexts = settings.callTexts()})),
      judge_(settings, key_, group),
      windows_(settings, key_) {}

Verdict Stream::observe(Observation& o, std::vector<Event>& events, Witness* witness) {
  o.interrupted = clock_.interrupted();
  const bool first = std::exchange(request_, o.request) != o.request;
  // The clocks from before the record, unless another look at its time would change nothing.
  thread_local StreamClock ownBefore, groupBefore;
  const bool moves = first || resumed_ || o.interrupted || group_.interrupted() || o.record.timeUnixNano == 0 ||
                     key_.signal == otlp::Signal::Metrics;
  if (witness && moves) ownBefore = clock_, groupBefore = group_.clock();
  // After a silence that was reported, a time ahead is no surprise.
  if (resumed_) clock_.interrupt();
  // A metric's points are steps of one series, however many of them a request has.
  o.believed = clock_.observe(o.record.timeUnixNano, first || key_.signal == otlp::Signal::Metrics);
  group_.observe(o.record.timeUnixNano, first);
  o.now = clock_.now();
  o.latest = clock_.latest();
  o.seen = seen();
  o.session = o.record.inSession() ? hash_(o.record.session.bytes, o.record.session.bits) : 0;
  o.resumed = std::exchange(resumed_, false);
  o.measured = policy_->measures();
  o.scores.clear();
  o.content.clear();
  judge_.count(o.now, clock_.guessed());
  if (anomalies_.quiet(o.now)) endAnomaly(Ending::Quiet, events);

  for (const auto& channel : channels_) {
    if (channel) channel->observe(o);
  }
  if (policy_->selects()) {
    for (Score& score : o.scores.all()) {
      if (!policy_->admits(score)) score.leaveOut();
    }
  }
  // The window explains verdicts and decides none: a state that is shown to a witness has the record.
  if (!o.inWindow) windows_.push(o.raw, o.seen);

  Verdict verdict{.learning = learning()};
  o.strangeness = 0;
  for (const Score& score : o.scores.all()) {
    if (verdict.learning && !score.early) continue;
    const double strangeness = judge_.strangeness(score);
    verdict.score = std::max(verdict.score, strangeness);
    if (score.admitted) verdict.lasting = std::max(verdict.lasting, score.lasting);
    if (!score.stands) o.strangeness = std::max(o.strangeness, strangeness);
    windows_.notice(score.channel, score.inWindow.value_or(strangeness));
  }
  if (!verdict.learning) judge_.judge(o.scores.all(), open(), &o.record, verdict);
  if (witness && verdict.flagged && mayBeNews(verdict, &o)) {
    if (moves) std::swap(clock_, ownBefore), group_.swap(groupBefore);
    show({.verdict = verdict, .first = first, .resumed = o.resumed}, true, *witness);
    if (moves) std::swap(clock_, ownBefore), group_.swap(groupBefore);
  }
  if (judge_.calibrating()) judge_.learn(o.scores.all(), verdict);
  windows_.include(verdict);

  Desk desk(*this, o.now, events, witness);
  const bool pardoned = judge_.pardoned();
  // The scores are in the order of channels.
  const Score* score = o.scores.begin();
  for (std::size_t c = 0; c < kChannelCount; ++c) {
    if (!channels_[c]) continue;
    const auto id = static_cast<ChannelId>(c);
    const Score* const own = score != o.scores.end() && score->channel == id ? score++ : nullptr;
    channels_[c]->learn(o, judge_.outcome(id, own, verdict, pardoned), desk);
  }
  if (judge_.advance(o.now)) {
    for (const auto& channel : channels_) {
      if (channel) channel->learned();
    }
    windows_.setBaseline();
  }
  for (const auto& channel : channels_) {
    if (channel) channel->expire(o, desk);
  }
  return verdict;
}

void Stream::judgeAgain(ChannelId channel, std::uint64_t now, std::vector<Event>& events) {
  Desk desk(*this, now, events, nullptr);
  if (const auto& judge = channels_[indexOf(channel)]) judge->judgeAgain(now, desk);
}

bool Stream::mayBeNews(const Verdict& verdict, const Observation* record) const {
  // What a unit shows is known only later.
  if (!open() || !record) return true;
  const Sight sight = this->sight(verdict, kindOf(verdict, record, nullptr), gravityOf(record, nullptr));
  return anomalies_.shown().isNews(sight) || (anomalies_.old(clock_.now()) && anomalies_.shown().isOther(sight));
}

void Stream::show(const Seen& seen, bool counted, Witness& witness) {
  judge_.exchange(counted);
  witness.see(*this, group_, seen);
  judge_.exchange(counted);
}

void Stream::apply(std::shared_ptr<const Policy> policy) {
  const bool wasJudged = std::exchange(policy_, std::move(policy))->judge;
  judge_.setBudget(policy_->alarmsPerDay);
  if (policy_->judge && !wasJudged) interrupt(true);
}

void Stream::interrupt(bool resumes) {
  clock_.interrupt();
  if (resumes) return;
  if (silence_.isJudged() && anomalies_.open() && anomalies_.latest().silence > 0) anomalies_.close();
  silence_.forget();
}

void Stream::leave(Stream& heir, std::vector<Event>& events) {
  if (anomalies_.open()) endAnomaly(anomalies_.latest().silence > 0 ? Ending::Resumed : Ending::Left, events);
  interrupt(false);
  heir.anomalies_.inherit(anomalies_);
}

bool Stream::succeed(StateReader& snapshot) {
  if (!restore(snapshot)) return false;
  anomalies_ = {};
  silentAgain_ = 0;
  resumed_ = false;
  judge_.succeed();
  for (const auto& channel : channels_) {
    if (channel) channel->succeed();
  }
  interrupt(false);
  return true;
}

std::optional<WindowVerdict> Stream::window() const {
  if (learning() || seen() % settings_.windowHop != 0) return {};
  return windows_.verdict();
}

bool Stream::settled() const {
  return anomalies_.open() && clock_.eventAt(clock_.now()) >= anomalies_.sinceUnixNano() + settings_.acceptAfterNanos;
}

Event Stream::ended(OpenAnomaly anomaly, Ending ending) const {
  Event event;
  event.timeUnixNano = clock_.eventAt(clock_.now());
  event.ended = true;
  event.anomaly = std::move(anomaly);
  event.ending = ending;
  return event;
}

void Stream::endAnomaly(Ending ending, std::vector<Event>& events) { events.push_back(ended(anomalies_.close(), ending)); }

Sight Stream::sight(const Verdict& verdict, std::uint64_t finding, Gravity gravity) const {
  return {verdict.channel, hash_(finding, indexOf(verdict.channel)), severityOf(verdict, gravity)};
}

std::uint64_t Stream::kindOf(const Verdict& verdict, const Observation* record, const Finding* finding) const {
  const auto& channel = channels_[indexOf(verdict.channel)];
  return record && channel ? channel->kind(*record) : finding ? finding->kind() : 0;
}

Sight Stream::sight(const Verdict& verdict, const Observation* record, const Finding* finding) const {
  const bool text = record && verdict.channel == ChannelId::Content;
  return sight(verdict, text ? record->content.templateHash : kindOf(verdict, record, finding), gravityOf(record, finding));
}

Growth Stream::report(const Verdict& verdict, const Observation* record, const Finding* finding) {
  std::optional<Event> superseded;
  const Gravity gravity = gravityOf(record, finding);
  const Sight sight = this->sight(verdict, kindOf(verdict, record, finding), gravity);
  if (anomalies_.old(clock_.now()) && anomalies_.shown().isOther(sight) && judge_.affords(verdict, gravity)) {
    superseded = ended(anomalies_.supersede(), Ending::Superseded);
  }
  const std::uint64_t time = clock_.eventAt(clock_.now());
  if (!anomalies_.open()) {
    anomalies_.begin(clock_.now(), time, hash_(record ? record->content.signature : 0, hash_(settings_.seed, key_.hash)), hash_);
    windows_.forgetMetrics();
  }
  Growth growth = anomalies_.add(verdict, sight, clock_.now(), time);
  growth.ended = std::move(superseded);
  for (const auto& channel : channels_) {
    if (channel && record) channel->remember(*record, anomalies_.latest());
  }
  return growth;
}

bool Stream::applyFeedback(std::string_view anomalyId, Feedback feedback, std::vector<Event>& events) {
  const Evidence* const evidence = anomalies_.find(anomalyId);
  if (!evidence) return false;
  learn(*evidence, feedback);
  if (const double together = evidence->scores[indexOf(ChannelId::Group)]; together > 0) group_.accept(together);
  if (evidence->silence > 0) {
    silence_.isJudged() ? silence_.accept() : silence_.learn(evidence->silence);
  }
  if (anomalies_.forget(anomalyId)) endAnomaly(feedback == Feedback::Accept ? Ending::Accepted : Ending::FalseAlarm, events);
  return true;
}

void Stream::learn(const Evidence& evidence, Feedback feedback) {
  for (std::size_t c = 0; c < kChannelCount; ++c) {
    const auto id = static_cast<ChannelId>(c);
    if (id == ChannelId::Group) continue;
    const bool learned = feedback == Feedback::Accept && channels_[c] && channels_[c]->accept(evidence);
    if (evidence.scores[c] <= 0 || learned) continue;
    feedback == Feedback::Accept ? judge_.pardon(id, evidence.scores[c]) : judge_.accept(id, evidence.scores[c]);
  }
}

std::unique_ptr<Finding> Stream::find(const Verdict& verdict, const Observation* record) const {
  const auto& channel = channels_[indexOf(verdict.channel)];
  return channel ? channel->find(record) : nullptr;
}

Texts Stream::texts() const {
  for (const auto& channel : channels_) {
    if (channel && !channel->text().empty()) return {key_, hash_, channel->text()};
  }
  return {key_, hash_, {}};
}

std::size_t Stream::memory() const {
  std::size_t bytes = sizeof *this + key_.name.capacity() + key_.tenant.capacity() + judge_.memory() + windows_.memory() +
                      anomalies_.memory() + silence_.memory();
  for (const auto& channel : channels_) {
    if (channel) bytes += channel->memory();
  }
  return bytes;
}

}  // namespace driftlock
