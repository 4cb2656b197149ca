#include "binding/pool.hpp"

#include <stdexcept>

#include "binding/arguments.hpp"
#include "binding/binding.hpp"

namespace driftlock::binding {
namespace {

/// Tells pools from other objects with native data.
constexpr napi_type_tag kTag{0x6472696674706f6f, 0x6c5f746872656164};
constexpr double kMostThreads = 64;

/// enginePool(threads) returns an object that keeps the threads until it and all engines that use them are gone.
Napi::Value enginePool(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto threads = static_cast<std::uint32_t>(integerArgument(info[0], "threads", 1, kMostThreads));
  auto pool = std::make_unique<std::shared_ptr<Pool>>(std::make_shared<Pool>(threads));
  auto object = Napi::Object::New(env);
  const auto finalize = [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<Pool>*>(data); };
  if (napi_type_tag_object(env, object, &kTag) != napi_ok ||
      napi_wrap(env, object, pool.get(), finalize, nullptr, nullptr) != napi_ok) {
    throw Napi::Error::New(env);
  }
  pool.release();
  return object;
}

}  // namespace

std::shared_ptr<Pool> poolArgument(Napi::Value value, const std::string& name) {
  bool ours = false;
  void* data = nullptr;
  if (!value.IsObject() || napi_check_object_type_tag(value.Env(), value, &kTag, &ours) != napi_ok || !ours ||
      napi_unwrap(value.Env(), value, &data) != napi_ok) {
    throw std::invalid_argument(name + " must be what enginePool returned");
  }
  return *static_cast<std::shared_ptr<Pool>*>(data);
}

void exportPool(Napi::Object exports) { exportFunction(exports, "enginePool", entry<enginePool>); }

}  // namespace driftlock::binding
