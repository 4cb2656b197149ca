#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/literal_run.hpp"
#include "channels/content/dictionary.hpp"

namespace driftlock {

/// Computes the code length of each byte of a line, in bits, given a dictionary's text: PPM over the orders 0, 1, 3, 4 and
/// 5, whose counts are read off the text. The bytes before the line count as a line's end; the result is overwritten.
///
/// An order in which the context was seen n times, followed by u different bytes, gives a byte that followed c times the
/// probability (max(c - 1/2, 0) + u/2 * q) / n, where q is its probability by the next shorter context: the escape of
/// PPM's method D (Howard 1993), interpolated.
void codeLengths(Bytes line, const Dictionary& dictionary, std::uint32_t& hint, std::vector<double>& bits);

/// The cost of a text.
struct ProseCost {
  /// The bits per byte of the whole text, and of its costliest run of `kProseRun` bytes or the whole text if it is shorter.
  double mean = 0, worst = 0;
};

inline constexpr std::size_t kProseRun = 48;

ProseCost proseCost(const double* bits, std::size_t size);

/// Finds the run of `length` bytes that costs most; everything if there are no more bytes than that.
LiteralRun costliestRun(const double* bits, std::size_t size, std::size_t length);

/// Finds the part of a text that costs most beyond so many bits per byte, in whole words; empty if no part does.
LiteralRun costliestPart(const double* bits, Bytes text, double threshold);

/// Whether a masked text consists of words: letters and spaces for the most part.
bool isProse(Bytes text);

/// Which fields of a stream are prose, and how much such texts usually cost there.
///
/// A field becomes prose once its values are new, and made of words, much more often than not: by 16 times. It ceases to be
/// once the others have made up for that.
class ProseFields {
 public:
  struct Field {
    /// The hash of the field's key.
    std::uint64_t key = 0;
    /// How much more often its values were new prose than anything else: at most `kMostEvidence`.
    std::uint8_t evidence = 0;
    bool prose = false;
    /// The number of values that were learned since the field became prose, at most `kEnoughValues`: the means' memory.
    std::uint32_t values = 0;
    /// The mean of their costs.
    ProseCost usual{};

    bool fresh() const { return values < kEnoughValues; }

    template <class Self, class Visitor>
    static void visit(Self& self, Visitor& v) {
      v(self.key), v(self.evidence), v(self.prose), v(self.values), v(self.usual.mean), v(self.usual.worst);
    }
  };

  bool empty() const { return fields_.empty(); }
  /// Returns the field if it is prose, or else null.
  const Field* find(std::uint64_t key) const;
  /// Counts a value of a field: new prose or something else.
  void count(std::uint64_t key, bool newProse);
  /// Learns the cost of a value of a field that is prose.
  void learn(std::uint64_t key, const ProseCost& cost);

  std::size_t memory() const { return fields_.capacity() * sizeof(Field); }
  void snapshot(std::vector<std::uint8_t>& out) const;
  bool restore(Bytes in);

 private:
  static constexpr std::size_t kMostFields = 4;
  static constexpr std::uint8_t kEnoughEvidence = 16, kMostEvidence = 32;
  static constexpr std::uint32_t kEnoughValues = 32;

  std::vector<Field> fields_;
};

}  // namespace driftlock
