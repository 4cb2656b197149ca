#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "otlp/reader.hpp"

namespace driftlock::otlp {

/// Divides a request between its records into smaller requests. Each part holds a consecutive range of the records, in wire
/// order, inside their resources, scopes and metrics; whatever else those hold, unknown fields included, is in each of their
/// parts. A resource, scope or metric without records stays whole, in one part.
///
/// A part is larger than requested if it is a single record with what surrounds it, or if more parts would repeat more bytes than
/// the request has: all parts together are at most twice as large as the request.
class Splitter {
 public:
  struct Part {
    /// Items [begin, end), in wire order.
    std::uint32_t begin;
    std::uint32_t end;
    /// The number of bytes that `write` fills.
    std::size_t size;
  };

  /// Index and request must remain valid until the last `write`. @param most the number of bytes of a part
  std::span<const Part> plan(const Index& index, std::size_t most);

  /// Fills exactly `part.size` bytes.
  void write(const Part& part, std::uint8_t* out);

 private:
  /// A message around records; the last is the request itself.
  struct Shell {
    /// Whether it holds records or other shells; otherwise it is an item. So is a metric without points, whatever it holds.
    bool open = false;
    /// Whether it is a gauge, sum, histogram …, which stays with its metric, since it may have the temporality of another one's
    /// points.
    bool data = false;
    /// What it holds besides messages around records and records: the number of bytes, and their positions as a list in `runs_`.
    std::size_t own = 0;
    std::uint32_t firstRun = kNone;
    std::uint32_t lastRun = kNone;
    /// What it adds to a part, without the messages that it surrounds. A metric's includes that of its data.
    std::size_t cost = 0;
    /// The list of a metric's data.
    std::uint32_t firstData = kNone;
    std::uint32_t nextData = kNone;

    /// Its state in the current part: the part's number, the size of the content, and the list of shells within.
    std::uint32_t part = kNone;
    std::size_t content = 0;
    std::uint32_t firstChild = kNone;
    std::uint32_t lastChild = kNone;
    std::uint32_t nextChild = kNone;
  };
  struct Run {
    Range range;
    std::uint32_t next;
  };
  /// An indivisible unit: a record, or a message that could be around records and is around none.
  struct Item {
    Range field;
    std::uint32_t parent;
  };

  std::uint32_t root() const { return static_cast<std::uint32_t>(shells_.size() - 1); }
  std::uint32_t parentOf(const Frame& frame) const { return frame.parent == kNone ? root() : frame.parent; }
  void readShells();
  void readItems();
  void addRun(std::uint32_t shell, Range range);
  void begin();
  void enter(std::uint32_t shell);
  std::size_t measure(std::uint32_t begin, std::uint32_t end);
  std::uint8_t* writeContent(std::uint32_t shell, std::uint32_t& item, std::uint32_t end, std::uint8_t* out) const;

  const Index* index_ = nullptr;
  std::vector<Shell> shells_;
  std::vector<Run> runs_;
  std::vector<Item> items_;
  std::vector<Part> parts_;
  /// Shells of the current part, outer before inner.
  std::vector<std::uint32_t> entered_;
  std::uint32_t part_ = 0;
};

}  // namespace driftlock::otlp
