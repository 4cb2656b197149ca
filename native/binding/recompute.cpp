#include "recording/recompute.hpp"

#include <napi.h>

#include "binding/arguments.hpp"
#include "binding/binding.hpp"
#include "recording/recording.hpp"

namespace driftlock::binding {
namespace {

/// recompute(recording) returns the first report of the anomaly that the recorded verdict began.
Napi::Value recomputed(const Napi::CallbackInfo& info) {
  const Bytes recording = bytesArgument(info[0], "recording");
  try {
    const std::vector<std::uint8_t> report = recompute(recording);
    return Napi::Buffer<std::uint8_t>::Copy(info.Env(), report.data(), report.size());
  } catch (const OtherFormat& error) {
    throw coded<Napi::Error>(info.Env(), error.what(), error_code::kRecordingFormat);
  }
}

}  // namespace

void exportRecompute(Napi::Object exports) { exportFunction(exports, "recompute", entry<recomputed>); }

}  // namespace driftlock::binding
