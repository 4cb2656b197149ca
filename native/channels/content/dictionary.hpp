#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/literal_run.hpp"

namespace driftlock {

/// What of a text the dictionary does not explain.
struct Novelty {
  /// The parts that no match covers, ascending; LZ4's literal runs.
  std::vector<LiteralRun> literals;
  std::uint32_t literalBytes = 0;
  std::uint32_t matches = 0;
};

/// A stream's baseline text as an LZ4 dictionary: what of a new text has no match in it is news.
///
/// Text is whole lines that end in '\n'. An anchored part is filled first and then stays; what comes later goes into an
/// adaptive part, whose oldest lines make room. Together they are at most `capacity` bytes (LZ4 looks back 64 KiB).
class Dictionary {
 public:
  explicit Dictionary(std::size_t capacity);
  // Its text must stay where it is: tables point into it.
  Dictionary(const Dictionary&) = delete;
  Dictionary& operator=(const Dictionary&) = delete;

  /// Adds lines. What does not fit into the anchored part is adaptive. The next `novelty` sees them.
  void add(Bytes lines);
  /// From now on nothing enters the anchored part.
  void anchor() { anchored_ = true; }

  /// Compresses `text` (lines) against the dictionary and reads the literal runs off the result.
  /// Scratch space is the thread's own; `out` is overwritten.
  void novelty(Bytes text, Novelty& out);

  /// Anchored lines, then adaptive ones.
  Bytes text() const { return {text_.data(), text_.size()}; }
  /// Another one whenever the text has changed.
  std::uint64_t version() const { return version_; }
  /// The text's. What speeds up the search is shared: 1 MiB a thread.
  std::size_t memory() const;

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// False, with nothing changed, where the bytes are no snapshot of a dictionary of at most this capacity.
  bool restore(Bytes in);

 private:
  std::size_t capacity_;
  std::size_t anchoredSize_ = 0;
  bool anchored_ = false;
  std::vector<std::uint8_t> text_;
  /// Finds the text's table among the thread's: no two dictionaries share a name, and a changed text has a new version.
  std::uint64_t name_ = 0, version_ = 0;
  std::uint32_t slot_ = 0;
};

}  // namespace driftlock
