#include "report/group_state.hpp"

#include <memory>
#include <utility>

#include "base/state_bytes.hpp"
#include "report/describe.hpp"
#include "report/group_finding.hpp"

namespace driftlock {

GroupState::GroupState(const Settings& settings, StreamKey key, const KeyedHash& hash)
    : group(settings.alarmsPerStreamPerDay, settings.alarmsPerGroupPerDay, settings.stepNanos, settings.recordings),
      key(std::move(key)),
      hash(hash) {}

Event GroupState::eventOf(const StrangeTick& tick, std::vector<NamedMember> members) const {
  Event event;
  event.timeUnixNano = tick.members.front().timeUnixNano;
  event.verdict = {.alarm = tick.alarm,
                   .flagged = tick.alarm != Alarm::Withheld,
                   .pValue = tick.pValue,
                   .score = tick.score / tick.limit,
                   .channel = ChannelId::Group,
                   .channelScore = tick.score,
                   .margin = tick.margin,
                   .early = tick.early,
                   .limit = tick.limit};
  event.finding = std::make_unique<GroupFinding>(key.groupName, tick.usual, members);
  event.members = std::move(members);
  return event;
}

Growth GroupState::grow(const Verdict& verdict, std::uint32_t severity, std::uint64_t finding) {
  const Sight sight{.channel = verdict.channel, .finding = finding, .severity = severity};
  return anomalies.add(verdict, sight, group.now(), group.latest());
}

Growth GroupState::grow(const Event& event, std::uint64_t seed) {
  if (!anomalies.open()) {
    anomalies.begin(group.now(), event.timeUnixNano, hash(seed, key.hash), hash);
    group.setOpen(true);
  }
  return grow(event.verdict, severityOf(event.verdict, Gravity::Normal), 0);
}

void GroupState::describe(Event& event, const Growth& growth, Report& report) const {
  report.verdict = event.verdict;
  report.timeUnixNano = event.timeUnixNano;
  report.reported = true;
  report.news = growth.news;
  report.anomaly = anomalies.current();
  report.members = std::move(event.members);
  driftlock::describe(key, hash, event.finding.get(), report);
}

void GroupState::snapshot(std::vector<std::uint8_t>& out) const {
  putState(out, group);
  putState(out, anomalies);
}

bool GroupState::restore(Bytes in) {
  StateReader read(in);
  return group.restore(read.getBytes()) && anomalies.restore(read.getBytes(), key) && read.done();
}

}  // namespace driftlock
