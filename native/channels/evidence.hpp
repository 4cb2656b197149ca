#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/window.hpp"
#include "channels/channel_id.hpp"

namespace driftlock {

/// What was flagged in an anomaly, kept so that a person's feedback can be applied to it.
struct Evidence {
  std::string id;
  /// The largest flagged score of each channel; 0 if there was none.
  std::array<double, kChannelCount> scores{};
  /// Hashes of fields that were new, and records with the first of them.
  std::vector<std::uint64_t> novelties;
  Window examples{4, 1024};
  /// The length of a silence of the stream in octaves, as in Silence; 0 if there was none.
  double silence = 0;

  static constexpr std::size_t kMostNovelties = 32;
};

}  // namespace driftlock
