#include "recording/recorder.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/state_bytes.hpp"
#include "otlp/splice.hpp"
#include "record/conceal.hpp"
#include "recording/recompute.hpp"
#include "recording/recording.hpp"

namespace driftlock {
namespace {

/// Returns a request that holds one record alone, with its resource and scope.
std::vector<std::uint8_t> alone(const otlp::Index& index, std::uint32_t record) {
  const std::array edits{otlp::Edit{record, {}}};
  otlp::Splicer splicer;
  std::vector<std::uint8_t> out(splicer.plan(index, edits, otlp::Keep::Edited));
  splicer.write(out.data());
  return out;
}

/// Whether there are values that a policy replaces in evidence, and leaves as they are in what is stored.
bool isStricterInEvidence(const privacy::Policy& policy) {
  constexpr auto kEvidence = static_cast<std::size_t>(privacy::Place::Evidence),
                 kStored = static_cast<std::size_t>(privacy::Place::Stored);
  const privacy::Actions& actions = policy.actions();
  const auto stricter = [](privacy::Action evidence, privacy::Action stored) {
    return evidence != privacy::Action::Flag && stored == privacy::Action::Flag;
  };
  return stricter(actions[kEvidence], actions[kStored]) || std::ranges::any_of(policy.rules(), [&](const privacy::Rule& rule) {
           return stricter(rule.actions[kEvidence].value_or(actions[kEvidence]),
                           rule.actions[kStored].value_or(actions[kStored]));
         });
}

}  // namespace

Recorder::Kept* Recorder::keep(const Stream& stream, const Group& group) {
  if (kept_ == all_.size()) return nullptr;
  Kept& kept = all_[kept_++];
  kept.state.clear();
  putState(kept.state, group);
  stream.snapshot(kept.state);
  kept.share = group.share();
  return &kept;
}

void Recorder::see(const Stream& stream, const Group& group, const Seen& seen) {
  Kept* const kept = keep(stream, group);
  if (!kept) return;
  kept->channel = seen.verdict.channel;
  kept->pValue = seen.verdict.pValue;
  kept->score = seen.verdict.channelScore;
  kept->first = seen.first;
  kept->resumed = seen.resumed;
  kept->unit = seen.unit;
  kept->now = seen.now;
}

void Recorder::beforeSilence(const Stream& stream, const Group& group, const Moment& moment) {
  if (!witness()) return;
  Kept& kept = *keep(stream, group);
  kept.channel = ChannelId::None;
  kept.unit = ChannelId::None;
  kept.moment = moment;
}

void Recorder::record(const Stream& stream, const otlp::Index* index, std::uint32_t record, std::uint64_t arrival,
                      Report& report) {
  if (!settings_.recordings) return;
  if (left_ == 0) {
    report.unrecorded = Unrecorded::Many;
    return;
  }
  const Verdict& verdict = report.verdict;
  const Kept* own = nullptr;
  for (std::size_t i = 0; i < kept_ && !own; ++i) {
    const Kept& kept = all_[i];
    const bool silence = kept.channel == ChannelId::None;
    const bool same = kept.channel == verdict.channel && kept.pValue == verdict.pValue && kept.score == verdict.channelScore &&
                      (kept.unit == ChannelId::None) == (report.record != Report::kNoRecord);
    if (silence ? verdict.silentFor > 0 : same) own = &kept;
  }
  if (!own) {
    report.unrecorded = verdict.channel == ChannelId::Group ? Unrecorded::Group : Unrecorded::Other;
    return;
  }
  --left_;
  Recording recording{.signal = stream.key().signal,
                      .share = own->share,
                      .hashKey = keyOfStream(settings_.hashKey, stream.key().family),
                      .settings = settings_,
                      .policy = stream.policy(),
                      .measured = report.hasMetrics && report.anomaly.occurrences == 1};
  recording.settings.privacy = settings_.privacy->of(stream.key().scope());
  // The state has what is stored.
  if (isStricterInEvidence(*recording.settings.privacy)) {
    report.unrecorded = Unrecorded::Masked;
    return;
  }
  if (report.permutation.permutations == 0) recording.settings.permutations = 0;
  bool large = own->state.size() > Recording::kMostState;
  std::vector<std::uint8_t> received;
  if (report.record != Report::kNoRecord) {
    // The one that was received, if this one was derived from it.
    recording.record = report.record;
    recording.first = own->first;
    recording.resumed = own->resumed;
    recording.arrival = arrival;
    large |= index->bytes(index->records[record]).size() > Recording::kMostRecord;
    if (!large) received = alone(*index, record);
    recording.request = received;
    concealRequest(recording.signal, recording.request, {*settings_.privacy, privacy::Place::Evidence, stream.key().scope()});
    large |= recording.request.size() > Recording::kMostRecord;
  } else if (own->unit != ChannelId::None) {
    recording.unit = own->unit;
    recording.now = own->now;
  } else {
    recording.moment = own->moment;
  }
  if (large) {
    report.unrecorded = Unrecorded::Large;
    return;
  }
  if (add(recording, own->state, report)) return;
  recording.state = own->state;
  give(recording, std::move(received), stream.key().scope());
  if (!add(recording, own->state, report)) report.unrecorded = Unrecorded::Masked;
}

void Recorder::record(const GroupState& group, Bytes state, Report& report) {
  if (left_ == 0) {
    report.unrecorded = Unrecorded::Many;
    return;
  }
  --left_;
  Recording recording{.signal = group.key.signal,
                      .hashKey = keyOfStream(settings_.hashKey, group.key.hash),
                      .settings = settings_,
                      .group = RecordedGroup{.key = group.key, .members = {}}};
  recording.settings.privacy = settings_.privacy->of(group.key.scope());
  for (const NamedMember& each : report.members)
    recording.group->members.push_back({each.member.stream, each.stream, each.instance});
  if (!add(recording, state, report)) report.unrecorded = Unrecorded::Masked;
}

bool Recorder::add(const Recording& recording, Bytes state, Report& report) const {
  std::vector<std::uint8_t> bytes = encodeRecording(recording, packer_.compress(state));
  if (!recomputes(readRecording(bytes), report)) return false;
  report.recording = std::move(bytes);
  return true;
}

void Recorder::give(Recording& recording, std::vector<std::uint8_t> received, const privacy::Scope& scope) const {
  const auto found = std::make_shared<privacy::Findings>(KeyedHash(recording.hashKey));
  recording.settings.privacy = settings_.privacy->noting(scope, found);
  recording.request.swap(received);
  judgeAgain(recording);
  recording.request.swap(received);
  recording.settings.privacy = settings_.privacy->of(scope, found->given());
  // What it takes this time is what it needs.
  judgeAgain(recording);
}

}  // namespace driftlock
