#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.hpp"
#include "cbad/chacha20.hpp"
#include "codec/codec.hpp"

namespace driftlock {

struct PermutationOptions {
  /// Permutations at the most (N), > 0.
  std::uint32_t permutations = 999;
  /// Records moved together, > 0. 1 permutes records; more keeps what neighbours share, since records of a stream are
  /// seldom exchangeable one by one.
  std::uint32_t block = 1;
  /// h of Besag and Clifford: stop after so many permutations at least as extreme. 0 draws all.
  std::uint32_t stopAfter = 0;
  /// Of ChaCha20Random.
  std::uint64_t seed = 0;
};

struct PermutationResult {
  /// In (0, 1].
  double pValue = 1;
  /// Drawn.
  std::uint32_t permutations = 0;
  /// Of those, at least as extreme as observed.
  std::uint32_t exceeding = 0;
  /// The statistic of the data as they came; of permutationTest: bits a byte.
  double observed = 0;
};

/// Draws until `permutations` or until `stopAfter` draws are >= observed, but no more than `most` this time: false if some are
/// left. `result` has what was drawn so far; `draw()` gives the statistic under the null.
/// All drawn, g of them >= observed: p = (1 + g) / (1 + N). Stopped at the l-th: p = h / l. Both are valid: under the null,
/// P(p <= a) <= a.
/// J. Besag and P. Clifford, Sequential Monte Carlo p-values, Biometrika 78(2), 1991.
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

/// All of them at once.
template <class Draw>
PermutationResult monteCarloTest(double observed, std::uint32_t permutations, std::uint32_t stopAfter, Draw&& draw) {
  PermutationResult result{.observed = observed};
  monteCarloDraws(result, permutations, stopAfter, permutations, draw);
  return result;
}

/// Does the window hold more news than chance puts there? The statistic is the window's surprise given the baseline,
///     ((C_BW - C_B) x 8) / |W| bits a byte, with C(W|B) = C_BW - C_B as in Cilibrasi and Vitanyi (see ncd.hpp),
/// of the records as they came and of random exchanges of blocks between the two parts. Each part is cut into blocks of
/// `options.block` records; what is left over (the baseline's oldest, the window's newest) stays where it is, so that all
/// blocks that move are alike. Exact where blocks are exchangeable. Not the NCD: it also looks at how alike a part is in
/// itself, which any exchange destroys, and rejects 7 to 65 % of normal windows of BGL and HDFS at a nominal 5 %; this
/// statistic 0 to 15 %. The same input gives the same result, bit for bit.
class PermutationTest {
 public:
  /// The records and the codec must outlive the test.
  /// @throws std::out_of_range when an option is, or when either part has fewer records than a block;
  ///         std::length_error when the records of either part are together longer than `codec.reach()`, or the window's empty.
  PermutationTest(std::span<const Bytes> baseline, std::span<const Bytes> window, const Codec& codec,
                  const PermutationOptions& options);
  ~PermutationTest();

  /// Draws a piece of what is left: about a mebibyte is compressed. True once all is drawn.
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

/// The whole test at once.
PermutationResult permutationTest(std::span<const Bytes> baseline, std::span<const Bytes> window, const Codec& codec,
                                  const PermutationOptions& options);

}  // namespace driftlock
