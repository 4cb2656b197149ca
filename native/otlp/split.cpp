#include "otlp/split.hpp"

#include <cstring>

#include "otlp/wire.hpp"

namespace driftlock::otlp {
namespace {

std::size_t sizeOf(Range range) { return range.end - range.begin; }

/// Returns the size of the tag and the length.
std::size_t prefixSize(const Frame& frame) { return frame.begin - frame.field; }

/// Returns the size of the tag.
std::uint32_t tagSize(const Index& index, const Frame& frame) {
  std::uint32_t at = frame.field;
  while (index.request[at] >= 0x80) ++at;
  return at + 1 - frame.field;
}

std::uint8_t* copy(const Index& index, Range range, std::uint8_t* out) {
  std::memcpy(out, index.request.data() + range.begin, sizeOf(range));
  return out + sizeOf(range);
}

}  // namespace

void Splitter::addRun(std::uint32_t shell, Range range) {
  if (range.begin == range.end) return;
  Shell& into = shells_[shell];
  const auto run = static_cast<std::uint32_t>(runs_.size());
  (into.firstRun == kNone ? into.firstRun : runs_[into.lastRun].next) = run;
  into.lastRun = run;
  into.own += sizeOf(range);
  runs_.push_back({range, kNone});
}

void Splitter::readShells() {
  const Index& index = *index_;
  shells_.assign(index.frames.size() + 1, {});
  shells_.back().open = true;
  const auto openAround = [&](std::uint32_t at) {
    for (; at != kNone && !shells_[at].open; at = index.frames[at].parent) shells_[at].open = true;
  };
  for (const Record& record : index.records) openAround(record.frame.parent);
  // The order is reversed, so that the lists are in wire order.
  for (std::uint32_t id = static_cast<std::uint32_t>(index.frames.size()); id-- > 0;) {
    const std::uint32_t around = index.frames[id].parent;
    std::uint32_t depth = 0;
    for (std::uint32_t at = around; at != kNone; at = index.frames[at].parent) ++depth;
    if (depth < 3) {
      openAround(around);
    } else if (shells_[around].open) {
      shells_[id].open = shells_[id].data = true;
      shells_[id].nextData = shells_[around].firstData;
      shells_[around].firstData = id;
    }
  }
}

void Splitter::readItems() {
  const Index& index = *index_;
  items_.clear();
  runs_.clear();
  /// The position up to which each shell has been read.
  std::vector<std::uint32_t> read(shells_.size());
  for (std::uint32_t id = 0; id < index.frames.size(); ++id) read[id] = index.frames[id].begin;
  const auto pass = [&](const Frame& frame) {
    const std::uint32_t parent = parentOf(frame);
    addRun(parent, {read[parent], frame.field});
    read[parent] = frame.end;
  };

  std::uint32_t record = 0;
  const auto recordsBefore = [&](std::uint32_t offset) {
    for (; record < index.records.size() && index.records[record].frame.field < offset; ++record) {
      const Frame& frame = index.records[record].frame;
      pass(frame);
      items_.push_back({{frame.field, frame.end}, parentOf(frame)});
    }
  };
  for (std::uint32_t id = 0; id < index.frames.size(); ++id) {
    const Frame& frame = index.frames[id];
    recordsBefore(frame.field);
    if (!shells_[parentOf(frame)].open) continue;
    pass(frame);
    if (!shells_[id].open) items_.push_back({{frame.field, frame.end}, parentOf(frame)});
  }
  recordsBefore(UINT32_MAX);
  for (std::uint32_t id = 0; id < index.frames.size(); ++id) {
    Shell& shell = shells_[id];
    if (!shell.open) continue;
    addRun(id, {read[id], index.frames[id].end});
    (shell.data ? shells_[index.frames[id].parent] : shell).cost += shell.own + prefixSize(index.frames[id]);
  }
  addRun(root(), {read[root()], static_cast<std::uint32_t>(index.request.size())});
}

void Splitter::begin() {
  ++part_;
  entered_.clear();
  enter(root());
}

/// Adds a shell to the part, inside those around it.
void Splitter::enter(std::uint32_t id) {
  Shell& shell = shells_[id];
  if (shell.part == part_) return;
  if (id != root()) {
    Shell& parent = shells_[parentOf(index_->frames[id])];
    enter(parentOf(index_->frames[id]));
    // It may have been added with its metric.
    if (shell.part == part_) return;
    (parent.firstChild == kNone ? parent.firstChild : shells_[parent.lastChild].nextChild) = id;
    parent.lastChild = id;
  }
  shell.part = part_;
  shell.content = shell.own;
  shell.firstChild = shell.lastChild = shell.nextChild = kNone;
  entered_.push_back(id);
  for (std::uint32_t data = shell.firstData; data != kNone; data = shells_[data].nextData) enter(data);
}

/// Measures the part that has been entered.
std::size_t Splitter::measure(std::uint32_t begin, std::uint32_t end) {
  for (std::uint32_t item = begin; item < end; ++item) shells_[items_[item].parent].content += sizeOf(items_[item].field);
  for (std::size_t at = entered_.size(); at-- > 1;) {
    const Frame& frame = index_->frames[entered_[at]];
    const std::size_t content = shells_[entered_[at]].content;
    shells_[parentOf(frame)].content += tagSize(*index_, frame) + varintSize(content) + content;
  }
  return shells_[root()].content;
}

std::span<const Splitter::Part> Splitter::plan(const Index& index, std::size_t most) {
  index_ = &index;
  part_ = 0;
  parts_.clear();
  readShells();
  readItems();

  const auto count = static_cast<std::uint32_t>(items_.size());
  const std::size_t base = shells_[root()].own;
  std::size_t size = base;
  std::size_t repeated = 0;
  std::uint32_t first = 0;
  begin();
  for (std::uint32_t item = 0; item < count; ++item) {
    /// What the item adds to the part, and how much of that the previous part has as well.
    std::size_t cost = sizeOf(items_[item].field);
    std::size_t again = base;
    for (std::uint32_t at = items_[item].parent; at != root(); at = parentOf(index.frames[at])) {
      if (shells_[at].part != part_) cost += shells_[at].cost;
      else again += shells_[at].cost;
    }
    if (item > first && size + cost > most && repeated + again <= index.request.size()) {
      parts_.push_back({first, item, measure(first, item)});
      repeated += again;
      first = item;
      size = 0;
      cost += again;
      begin();
    }
    size += cost;
    enter(items_[item].parent);
  }
  parts_.push_back({first, count, measure(first, count)});
  return parts_;
}

void Splitter::write(const Part& part, std::uint8_t* out) {
  begin();
  for (std::uint32_t item = part.begin; item < part.end; ++item) enter(items_[item].parent);
  measure(part.begin, part.end);
  std::uint32_t item = part.begin;
  writeContent(root(), item, part.end, out);
}

/// Writes runs, shells and items in wire order.
std::uint8_t* Splitter::writeContent(std::uint32_t id, std::uint32_t& item, std::uint32_t end, std::uint8_t* out) const {
  const Index& index = *index_;
  std::uint32_t run = shells_[id].firstRun;
  std::uint32_t child = shells_[id].firstChild;
  for (;;) {
    const bool hasItem = item < end && items_[item].parent == id;
    const std::uint32_t runAt = run == kNone ? kNone : runs_[run].range.begin;
    const std::uint32_t childAt = child == kNone ? kNone : index.frames[child].field;
    const std::uint32_t itemAt = hasItem ? items_[item].field.begin : kNone;
    if (itemAt < runAt && itemAt < childAt) {
      out = copy(index, items_[item++].field, out);
    } else if (childAt < runAt) {
      const Frame& frame = index.frames[child];
      out = copy(index, {frame.field, frame.field + tagSize(index, frame)}, out);
      out = writeVarint(shells_[child].content, out);
      out = writeContent(child, item, end, out);
      child = shells_[child].nextChild;
    } else if (runAt != kNone) {
      out = copy(index, runs_[run].range, out);
      run = runs_[run].next;
    } else {
      return out;
    }
  }
}

}  // namespace driftlock::otlp
