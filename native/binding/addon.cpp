#include <napi.h>

#include "binding/binding.hpp"

namespace {

Napi::Object init(Napi::Env, Napi::Object exports) {
  driftlock::binding::exportCodec(exports);
  driftlock::binding::exportMetrics(exports);
  driftlock::binding::exportEngine(exports);
  driftlock::binding::exportPool(exports);
  driftlock::binding::exportSplit(exports);
  driftlock::binding::exportCountRecords(exports);
  driftlock::binding::exportSeverity(exports);
  driftlock::binding::exportPrivacy(exports);
  driftlock::binding::exportRecompute(exports);
  driftlock::binding::exportAlarmBudget(exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(driftlock, init)
