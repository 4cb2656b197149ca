#include "report/tick_evidence.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "otlp/writer.hpp"

namespace driftlock {

TickEvidence::TickEvidence(const StreamKey& key, const Identity& identity, ChannelId channel, bool lasts, std::uint64_t tick)
    : stream_(key.hash),
      tick_(tick),
      channel_(channel),
      lasts_(lasts),
      signal_(key.signal),
      tenant_(key.tenant),
      name_(key.name),
      identity_(identity) {}

void TickEvidence::add(const Sighting& sighting) {
  ++(sighting.verdict.flagged ? flagged_ : withheld_);
  severity_ = std::max(severity_, sighting.severity);
  if (sighting.verdict.margin > margin_) {
    margin_ = sighting.verdict.margin;
    pValue_ = sighting.verdict.pValue;
    finding_ = sighting.finding;
    score_ = sighting.verdict.silentFor > 0 || lasts_ ? 0 : sighting.verdict.channelScore;
  }
  std::array<std::uint8_t, 16> trace{};
  if (traces_.size() == kMostIds || sighting.traceId.size() != trace.size()) return;
  std::ranges::copy(sighting.traceId, trace.begin());
  if (std::ranges::find(traces_, trace) == traces_.end()) traces_.push_back(trace);
}

void TickEvidence::belongsTo(std::string_view anomaly) {
  if (anomalies_.size() < kMostIds && std::ranges::find(anomalies_, anomaly) == anomalies_.end())
    anomalies_.emplace_back(anomaly);
}

bool TickEvidence::operator<(const TickEvidence& other) const {
  const auto place = [](const TickEvidence& e) {
    return std::tie(e.tick_, e.tenant_, e.name_, e.identity_.service, e.identity_.instance, e.identity_.host, e.channel_,
                    e.stream_, e.lasts_);
  };
  return place(*this) < place(other);
}

std::vector<std::uint8_t> TickEvidence::encode() const {
  std::vector<std::uint8_t> out;
  otlp::Writer write(out);
  write.string(1, tenant_);
  write.integer(2, static_cast<std::uint64_t>(signal_));
  write.string(3, name_);
  write.string(4, identity_.service);
  write.string(5, identity_.instance);
  write.string(6, identity_.host);
  write.integer(7, infoOf(channel_).number);
  write.fixed(8, tick_ * kEvidenceTick);
  write.integer(9, flagged_);
  write.integer(10, withheld_);
  write.real(11, margin_);
  write.real(12, pValue_);
  write.integer(13, severity_);
  for (const std::string& anomaly : anomalies_) write.string(14, anomaly);
  for (const auto& trace : traces_) write.bytes(15, trace);
  write.fixed(16, finding_);
  write.integer(17, lasts_ ? 1 : 0);
  write.real(18, score_);
  return out;
}

TickEvidence* EvidencePage::add(const StreamKey& key, const Identity& identity, const Sighting& sighting) {
  const std::uint64_t tick = sighting.timeUnixNano / kEvidenceTick;
  const ChannelId channel = sighting.verdict.channel;
  const bool lasts = sighting.verdict.lasting > 0;
  // Flags of one stream tend to follow each other.
  auto found =
      std::find_if(all_.rbegin(), all_.rend(), [&](const auto& each) { return each->isOf(key, identity, channel, lasts, tick); });
  if (found == all_.rend()) {
    if (all_.size() == kMost) {
      ++leftOut_;
      return nullptr;
    }
    all_.push_back(std::make_unique<TickEvidence>(key, identity, channel, lasts, tick));
    found = all_.rbegin();
  }
  (*found)->add(sighting);
  return found->get();
}

std::uint32_t EvidencePage::take(std::vector<std::unique_ptr<TickEvidence>>& out) {
  std::ranges::move(all_, std::back_inserter(out));
  all_.clear();
  return std::exchange(leftOut_, 0);
}

}  // namespace driftlock
