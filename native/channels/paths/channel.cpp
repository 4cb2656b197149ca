#include <string>

#include "channels/channel.hpp"
#include "channels/paths/paths.hpp"
#include "text/sentence.hpp"

namespace driftlock {
namespace {

/// A span under an unusual parent.
class ParentFinding final : public Finding {
 public:
  explicit ParentFinding(const PathFinding& path) : path_(path) {}

  void describe(const Texts& texts, Description& out) const override {
    const auto name = [&](std::uint32_t id) {
      const std::string text = texts.ofTemplate(id);
      return text.empty() ? "another span" : text::quoted(text);
    };
    out.field = "parent_span_id";
    out.sentence = "The span " + name(path_.child) + " is a child of " + name(path_.parent);
    if (const std::string usual = texts.ofTemplate(path_.usual); !usual.empty() && path_.usual != path_.parent) {
      out.sentence += "; usually it is one of " + text::quoted(usual);
    }
    out.sentence += text::format("; this costs %.1f bits", out.bits);
  }

 private:
  PathFinding path_;
};

/// Detects spans under unusual parents.
class PathsChannel final : public Channel {
 public:
  explicit PathsChannel(const ChannelContext& context)
      : hash_(context.hash), acceptAfterSeconds_(static_cast<std::uint32_t>(context.acceptAfterNanos / 1'000'000'000)) {}

  void observe(Observation& record) override {
    const auto tagOf = [&](Bytes span) { return span.empty() ? 0 : hash_(span, record.session) | 1; };
    found_ = model_.observe(tagOf(record.record.spanId), tagOf(record.record.parentSpanId), record.id());
    if (found_) record.scores.add({.channel = ChannelId::Paths, .score = found_->bits, .bits = found_->bits});
  }

  void learn(Observation& record, const Outcome& outcome, Host&) override {
    using Lesson = PathModel::Lesson;
    const Lesson lesson = outcome.pardoned ? Lesson::Accept : outcome.blamed || outcome.strange ? Lesson::Strange : Lesson::Learn;
    model_.settle(lesson, record.seconds(), acceptAfterSeconds_);
  }

  std::unique_ptr<Finding> find(const Observation*) const override { return std::make_unique<ParentFinding>(*found_); }

  std::size_t memory() const override { return sizeof *this - sizeof model_ + model_.memory(); }
  void snapshot(std::vector<std::uint8_t>& out) const override { model_.snapshot(out); }
  bool restore(Bytes in) override { return model_.restore(in); }

 private:
  const KeyedHash& hash_;
  std::uint32_t acceptAfterSeconds_;
  PathModel model_;
  /// The strangest pair of parent and child that the current span completed, if any.
  std::optional<PathFinding> found_;
};

}  // namespace

std::unique_ptr<Channel> makePathsChannel(const ChannelContext& context) {
  if (context.key.signal != otlp::Signal::Traces) return nullptr;
  return std::make_unique<PathsChannel>(context);
}

}  // namespace driftlock
