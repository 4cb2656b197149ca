#pragma once

#include <cstdint>

namespace driftlock {

/// How much rarer a channel's scores become, beyond all that a stream has shown, as they rise.
enum class ScoreLaw : std::uint8_t {
  /// Each step is as rare as the one before: code lengths of a model that knows the tail of its data.
  Exponential,
  /// As squares of such scores, as the code lengths of a model that data with heavy tails surprise.
  Heavy,
};

}  // namespace driftlock
