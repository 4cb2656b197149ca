#include "channels/channel.hpp"
#include "base/state_bytes.hpp"
#include "record/call_figures.hpp"
#include "text/sentence.hpp"

namespace driftlock {
namespace {

/// The number of calls of tools whose paths have a cost, until one of them may be an alarm: what happens once in a hundred calls,
/// such as an error of a tool, must have been seen a few times.
constexpr std::uint32_t kEnough = 256;

/// Returns a field of a step; null if it has none of this name.
const Field* fieldOf(const RecordView& record, std::string_view key) {
  for (const Field& field : record.fields) {
    if (textOf(field.key) == key) return &field;
  }
  return nullptr;
}

/// A tool, or the end of a turn, that an agent does not usually come to in this way.
class ToolPathFinding final : public Finding {
 public:
  explicit ToolPathFinding(const RecordView& record) : tool_(textOf(record.fields.front().text)) {
    if (const Field* const repeats = fieldOf(record, kCallFigures[figure::kSameToolCalls].key)) repeats_ = numberOf(*repeats);
  }

  void describe(const Texts&, Description& out) const override {
    if (repeats_ > 2) {
      out.sentence = text::quoted(tool_) + text::format(" is called for the %.0fth time with the same arguments", repeats_);
    } else {
      out.sentence = text::quoted(tool_) + " does not usually come at this point";
    }
    out.sentence += text::format(": the tools of this turn cost %.1f bits more than a usual path", out.bits);
  }

 private:
  std::string tool_;
  double repeats_ = 0;
};

/// Judges the order in which an agent uses its tools by what the path since the last prompt costs, which each step states.
class ToolPathChannel final : public Channel {
 public:
  explicit ToolPathChannel(const KeyedHash& hash) : hash_(hash) {}

  void observe(Observation& record) override {
    const Field* const cost = fieldOf(record.record, kPathBits);
    if (!cost) return;
    const double bits = numberOf(*cost);
    record.scores.add({.channel = ChannelId::ToolPath, .score = bits, .bits = bits, .reported = known_ < kEnough});
  }
  void learn(Observation& record, const Outcome&, Host&) override {
    if (known_ < kEnough && fieldOf(record.record, kPathBits)) ++known_;
  }

  std::unique_ptr<Finding> find(const Observation* record) const override {
    return record ? std::make_unique<ToolPathFinding>(record->record) : nullptr;
  }
  std::uint64_t kind(const Observation& record) const override { return hash_(record.record.fields.front().text, 0); }

  std::size_t memory() const override { return sizeof *this; }
  void snapshot(std::vector<std::uint8_t>& out) const override { put(out, known_); }
  bool restore(Bytes in) override {
    StateReader read(in);
    read(known_);
    return read.done() && known_ <= kEnough;
  }

 private:
  KeyedHash hash_;
  /// The number of calls whose paths had a cost, as far as it matters.
  std::uint32_t known_ = 0;
};

}  // namespace

std::unique_ptr<Channel> makeToolPathChannel(const ChannelContext& context) {
  if (context.key.derived != Derived::Steps) return nullptr;
  return std::make_unique<ToolPathChannel>(context.hash);
}

}  // namespace driftlock
