#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/literal_run.hpp"

namespace driftlock {

/// The parts of a text that the dictionary does not explain.
struct Novelty {
  /// The parts that no match covers, ascending; LZ4's literal runs.
  std::vector<LiteralRun> literals;
  std::uint32_t literalBytes = 0;
  std::uint32_t matches = 0;
};

/// A stream's baseline text as an LZ4 dictionary: the parts of a new text without a match in it are novel.
///
/// Text is whole lines that end in '\n'. An anchored part is filled first and then stays; later lines go into an
/// adaptive part, whose oldest lines make room. Together they are at most `capacity` bytes (LZ4 looks back 64 KiB).
class Dictionary {
 public:
  explicit Dictionary(std::size_t capacity);
  // The text must not move, because tables point into it.
  Dictionary(const Dictionary&) = delete;
  Dictionary& operator=(const Dictionary&) = delete;

  /// Adds lines, which the next `novelty` sees. Those that do not fit into the anchored part go into the adaptive one.
  void add(Bytes lines);
  /// Closes the anchored part: nothing is added to it from now on.
  void anchor() { anchored_ = true; }

  /// Compresses `text` (lines) against the dictionary and reads the literal runs off the result. The scratch space
  /// belongs to the thread; `out` is overwritten.
  void novelty(Bytes text, Novelty& out);

  /// The most bytes of text.
  std::size_t capacity() const { return capacity_; }
  /// The anchored lines, then the adaptive ones.
  Bytes text() const { return {text_.data(), text_.size()}; }
  /// The text's version, which changes whenever the text does.
  std::uint64_t version() const { return version_; }
  /// How often the text has changed in any other way than by lines at its end.
  std::uint64_t rewrites() const { return rewrites_; }
  /// A number that no other dictionary of the process has.
  std::uint64_t name() const { return name_; }
  /// The memory of the text in bytes. The tables that speed up the search are shared: 1 MiB per thread.
  std::size_t memory() const;

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Returns false, and changes nothing, if the bytes are not a snapshot of a dictionary of at most this capacity.
  bool restore(Bytes in);

 private:
  std::size_t capacity_;
  std::size_t anchoredSize_ = 0;
  bool anchored_ = false;
  std::vector<std::uint8_t> text_;
  /// The key of the text's table among the thread's: no two dictionaries share a name, and a changed text has a new version.
  std::uint64_t name_ = 0, version_ = 0, rewrites_ = 0;
  std::uint32_t slot_ = 0;
};

}  // namespace driftlock
