#include <napi.h>

#include "arguments.hpp"
#include "binding.hpp"
#include "otlp/split.hpp"

namespace driftlock::binding {
namespace {

/// split(signal, request, most): the request itself if it cannot be read, or cannot be divided.
Napi::Value split(const Napi::CallbackInfo& info) {
  const otlp::Signal signal = signalArgument(info[0], "signal");
  const double most = integerArgument(info[2], "most", 1, maxSafeInteger);
  const Bytes request = bytesArgument(info[1], "request");
  auto parts = Napi::Array::New(info.Env());
  otlp::Index index;
  otlp::WireError error;
  otlp::Splitter splitter;
  const auto planned = otlp::index(signal, request, index, error) ? splitter.plan(index, static_cast<std::size_t>(most))
                                                                 : std::span<const otlp::Splitter::Part>();
  if (planned.size() < 2) {
    parts.Set(0u, info[1]);
    return parts;
  }
  for (std::uint32_t i = 0; i < planned.size(); ++i) {
    auto part = Napi::Buffer<std::uint8_t>::New(info.Env(), planned[i].size);
    splitter.write(planned[i], part.Data());
    parts.Set(i, part);
  }
  return parts;
}

}  // namespace

void exportSplit(Napi::Object exports) { exportFunction(exports, "split", entry<split>); }

}  // namespace driftlock::binding
