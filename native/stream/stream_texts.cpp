#include "stream/stream.hpp"

#include <string_view>


namespace driftlock {

std::string Stream::templateText(std::uint32_t id) const {
  if (!content_) return {};
  const Bytes text = content_->dictionary().text();
  constexpr std::string_view eventName = "event_name=";
  for (std::size_t begin = 0, end; begin < text.size(); begin = end + 1) {
    end = begin;
    while (end < text.size() && text[end] != '\n') ++end;
    // A line is `key=value`, or the value alone where the field has no key: a body, a span's name.
    const std::string_view line(reinterpret_cast<const char*>(text.data()) + begin, end - begin);
    const std::string_view key = line.starts_with(eventName) ? eventName.substr(0, eventName.size() - 1) : std::string_view();
    const std::string_view value = line.substr(key.empty() ? 0 : eventName.size());
    if (idOf(hash_.name(bytesOf(key)).value(bytesOf(value))) == id) return std::string(value);
  }
  return {};
}

std::vector<ExpectedId> Stream::expectedNext(std::size_t most) const {
  return sequence_ ? sequence_->expected(most) : std::vector<ExpectedId>{};
}

void Stream::texts(std::vector<std::string>& baseline, std::vector<std::string>& window) const {
  thread_local RecordView record;
  auto renderInto = [&](std::vector<std::string>& out) {
    out.clear();
    return [&](Bytes raw) {
      readFields(key_.signal, key_.metricType, raw, record);
      render(record, out.emplace_back());
      out.back() += '\n';
    };
  };
  baseline_.forEach(renderInto(baseline));
  window_.forEach(renderInto(window));
}

const WindowMetrics* Stream::metrics(const Codec& codec) {
  if (measured()) return &*metrics_;
  thread_local std::vector<std::string> baseline, window;
  texts(baseline, window);
  auto join = [&](const std::vector<std::string>& texts) {
    std::string all;
    for (const std::string& text : texts) all += text;
    // Text may be longer than the record it was read from; what the codec does not reach is not compared.
    if (all.size() > codec.reach()) all.erase(0, all.size() - codec.reach());
    return all;
  };
  const std::string b = join(baseline), w = join(window);
  if (b.empty() || w.empty()) return nullptr;
  metrics_ = windowMetrics(bytesOf(b), bytesOf(w), codec);
  metricsAt_ = seen_;
  return &*metrics_;
}

}  // namespace driftlock
