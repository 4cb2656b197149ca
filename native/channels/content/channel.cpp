#include <algorithm>
#include <utility>
#include <vector>

#include "base/state_bytes.hpp"
#include "base/tags.hpp"
#include "channels/channel.hpp"
#include "channels/content/content.hpp"
#include "record/conceal.hpp"
#include "text/sentence.hpp"
#include "text/telling.hpp"

namespace driftlock {
namespace {

/// Novelty with a score below this is learned at once. Other novelty becomes normal once it has been seen often enough
/// for as long as the settings require; until then only its p-value shows how common it has become.
constexpr double kHarmless = 0.5;
constexpr std::uint8_t kSightings = 16;
constexpr std::size_t kMostSightings = 256;

/// Novelty that was reported is evidence again when it returns after it had stopped: it stayed away for so many times as long
/// as it ever did while it kept coming, and at least for ten minutes; or for as long as it takes to become normal. What was
/// seen once is taken to come every hour, so that news that is merely rare is not reported again and again.
constexpr std::uint32_t kStopped = 4;
constexpr std::uint32_t kLeastAbsenceSeconds = 600, kRareSeconds = 3'600;

/// A novelty and how often it was seen; what keeps coming becomes normal.
struct Sighting {
  std::uint64_t signature = 0;
  /// The times of the first and last sighting, in seconds of the stream's clock.
  std::uint32_t first = 0, last = 0;
  /// The longest time between two sightings, in seconds.
  std::uint32_t longest = 0;
  std::uint8_t count = 0;
  /// Whether it was flagged.
  bool reported = false;

  /// Whether it had stopped before it is seen at this time.
  bool returns(std::uint32_t seconds, std::uint32_t acceptAfterSeconds) const {
    const std::uint32_t absence = count > 1 ? longest : kRareSeconds;
    const std::uint64_t stopped = std::max<std::uint64_t>(kLeastAbsenceSeconds, std::uint64_t{kStopped} * absence);
    return seconds - last >= std::min<std::uint64_t>(stopped, acceptAfterSeconds);
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    v(self.signature), v(self.count), v(self.first), v(self.last), v(self.longest), v(self.reported);
  }
};

/// A stream's latest novelties, bounded; the least recently seen one makes room.
class Sightings {
 public:
  /// Finds a novelty; null if it was not seen before.
  Sighting* find(std::uint64_t signature) {
    const std::size_t found =
        findTagged(tags_, tagOf(templateId(signature)), [&](std::size_t i) { return sightings_[i].signature == signature; });
    return found == sightings_.size() ? nullptr : &sightings_[found];
  }

  Sighting& add(std::uint64_t signature, std::uint32_t seconds) {
    const bool full = sightings_.size() == kMostSightings;
    const std::size_t at = full ? oldest(seconds) : sightings_.size();
    if (!full) {
      sightings_.emplace_back();
      tags_.emplace_back();
    }
    tags_[at] = tagOf(templateId(signature));
    return sightings_[at] = {.signature = signature, .first = seconds, .last = seconds};
  }

  std::size_t memory() const { return sightings_.capacity() * sizeof(Sighting) + tags_.capacity(); }

  void snapshot(std::vector<std::uint8_t>& out) const {
    StateWriter write(out);
    put(out, static_cast<std::uint32_t>(sightings_.size()));
    for (const Sighting& sighting : sightings_) Sighting::visit(sighting, write);
  }

  bool restore(StateReader& in) {
    const auto size = in.get<std::uint32_t>();
    if (size > kMostSightings) return false;
    sightings_.resize(size);
    for (Sighting& sighting : sightings_) {
      Sighting::visit(sighting, in);
      tags_.push_back(tagOf(templateId(sighting.signature)));
    }
    return in.ok();
  }

 private:
  /// The place of the first of those that were seen least recently.
  std::size_t oldest(std::uint32_t seconds) {
    const auto begin = sightings_.begin(), end = sightings_.end();
    // A sighting only becomes younger: while some of the oldest second are left, the first of them is where the last
    // one was found, or after it. The seconds wrap around in 2106.
    auto found = seconds < oldestSeconds_ ? end
                                          : std::find_if(
                                                begin + static_cast<std::ptrdiff_t>(oldest_), end,
                                                [&](const Sighting& s) { return s.last == oldestSeconds_; });
    if (found == end) found = std::ranges::min_element(sightings_, {}, &Sighting::last);
    oldestSeconds_ = found->last;
    return oldest_ = static_cast<std::size_t>(found - begin);
  }

  /// The sightings, in no particular order.
  std::vector<Sighting> sightings_;
  // These make the search quick; they are no part of the state.
  std::vector<std::uint8_t> tags_;
  std::size_t oldest_ = 0;
  std::uint32_t oldestSeconds_ = 0;
};

/// The new parts of a record. They are described while the record is available.
class ContentFinding final : public Finding {
 public:
  /// What the references name outlives it.
  ContentFinding(const Observation& record, otlp::Signal signal, const privacy::Policy& privacy)
      : record_(record), signal_(signal), privacy_(privacy) {}

  void mark(const std::vector<std::uint32_t>& starts, std::vector<LiteralRun>& novel) const override {
    novelRanges(record_.record, record_.content, starts, novel);
    starts_ = starts;
  }

  void describe(const Texts&, Description& out) const override {
    out.field = blamedField(record_.record, record_.content, signal_);
    out.fieldCosts = fieldCosts(record_.record, record_.content, signal_);
    out.wantsNearest = true;
    std::size_t bytes = 0;
    const LiteralRun* example = nullptr;
    std::pair<std::size_t, std::uint32_t> most;
    for (const LiteralRun& run : out.novel) {
      bytes += run.end - run.start;
      const std::pair telling(text::telling(out.text, run.start, run.end), run.end - run.start);
      if (example && telling <= most) continue;
      most = telling;
      example = &run;
    }
    std::string& sentence = out.sentence;
    sentence.reserve(text::kUsualSentence);
    if (describeKind(out)) return;
    if (example && describeProse(*example, out)) return;
    text::append(sentence, std::to_string(bytes), " of the record's ", std::to_string(out.text.size()),
                 " bytes are new to this stream");
    if (example) {
      text::append(sentence, ", such as ", text::quoted(out.text.substr(example->start, endOf(*example, out) - example->start)),
                   " in ", fieldAt(example->start));
    }
    text::append(sentence, "; they cost ", text::fixed(out.bits, 0), " bits");
  }

 private:
  /// Where the quotation of a new part ends: with the last new part of its line that fits, so that it can be understood.
  static std::size_t endOf(const LiteralRun& example, const Description& out) {
    std::size_t end = example.end;
    const std::size_t line = std::min(out.text.find('\n', example.start), out.text.size());
    for (const LiteralRun& run : out.novel) {
      const std::size_t stop = std::min<std::size_t>(run.end, line);
      if (run.start >= example.end && run.start < line && stop - example.start <= text::kMostQuoted) end = stop;
    }
    return end;
  }

  /// The field to which a place in the record's text belongs: its key comes before its value.
  std::string fieldAt(std::uint32_t place) const {
    std::size_t field = 0;
    while (field + 1 < starts_.size() && place + record_.record.fields[field + 1].key.size() + 1 >= starts_[field + 1]) ++field;
    return fieldName(record_.record.fields[field].key, signal_);
  }

  /// Compares the costs of the text that an example is from with usual ones. Returns false if it is not prose.
  bool describeProse(const LiteralRun& example, Description& out) const {
    const std::string field = fieldAt(example.start);
    for (const ContentScore::Prose& prose : record_.content.prose) {
      if (prose.usual.worst == 0 || prose.part.start == prose.part.end) continue;
      if (fieldName(record_.record.fields[record_.content.unknown[prose.unknown].field].key, signal_) != field) continue;
      text::append(out.sentence, text::quoted(out.text.substr(example.start, example.end - example.start)), " in ", field,
                   " reads unlike earlier texts: up to ", text::fixed(prose.cost.worst), " bits per byte where ",
                   text::fixed(prose.usual.worst), " are usual, and ", text::fixed(prose.cost.mean), " on average, usually ",
                   text::fixed(prose.usual.mean));
      return true;
    }
    return false;
  }

  /// Names a kind of personal or secret values that is new, never the value.
  bool describeKind(Description& out) const {
    const auto& appeared = record_.content.appeared;
    if (!appeared) return false;
    out.field = fieldName(record_.record.fields[appeared->first].key, signal_);
    std::string kind = privacy_.pluralOf(appeared->second);
    kind[0] = static_cast<char>(kind[0] >= 'a' && kind[0] <= 'z' ? kind[0] - ('a' - 'A') : kind[0]);
    text::append(out.sentence, kind, " appear in ", text::quoted(out.field), ", which had none before; the new content costs ",
                 text::fixed(out.bits, 0), " bits");
    return true;
  }

  const Observation& record_;
  otlp::Signal signal_;
  const privacy::Policy& privacy_;
  /// Where the values of the fields begin in the text, as `mark` was told.
  mutable std::vector<std::uint32_t> starts_;
};

/// Detects content of logs and spans that the baseline does not contain.
class ContentChannel final : public Channel {
 public:
  explicit ContentChannel(const ChannelContext& context)
      : key_(context.key),
        policy_(context.policy),
        acceptAfterSeconds_(static_cast<std::uint32_t>(context.acceptAfterNanos / 1'000'000'000)),
        records_(context.records),
        callTexts_(context.callTexts),
        model_(context.dictionarySize, context.hash, context.privacy, context.key),
        privacy_(context.privacy) {}

  void observe(Observation& record) override {
    ContentScore& content = record.content;
    if (records_) model_.keep();
    model_.score(record.record, content);
    Score& score = record.scores.add({.channel = ChannelId::Content, .score = content.score, .bits = content.bits});
    score.inWindow = content.density;
    content.searchedVersion = model_.dictionary().version();
    if (content.score < kHarmless) return;
    const Sighting* sighting = sightings_.find(content.signature);
    if (!sighting) return;
    score.whole = false;
    score.reported = sighting->reported && !sighting->returns(record.seconds(), acceptAfterSeconds_);
  }

  void learn(Observation& record, const Outcome& outcome, Host&) override {
    model_.release();
    if (!record.content.unknown.empty()) record.content.identifiers = model_.noteNews(record.record, record.content, record.seen);
    if (becomesNormal(record, outcome)) model_.learn(record.record, record.content);
    if (!record.content.unknown.empty()) record.content.searchedBytes = model_.dictionary().text().size();
  }

  void learned() override { model_.anchor(); }

  std::unique_ptr<Finding> find(const Observation* record) const override {
    return std::make_unique<ContentFinding>(*record, key_.signal, privacy_);
  }

  std::uint64_t kind(const Observation& record) const override { return record.content.signature; }

  void remember(const Observation& record, Evidence& evidence) const override {
    bool fresh = false;
    for (const ContentScore::Unknown& unknown : record.content.unknown) {
      auto& known = evidence.novelties;
      if (known.size() == Evidence::kMostNovelties || std::ranges::find(known, unknown.hash) != known.end()) continue;
      known.push_back(unknown.hash);
      fresh = true;
    }
    // The first examples are kept; none gives way to a later one.
    if (!fresh || !evidence.examples.fits(record.raw)) return;
    evidence.examples.push(record.raw);
    const privacy::Masking masking(privacy_, privacy::Place::Stored, key_.scope());
    evidence.examples.rewriteLatest(
        [&](std::span<std::uint8_t> example) { conceal(key_.signal, key_.metricType, example, masking); });
    evidence.examples.compact();
  }

  bool accept(const Evidence& evidence) override {
    thread_local RecordView record;
    thread_local ContentScore content;
    evidence.examples.forEach([&](Bytes raw) {
      readFields(key_.signal, key_.metricType, raw, record, callTexts_);
      policy_->strip(record);
      model_.score(record, content);
      model_.learn(record, content);
    });
    for (const std::uint64_t field : evidence.novelties) model_.know(field);
    return true;
  }

  Bytes text() const override { return model_.dictionary().text(); }
  std::size_t memory() const override { return sizeof *this + model_.memory() + sightings_.memory(); }

  void snapshot(std::vector<std::uint8_t>& out) const override {
    putState(out, model_);
    sightings_.snapshot(out);
  }

  bool restore(Bytes in) override {
    StateReader read(in);
    return model_.restore(read.getBytes()) && sightings_.restore(read) && read.done();
  }

 private:
  bool becomesNormal(const Observation& record, const Outcome& outcome) {
    const ContentScore& content = record.content;
    if (content.unknown.empty() && !content.nameUnknown) return false;
    if (outcome.learning || content.score < kHarmless) return true;
    // Prose that begins after the baseline has one of its own.
    if (std::ranges::any_of(content.prose, &ContentScore::Prose::fresh) && !outcome.flagged) return true;
    Sighting* sighting = sightings_.find(content.signature);
    if (!sighting) sighting = &sightings_.add(content.signature, record.seconds());
    if (sighting->returns(record.seconds(), acceptAfterSeconds_)) sighting->reported = false;
    sighting->longest = std::max(sighting->longest, record.seconds() - sighting->last);
    sighting->last = record.seconds();
    sighting->reported |= outcome.flagged;
    if (sighting->count < kSightings) ++sighting->count;
    return sighting->count == kSightings && record.seconds() - sighting->first >= acceptAfterSeconds_;
  }

  const StreamKey& key_;
  const std::shared_ptr<const Policy>& policy_;
  std::uint32_t acceptAfterSeconds_;
  bool records_;
  CallTexts callTexts_;
  ContentModel model_;
  const privacy::Policy& privacy_;
  Sightings sightings_;
};

}  // namespace

std::unique_ptr<Channel> makeContentChannel(const ChannelContext& context) {
  if (context.key.signal == otlp::Signal::Metrics || context.key.derived >= Derived::Steps) return nullptr;
  return std::make_unique<ContentChannel>(context);
}

}  // namespace driftlock
