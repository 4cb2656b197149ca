#include <napi.h>

#ifdef __linux__
#include <sched.h>
#endif

#include "binding/arguments.hpp"
#include "binding/binding.hpp"

namespace driftlock::binding {
namespace {

Napi::Value runWhenIdle(const Napi::CallbackInfo& info) {
#ifdef __linux__
  const sched_param none{};
  const bool done = sched_setscheduler(0, SCHED_IDLE, &none) == 0;
#else
  const bool done = false;
#endif
  return Napi::Boolean::New(info.Env(), done);
}

}  // namespace

void exportPriority(Napi::Object exports) { exportFunction(exports, "runWhenIdle", entry<runWhenIdle>); }

}  // namespace driftlock::binding
