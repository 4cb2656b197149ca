#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/state_bytes.hpp"
#include "channels/channel_id.hpp"

namespace driftlock {

/// What a flagged verdict shows.
struct Sight {
  ChannelId channel = ChannelId::None;
  /// A hash that distinguishes the finding from others.
  std::uint64_t finding = 0;
  /// From 1 (low) to 4 (critical).
  std::uint32_t severity = 0;
};

/// What an anomaly has shown so far, by which news is told from more of the same.
class Shown {
 public:
  /// The most findings that are remembered, and that are news in one anomaly unless they are graver or of another channel.
  static constexpr std::size_t kMostFindings = 16;

  /// Whether the anomaly has not shown this finding yet.
  bool isOther(const Sight& sight) const {
    return !has(sight.channel) || std::ranges::find(findings_, sight.finding) == findings_.end();
  }
  /// Whether the anomaly is to be reported at once: another channel, a higher severity, or another finding as long as there
  /// have not been many.
  bool isNews(const Sight& sight) const {
    return !has(sight.channel) || sight.severity > severity_ || (others_ < kMostFindings && isOther(sight));
  }

  void add(const Sight& sight) {
    if (isOther(sight)) {
      if (findings_.size() == kMostFindings) findings_.erase(findings_.begin());
      findings_.push_back(sight.finding);
      if (others_ < kMostFindings) ++others_;
    }
    channels_ |= 1u << indexOf(sight.channel);
    severity_ = std::max(severity_, sight.severity);
  }
  /// Lets as many findings be news again; those that are known remain known.
  void renew() { others_ = 0; }

  std::size_t memory() const { return findings_.capacity() * sizeof(std::uint64_t); }
  void snapshot(std::vector<std::uint8_t>& out) const {
    StateWriter write(out);
    write(channels_), write(severity_), write(others_);
    put(out, static_cast<std::uint32_t>(findings_.size()));
    for (const std::uint64_t finding : findings_) write(finding);
  }
  /// Returns false if the bytes are not a snapshot; the object is then unusable.
  bool restore(Bytes in) {
    StateReader read(in);
    read(channels_), read(severity_), read(others_);
    const auto size = read.get<std::uint32_t>();
    if (size > kMostFindings || others_ > kMostFindings) return false;
    findings_.resize(size);
    for (std::uint64_t& finding : findings_) read(finding);
    return read.done();
  }

 private:
  bool has(ChannelId channel) const { return (channels_ >> indexOf(channel) & 1) != 0; }

  std::uint32_t channels_ = 0, severity_ = 0, others_ = 0;
  /// The latest findings, each once.
  std::vector<std::uint64_t> findings_;
};

}  // namespace driftlock
