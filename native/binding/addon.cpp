#include <napi.h>

#include "binding/binding.hpp"

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  driftlock::binding::exportCodec(env, exports);
  driftlock::binding::exportMetrics(env, exports);
  driftlock::binding::exportEngine(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(driftlock, init)
