#include <napi.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "binding/arguments.hpp"
#include "binding/background.hpp"
#include "binding/binding.hpp"
#include "otlp/reader.hpp"

namespace driftlock::binding {
namespace {

class CountRecordsWork : public Background {
 public:
  /// Copies the request, because JavaScript may change or detach it meanwhile.
  CountRecordsWork(otlp::Signal signal, Bytes request) : signal_(signal), request_(request.begin(), request.end()) {}

 protected:
  bool run() override {
    otlp::WireError error;
    readable_ = otlp::index(signal_, request_, index_, error);
    return true;
  }

  Napi::Value result(Napi::Env env) override {
    if (!readable_) return env.Null();
    return Napi::Number::New(env, static_cast<double>(index_.records.size()));
  }

 private:
  otlp::Signal signal_;
  std::vector<std::uint8_t> request_;
  otlp::Index index_;
  bool readable_ = false;
};

/// countRecords(signal, request) returns a promise of the number of records, or of null if the request cannot be read.
Napi::Value countRecords(const Napi::CallbackInfo& info) {
  return Background::start(info.Env(), [&] {
    return std::make_unique<CountRecordsWork>(signalArgument(info[0], "signal"), bytesArgument(info[1], "request"));
  });
}

}  // namespace

void exportCountRecords(Napi::Object exports) { exportFunction(exports, "countRecords", entry<countRecords>); }

}  // namespace driftlock::binding
