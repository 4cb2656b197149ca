#include "cbad/permutation.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "cbad/chacha20.hpp"
#include "cbad/ncd.hpp"

namespace driftlock {
namespace {

std::size_t total(std::span<const Bytes> records) {
  return std::accumulate(records.begin(), records.end(), std::size_t{0},
                         [](std::size_t sum, Bytes record) { return sum + record.size(); });
}

/// The approximate number of bytes compressed in one piece of a test.
constexpr std::size_t kPieceBytes = 1 << 20;

}  // namespace

/// The records of both parts with their blocks in some order, laid end to end in one buffer that is overwritten repeatedly.
class PermutationTest::Arrangement {
 public:
  Arrangement(std::span<const Bytes> baseline, std::span<const Bytes> window, std::size_t block)
      : baseline_(baseline), window_(window), blockSize_(block), baselineBlocks_(baseline.size() / block) {
    blocks_.reserve(baselineBlocks_ + window.size() / block);
    for (std::size_t end = baseline.size() % block + block; end <= baseline.size(); end += block)
      blocks_.push_back(baseline.data() + end - block);
    for (std::size_t end = block; end <= window.size(); end += block) blocks_.push_back(window.data() + end - block);
    bytes_.resize(total(baseline) + total(window));
  }

  /// The Fisher-Yates shuffle: every order is equally likely, whatever the previous one.
  void shuffle(ChaCha20Random& random) {
    for (auto i = static_cast<std::uint32_t>(blocks_.size()); i > 1; --i) std::swap(blocks_[i - 1], blocks_[random.below(i)]);
  }

  std::size_t size() const { return bytes_.size(); }

  double surprise(const Codec& codec) {
    position_ = 0;
    append(baseline_.first(baseline_.size() % blockSize_));
    for (std::size_t i = 0; i < baselineBlocks_; ++i) append({blocks_[i], blockSize_});
    const auto split = position_;
    for (std::size_t i = baselineBlocks_; i < blocks_.size(); ++i) append({blocks_[i], blockSize_});
    append(window_.last(window_.size() % blockSize_));

    // Blocks of empty records may make an empty window: without bytes there is nothing new.
    if (split == bytes_.size()) return 0;
    const Bytes all = bytes_;
    const auto both = static_cast<double>(codec.compressedSize(all));
    const auto alone = static_cast<double>(codec.compressedSize(all.first(split)));
    return (both - alone) * 8 / static_cast<double>(bytes_.size() - split);
  }

 private:
  void append(std::span<const Bytes> records) {
    for (const Bytes record : records) {
      std::copy(record.begin(), record.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(position_));
      position_ += record.size();
    }
  }

  std::span<const Bytes> baseline_;
  std::span<const Bytes> window_;
  std::size_t blockSize_;
  std::size_t baselineBlocks_;
  std::vector<const Bytes*> blocks_;  // First record of each; the first `baselineBlocks_` make the baseline.
  std::vector<std::uint8_t> bytes_;
  std::size_t position_ = 0;
};

PermutationTest::PermutationTest(std::span<const Bytes> baseline, std::span<const Bytes> window, const Codec& codec,
                                 const PermutationOptions& options)
    : codec_(codec), options_(options), random_(options.seed) {
  if (options.permutations == 0) throw std::out_of_range("permutations is 0: draw at least one");
  if (options.block == 0) throw std::out_of_range("block is 0: move at least one record at a time");
  for (const auto& [name, records] : {std::pair{"baseline", baseline}, {"window", window}}) {
    if (records.size() < options.block)
      throw std::out_of_range(std::string(name) + " has " + std::to_string(records.size()) + " records, fewer than a block of " +
                              std::to_string(options.block));
    requireReach(codec, name, total(records));
  }
  if (total(window) == 0) throw std::length_error("window is empty: its records hold no byte");
  arrangement_ = std::make_unique<Arrangement>(baseline, window, options.block);
  result_.observed = arrangement_->surprise(codec_);
}

PermutationTest::~PermutationTest() = default;

bool PermutationTest::draw() {
  const auto draws = static_cast<std::uint32_t>(1 + kPieceBytes / (2 * arrangement_->size()));
  return monteCarloDraws(result_, options_.permutations, options_.stopAfter, draws, [&] {
    arrangement_->shuffle(random_);
    return arrangement_->surprise(codec_);
  });
}

PermutationResult permutationTest(std::span<const Bytes> baseline, std::span<const Bytes> window, const Codec& codec,
                                  const PermutationOptions& options) {
  PermutationTest test(baseline, window, codec, options);
  while (!test.draw()) {
  }
  return test.result();
}

}  // namespace driftlock
