#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.hpp"
#include "cbad/chacha20.hpp"
#include "codec/codec.hpp"

namespace driftlock {

struct PermutationOptions {
  /// The largest number of permutations (N), > 0.
  std::uint32_t permutations = 999;
  /// The number of records moved together, > 0. 1 permutes records; more keeps what neighbours share, since records of a stream
  /// are seldom exchangeable one by one.
  std::uint32_t block = 1;
  /// Besag and Clifford's h: the test stops after this many permutations at least as extreme. 0 draws all.
  std::uint32_t stopAfter = 0;
  /// The seed of ChaCha20Random.
  std::uint64_t seed = 0;
};

struct PermutationResult {
  /// The p-value, in (0, 1].
  double pValue = 1;
  /// The number of permutations drawn.
  std::uint32_t permutations = 0;
  /// The number of those at least as extreme as observed.
  std::uint32_t exceeding = 0;
  /// The statistic of the data in their original order; for permutationTest in bits per byte.
  double observed = 0;
};

/// Draws until `permutations` or until `stopAfter` draws are >= observed, but no more than `most` this time; returns false if
/// some are left. `result` has what was drawn so far; `draw()` returns the statistic under the null. If all were drawn, g of them
/// >= observed: p = (1 + g) / (1 + N). If stopped at the l-th: p = h / l. Both are valid: under the null, P(p <= a) <= a. J.
/// Besag and P. Clifford, Sequential Monte Carlo p-values, Biometrika 78(2), 1991.
template <class Draw>
bool monteCarloDraws(PermutationResult& result, std::uint32_t permutations, std::uint32_t stopAfter, std::uint32_t most,
                     Draw&& draw) {
  for (; result.permutations < permutations; --most) {
    if (most == 0) return false;
    ++result.permutations;
    if (draw() < result.observed) continue;
    if (++result.exceeding == stopAfter) {
      result.pValue = static_cast<double>(stopAfter) / result.permutations;
      return true;
    }
  }
  result.pValue = (1.0 + result.exceeding) / (1.0 + permutations);
  return true;
}

/// Draws all of them at once.
template <class Draw>
PermutationResult monteCarloTest(double observed, std::uint32_t permutations, std::uint32_t stopAfter, Draw&& draw) {
  PermutationResult result{.observed = observed};
  monteCarloDraws(result, permutations, stopAfter, permutations, draw);
  return result;
}

/// Tests whether the window holds more that is new than chance would put there. The statistic is the window's surprise given the
/// baseline, ((C_BW - C_B) x 8) / |W| bits per byte, with C(W|B) = C_BW - C_B as in Cilibrasi and Vitanyi (see ncd.hpp), for the
/// records in their original order and for random exchanges of blocks between the two parts. Each part is cut into blocks of
/// `options.block` records; the remainder (the baseline's oldest, the window's newest) is not moved, so that all blocks that move
/// are alike. The test is exact if blocks are exchangeable. The statistic is not the NCD, which also depends on how uniform a
/// part is in itself: any exchange destroys that, so it rejects 7 to 65 % of normal windows of BGL and HDFS at a nominal 5 %;
/// this statistic rejects 0 to 15 %. The same input gives the same result, bit for bit.
class PermutationTest {
 public:
  /// The records and the codec must outlive the test. @throws std::out_of_range if an option is out of range or either part has
  /// fewer records than a block; std::length_error if the records of either part together exceed `codec.reach()`, or the window
  /// is empty.
  PermutationTest(std::span<const Bytes> baseline, std::span<const Bytes> window, const Codec& codec,
                  const PermutationOptions& options);
  ~PermutationTest();

  /// Draws a piece of what is left: about a mebibyte is compressed. Returns true once all is drawn.
  bool draw();
  const PermutationResult& result() const { return result_; }

 private:
  class Arrangement;

  const Codec& codec_;
  PermutationOptions options_;
  std::unique_ptr<Arrangement> arrangement_;
  ChaCha20Random random_;
  PermutationResult result_;
};

/// Runs the whole test at once.
PermutationResult permutationTest(std::span<const Bytes> baseline, std::span<const Bytes> window, const Codec& codec,
                                  const PermutationOptions& options);

}  // namespace driftlock
