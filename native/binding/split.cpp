#include <napi.h>

#include <cstring>
#include <memory>
#include <vector>

#include "binding/arguments.hpp"
#include "binding/background.hpp"
#include "binding/binding.hpp"
#include "otlp/split.hpp"

namespace driftlock::binding {
namespace {

OwnedBytes allocate(std::size_t size) { return {std::make_unique_for_overwrite<std::uint8_t[]>(size), size}; }

/// Plans first, then writes one part at a time.
class SplitWork : public Background {
 public:
  /// Copies the request, because JavaScript may change or detach it meanwhile.
  SplitWork(otlp::Signal signal, Bytes request, std::size_t most)
      : signal_(signal), request_(allocate(request.size())), most_(most) {
    if (!request.empty()) std::memcpy(request_.data.get(), request.data(), request.size());
  }

 protected:
  bool run() override {
    if (parts_.empty()) {
      otlp::WireError error;
      if (!otlp::index(signal_, request_, index_, error)) return true;
      const auto planned = splitter_.plan(index_, most_);
      parts_.assign(planned.begin(), planned.end());
      return parts_.size() < 2;
    }
    const otlp::Splitter::Part& part = parts_[written_.size()];
    OwnedBytes out = allocate(part.size);
    splitter_.write(part, out.data.get());
    written_.push_back(std::move(out));
    return written_.size() == parts_.size();
  }

  Napi::Value result(Napi::Env env) override {
    if (written_.empty()) return env.Null();
    auto parts = Napi::Array::New(env, written_.size());
    for (std::uint32_t i = 0; i < written_.size(); ++i) parts.Set(i, bufferOf(env, std::move(written_[i])));
    return parts;
  }

 private:
  otlp::Signal signal_;
  OwnedBytes request_;
  std::size_t most_;
  otlp::Index index_;
  otlp::Splitter splitter_;
  std::vector<otlp::Splitter::Part> parts_;
  std::vector<OwnedBytes> written_;
};

/// split(signal, request, most) returns a promise of the parts, or of null if the request cannot be read or divided.
Napi::Value split(const Napi::CallbackInfo& info) {
  return Background::start(info.Env(), [&] {
    const otlp::Signal signal = signalArgument(info[0], "signal");
    const double most = integerArgument(info[2], "most", 1, kMaxSafeInteger);
    return std::make_unique<SplitWork>(signal, bytesArgument(info[1], "request"), static_cast<std::size_t>(most));
  });
}

}  // namespace

void exportSplit(Napi::Object exports) { exportFunction(exports, "split", entry<split>); }

}  // namespace driftlock::binding
