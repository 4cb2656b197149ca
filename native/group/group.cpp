#include "group/group.hpp"

#include "base/state_bytes.hpp"
#include "channels/channel.hpp"

namespace driftlock {
namespace {

constexpr std::uint64_t kTick = 60'000'000'000;
/// The time for which a flag of a stream stands for what its group shows, as long as its anomaly stays open.
constexpr std::uint64_t kRecent = 300'000'000'000;
/// The number of ticks that a group learns before it is judged.
constexpr std::uint64_t kYoung = 100;
/// The largest p-value of a strange tick, and how far beyond everything that a young group has shown a tick is strange.
constexpr double kLargestLimit = 0.001, kFarOut = 16;

}  // namespace

/// The channel is that of groups: no stream has it.
std::unique_ptr<Channel> makeGroupChannel(const ChannelContext&) { return nullptr; }

Group::Group(double perStream, double perGroup, std::uint64_t stepNanos, bool records)
    : ratio_(perGroup > 0 ? perGroup / perStream : 1),
      records_(records),
      clock_(stepNanos),
      budget_(perGroup > 0 ? perGroup : perStream) {}

const std::size_t& Group::enter(std::uint64_t family) {
  std::size_t& streams = families_[family];
  if (++streams == 1) divide();
  return streams;
}

void Group::exit(std::uint64_t family) {
  const auto left = families_.find(family);
  if (--left->second > 0) return;
  families_.erase(left);
  divide();
}

void Group::change(std::size_t& count, std::size_t by) {
  count += by;
  divide();
}

bool Group::accompany(const Share& share, std::uint64_t family) {
  for (std::size_t i = 0; i < kSignals; ++i) {
    // Far beyond what any group has.
    if (share.channels[i] < channels_[i] || share.channels[i] > UINT32_MAX) return false;
    channels_[i] = share.channels[i];
  }
  share.compares ? (void)enter(~family) : divide();
  return true;
}

void Group::divide() {
  const auto signals = static_cast<double>(std::ranges::count_if(channels_, [](std::size_t each) { return each > 0; }));
  const double parts = signals + (compares() ? 1 : 0);
  for (std::size_t i = 0; i < kSignals; ++i) {
    shares_[i] = channels_[i] == 0 ? 0 : ratio_ / (parts * static_cast<double>(channels_[i]));
  }
}

Alarm Group::judge(double p, double limit, std::uint64_t ahead, double weight) {
  budget_.observe(clock_.now() + ahead, ahead == 0 && clock_.guessed());
  return budget_.judge(p, limit, false, weight);
}

void Group::observe(std::uint64_t timeUnixNano, bool first) {
  clock_.observe(timeUnixNano, first);
  const std::uint64_t tick = clock_.now() / kTick;
  if (tick == tick_) return;
  tick_ = tick;
  budget_.observe(clock_.now(), clock_.guessed());
  if (members_.empty()) return;
  judgeTick();
  if (!calibration_) calibration_ = std::make_unique<Calibration>(infoOf(ChannelId::Group).unit);
  calibration_->learn(distance(), alarm_, limit(true));
  members_.clear();
  alarm_ = Alarm::None;
}

void Group::note(const Member& member) {
  if (!compares() || !(member.distance > 0)) return;
  const auto own = std::ranges::find(members_, member.family, &Member::family);
  if (own != members_.end()) {
    if (member.distance > own->distance) *own = member;
  } else if (members_.size() < kMostMembers) {
    members_.push_back(member);
  } else if (const auto least = std::ranges::min_element(members_, {}, &Member::distance); member.distance > least->distance) {
    *least = member;
  }
}

double Group::distance() const {
  double sum = 0;
  for (const Member& member : members_) sum += member.distance;
  return sum;
}

double Group::limit(bool early) const {
  const double units = static_cast<double>(std::max<std::uint64_t>(1, calibration_->learnt()));
  const double groups = static_cast<double>(groups_);
  return std::min(kLargestLimit, std::max(budget_.limit() / groups, 1 / (kFarOut * units * (early ? 1 : groups))));
}

void Group::judgeTick() {
  if (alarm_ != Alarm::None || members_.empty() || !calibration_ || calibration_->learnt() < kYoung) return;
  const double sum = distance(), most = limit(true), p = calibration_->pValue(sum);
  if (!(p <= most)) return;
  const bool recent = flaggedBy_ != 0 && clock_.now() - flaggedAt_ <= kRecent;
  std::vector<std::uint8_t> before;
  if (records_) snapshot(before);
  alarm_ = budget_.judge(p, most, open_ || recent);
  strange_ = {.score = sum,
              .usual = calibration_->median(),
              .limit = calibration_->limit(most),
              .pValue = p,
              .margin = most / p,
              .early = p > limit(false) ? most / p : 0,
              .alarm = alarm_,
              .members = members_,
              .owner = recent && !open_ ? flaggedBy_ : 0,
              .before = std::move(before)};
  std::ranges::sort(strange_->members, [](const Member& a, const Member& b) {
    return a.distance != b.distance ? a.distance > b.distance : a.stream < b.stream;
  });
}

void Group::accept(double score) {
  if (calibration_) calibration_->learn(score);
}

template <class Self, class Visitor>
void Group::visit(Self& self, Visitor& v) {
  StreamClock::visit(self.clock_, v);
  v(self.tick_), v(self.flaggedBy_), v(self.flaggedAt_), v(self.open_), v(self.groups_);
}

void Group::snapshot(std::vector<std::uint8_t>& out) const {
  StateWriter write(out);
  visit(*this, write);
  put<std::uint8_t>(out, static_cast<std::uint8_t>(alarm_));
  put<std::uint8_t>(out, static_cast<std::uint8_t>(members_.size()));
  for (const Member& member : members_) {
    write(member.stream), write(member.family), put<std::uint8_t>(out, static_cast<std::uint8_t>(member.channel));
    write(member.distance), write(member.score), write(member.pValue), write(member.timeUnixNano);
  }
  putOptional(out, calibration_);
  putState(out, budget_);
}

bool Group::restore(Bytes in) {
  StateReader read(in);
  visit(*this, read);
  const auto alarm = read.get<std::uint8_t>(), members = read.get<std::uint8_t>();
  if (alarm > static_cast<std::uint8_t>(Alarm::Withheld) || members > kMostMembers || groups_ == 0) return false;
  alarm_ = static_cast<Alarm>(alarm);
  members_.resize(members);
  for (Member& member : members_) {
    read(member.stream), read(member.family);
    const auto channel = read.get<std::uint8_t>();
    read(member.distance), read(member.score), read(member.pValue), read(member.timeUnixNano);
    if (channel >= kChannelCount || !(member.distance > 0 && member.distance <= kMostDistance)) return false;
    member.channel = static_cast<ChannelId>(channel);
  }
  return getOptional(read, calibration_, [] { return std::make_unique<Calibration>(infoOf(ChannelId::Group).unit); }) &&
         budget_.restore(read.getBytes()) && read.done();
}

}  // namespace driftlock
