#include "otlp/splice.hpp"

#include <cstring>
#include <string_view>

#include "base/work.hpp"
#include "otlp/views.hpp"
#include "otlp/wire.hpp"

namespace driftlock::otlp {
namespace {

/// The prefix of the attributes that Driftlock adds.
constexpr std::string_view kOwnPrefix = "cbad.";

bool isOwn(Bytes key) {
  return key.size() >= kOwnPrefix.size() && std::memcmp(key.data(), kOwnPrefix.data(), kOwnPrefix.size()) == 0;
}

Attributes attributesOf(const Index& index, const Record& record) {
  return Attributes(index.bytes(record), attributesField(index, record));
}

/// Returns the length of an edited record's content.
std::int64_t lengthAfter(const Index& index, const Record& record, const Edit& edit) {
  auto length = static_cast<std::int64_t>(record.frame.end - record.frame.begin + edit.attributes.size());
  const Attributes attributes = attributesOf(index, record);
  for (auto attribute = attributes.begin(); attribute != attributes.end(); ++attribute)
    if (isOwn(attribute->key)) length -= static_cast<std::int64_t>(attribute.field().size());
  return length;
}

/// Returns where a frame's length begins: after its tag.
std::uint32_t lengthAt(const Index& index, const Frame& frame) {
  std::uint32_t at = frame.field;
  while (index.request[at] >= 0x80) ++at;
  return at + 1;
}

/// Returns the bytes by which the whole field grows when its content gets this long.
std::int64_t fieldGrowth(const Index& index, const Frame& frame, std::int64_t length) {
  const std::int64_t prefix = frame.begin - lengthAt(index, frame);
  return static_cast<std::int64_t>(varintSize(static_cast<std::uint64_t>(length))) - prefix + length - (frame.end - frame.begin);
}

std::int64_t fieldSize(const Frame& frame) { return frame.end - frame.field; }

/// Whether it is a gauge, sum, histogram …: the only frame with three around it.
bool holdsData(const Index& index, const Frame& frame) {
  std::uint32_t depth = 0;
  for (std::uint32_t at = frame.parent; at != kNone; at = index.frames[at].parent) ++depth;
  return depth == 3;
}

/// Copies the request to the output, except for what is left out or replaced on the way.
class Copier {
 public:
  Copier(const Index& index, std::uint8_t* out) : index_(index), out_(out) {}

  /// Whether `at` lies in what was left out already.
  bool past(std::uint32_t at) const { return at < from_; }

  void copyTo(std::uint32_t at) {
    if (at == from_) return;
    countWork(at - from_);
    std::memcpy(out_, index_.request.data() + from_, at - from_);
    out_ += at - from_;
    from_ = at;
  }

  void leaveOut(std::uint32_t begin, std::uint32_t end) {
    copyTo(begin);
    from_ = end;
  }

  void replaceLength(const Frame& frame, std::int64_t length) {
    leaveOut(lengthAt(index_, frame), frame.begin);
    out_ = writeVarint(static_cast<std::uint64_t>(length), out_);
  }

  void append(Bytes bytes) {
    std::memcpy(out_, bytes.data(), bytes.size());
    out_ += bytes.size();
  }

 private:
  const Index& index_;
  std::uint8_t* out_;
  std::uint32_t from_ = 0;
};

void writeEdited(const Index& index, const Edit& edit, Copier& copier) {
  const Record& record = index.records[edit.record];
  copier.replaceLength(record.frame, lengthAfter(index, record, edit));
  const auto offset = [&](const std::uint8_t* at) { return static_cast<std::uint32_t>(at - index.request.data()); };
  const Attributes attributes = attributesOf(index, record);
  for (auto attribute = attributes.begin(); attribute != attributes.end(); ++attribute) {
    const Bytes field = attribute.field();
    if (isOwn(attribute->key)) copier.leaveOut(offset(field.data()), offset(field.data() + field.size()));
  }
  copier.copyTo(record.frame.end);
  copier.append(edit.attributes);
}

}  // namespace

void Splicer::grow(std::uint32_t frame, std::int64_t bytes) { (frame == kNone ? growth_ : fates_[frame].growth) += bytes; }

std::size_t Splicer::plan(const Index& index, std::span<const Edit> edits, Keep keep) {
  index_ = &index;
  edits_ = edits;
  keep_ = keep;
  growth_ = 0;
  fates_.assign(index.frames.size(), Fate{.growth = 0, .kept = keep == Keep::All});

  for (const Edit& edit : edits) {
    const Record& record = index.records[edit.record];
    if (!edit.attributes.empty()) grow(record.frame.parent, fieldGrowth(index, record.frame, lengthAfter(index, record, edit)));
    for (std::uint32_t at = record.frame.parent; at != kNone && !fates_[at].kept; at = index.frames[at].parent)
      fates_[at].kept = true;
  }
  if (keep == Keep::Edited) {
    for (std::size_t id = 0; id < index.frames.size(); ++id) {
      const Frame& frame = index.frames[id];
      if (frame.parent != kNone && fates_[frame.parent].kept && holdsData(index, frame)) fates_[id].kept = true;
    }
    auto edit = edits.begin();
    for (std::uint32_t id = 0; id < index.records.size(); ++id) {
      if (edit != edits.end() && edit->record == id) ++edit;
      else grow(index.records[id].frame.parent, -fieldSize(index.records[id].frame));
    }
  }

  // Inner frames follow outer ones: in reverse order, each is final before it counts for its parent.
  for (std::size_t id = index.frames.size(); id-- > 0;) {
    const Frame& frame = index.frames[id];
    const Fate& fate = fates_[id];
    if (!fate.kept) grow(frame.parent, -fieldSize(frame));
    else if (fate.growth != 0) grow(frame.parent, fieldGrowth(index, frame, frame.end - frame.begin + fate.growth));
  }
  return static_cast<std::size_t>(static_cast<std::int64_t>(index.request.size()) + growth_);
}

void Splicer::write(std::uint8_t* out) const {
  const Index& index = *index_;
  Copier copier(index, out);
  auto edit = edits_.begin();
  std::uint32_t record = 0;

  const auto recordsBefore = [&](std::uint32_t offset) {
    if (keep_ == Keep::All) {
      for (; edit != edits_.end() && index.records[edit->record].frame.field < offset; ++edit)
        if (!edit->attributes.empty()) writeEdited(index, *edit, copier);
      return;
    }
    for (; record < index.records.size() && index.records[record].frame.field < offset; ++record) {
      const Frame& frame = index.records[record].frame;
      const bool edited = edit != edits_.end() && edit->record == record;
      if (!edited && !copier.past(frame.field)) copier.leaveOut(frame.field, frame.end);
      if (!edited) continue;
      if (!edit->attributes.empty()) writeEdited(index, *edit, copier);
      ++edit;
    }
  };

  for (std::size_t id = 0; id < index.frames.size(); ++id) {
    const Frame& frame = index.frames[id];
    recordsBefore(frame.field);
    if (copier.past(frame.field)) continue;
    const Fate& fate = fates_[id];
    if (!fate.kept) copier.leaveOut(frame.field, frame.end);
    else if (fate.growth != 0) copier.replaceLength(frame, frame.end - frame.begin + fate.growth);
  }
  const auto end = static_cast<std::uint32_t>(index.request.size());
  recordsBefore(end);
  copier.copyTo(end);
}

}  // namespace driftlock::otlp
