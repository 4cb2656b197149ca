#include "channels/latency/latency.hpp"

#include <algorithm>
#include <cmath>

#include "base/portable_math.hpp"

namespace driftlock {
namespace {

constexpr std::uint32_t kKnown = 16;
constexpr float kMemory = 1000;
/// The least variance: clocks tick and work is quantised, so a spread below a tenth of an octave is not believed.
constexpr float kLeastVariance = 0.1f * 0.1f;
/// A strange value is learned as if it were at most so many standard deviations from the mean.
constexpr double kMostLearned = 3;
/// The tail begins so many standard deviations above the mean, where a log-normal law has one value of 300,000.
constexpr double kTail = 4.5;
constexpr double kHalfLog2E = 0.7213475204444817;
constexpr double kZ995 = 2.5758293035489004;

}  // namespace

bool LatencyModel::known() const { return count >= kKnown; }

float LatencyModel::octavesOf(double value) { return static_cast<float>(portableLog2(value)); }

double LatencyModel::cost(float octaves) const {
  if (!known()) return 0;
  const double distance = octaves - mean;
  const double squared = distance * distance / std::max(distance > 0 ? above : below, kLeastVariance);
  const double bits = kHalfLog2E * squared;
  if (distance <= 0 || squared <= kTail * kTail || tail <= 0) return bits;
  // The density of the tail falls with the square of the distance.
  return std::min(bits, std::max(kHalfLog2E * kTail * kTail, portableLog2(squared / static_cast<double>(tail))));
}

void LatencyModel::learn(float octaves, bool strange) {
  const bool judged = known();
  if (count < kMemory) ++count;
  if (count == 1) mean = octaves;
  float distance = octaves - mean;
  const float deviation = std::sqrt(std::max(distance > 0 ? above : below, kLeastVariance));
  if (judged) {
    tail += ((distance > static_cast<float>(kTail) * deviation ? 1.0f : 0.0f) - tail) / static_cast<float>(count);
    const float most = static_cast<float>(kMostLearned) * deviation;
    if (strange) distance = std::clamp(distance, -most, most);
  }
  const float rate = 1 / static_cast<float>(count);
  // Each side learns at twice the rate, since it sees half of the durations.
  float& side = distance > 0 ? above : below;
  side += 2 * rate * (distance * distance - side);
  mean += rate * distance;
}

double LatencyModel::low() const { return portableExp(kLn2 * (mean - kZ995 * std::sqrt(std::max(below, kLeastVariance)))); }
double LatencyModel::high() const { return portableExp(kLn2 * (mean + kZ995 * std::sqrt(std::max(above, kLeastVariance)))); }

}  // namespace driftlock
