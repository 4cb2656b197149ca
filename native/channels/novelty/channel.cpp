#include <string>
#include <utility>

#include "base/state_bytes.hpp"
#include "channels/channel.hpp"
#include "channels/novelty/novelty.hpp"
#include "text/readable.hpp"
#include "text/sentence.hpp"

namespace driftlock {
namespace {

constexpr std::size_t kMostExample = 96, kBeyondExample = 128;

/// Many strange records, none of which need have been reported.
class NoveltyFinding final : public Finding {
 public:
  NoveltyFinding(const NoveltyWindow& window, std::string example) : window_(window), example_(std::move(example)) {}

  void describe(const Texts&, Description& out) const override {
    out.value = window_.strange;
    out.unit = "s";
    out.range = {0, window_.usual};
    out.sentence = text::format("In %u of the last %u seconds with records, some were strange", window_.strange, window_.seconds);
    if (!example_.empty()) text::append(out.sentence, ", such as ", text::quoted(example_));
    text::append(out.sentence, text::format("; usually in at most %.0f", window_.usual));
  }

 private:
  NoveltyWindow window_;
  std::string example_;
};

/// Detects that strange records keep coming.
class NoveltyChannel final : public Channel {
 public:
  explicit NoveltyChannel(const ChannelContext& context)
      : masking_(context.privacy, privacy::Place::Stored, context.key.scope()) {}

  void observe(Observation&) override {}

  void learn(Observation& record, const Outcome& outcome, Host& host) override {
    // What is strange is known once the stream is judged.
    if (outcome.learning) return;
    judgeAgain(record.now, host);
    if (!model_.note(record.now, record.strangeness)) return;
    thread_local std::string text;
    render(record.record, text);
    text::makeReadable(text);
    // What is masked may reach beyond what is kept.
    example_.assign(text, 0, kMostExample + kBeyondExample);
  }

  void judgeAgain(std::uint64_t now, Host& host) override {
    if (const std::optional<NoveltyWindow> window = model_.advance(now)) {
      model_.settle(!window->judged || learns(*window, host));
    }
  }

  std::unique_ptr<Finding> find(const Observation*) const override { return nullptr; }

  std::size_t memory() const override { return sizeof *this + example_.capacity(); }
  void snapshot(std::vector<std::uint8_t>& out) const override {
    putState(out, model_);
    StateWriter write(out);
    write(example());
  }
  bool restore(Bytes in) override {
    StateReader read(in);
    if (!model_.restore(read.getBytes())) return false;
    read(example_);
    return read.done() && example_.size() <= kMostExample;
  }

 private:
  bool learns(const NoveltyWindow& window, Host& host) const {
    const Outcome outcome = host.judge({.channel = ChannelId::Novelty, .score = window.bits, .bits = window.bits});
    if (outcome.flagged) host.raise(window.end, std::make_unique<NoveltyFinding>(window, example()));
    return !outcome.flagged || host.settled();
  }

  /// The example as people may see it.
  std::string example() const {
    std::string shown = example_;
    masking_.label(shown);
    if (shown.size() > kMostExample) shown.resize(kMostExample);
    text::makeReadable(shown);
    return shown;
  }

  privacy::Masking masking_;
  NoveltyModel model_;
  /// The text of the latest strange record.
  std::string example_;
};

}  // namespace

std::unique_ptr<Channel> makeNoveltyChannel(const ChannelContext& context) {
  if (context.key.signal == otlp::Signal::Metrics) return nullptr;
  if (context.key.derived != Derived::None && context.key.derived != Derived::Said) return nullptr;
  return std::make_unique<NoveltyChannel>(context);
}

}  // namespace driftlock
