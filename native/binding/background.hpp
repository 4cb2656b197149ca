#pragma once

#include <napi.h>

#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>

namespace driftlock::binding {

/// Work on the threads of libuv's pool, the end of which settles a promise. Few pieces of it are in the pool at once and each
/// is short, so that files and the like get their turn between them: when an environment ends, Node waits for all that is in
/// the pool.
class Background {
 public:
  /// The promise of the result of the work that `make` gives. What `make` throws for a wrong argument rejects it.
  static Napi::Value start(Napi::Env env, const std::function<std::unique_ptr<Background>()>& make);

  virtual ~Background() = default;

 protected:
  /// On a thread of the pool: does a piece of the work. True once it is all done. What it throws rejects the promise.
  virtual bool run() = 0;
  /// On JavaScript's thread, once all is done.
  virtual Napi::Value result(Napi::Env env) = 0;

 private:
  /// The work of an environment that is not in the pool.
  class Queue;

  static void execute(napi_env env, void* data);
  static void complete(napi_env env, napi_status status, void* data);
  void settle(Napi::Env env) noexcept;

  std::optional<Napi::Promise::Deferred> deferred_;
  napi_async_work handle_ = nullptr;
  bool done_ = false;
  std::exception_ptr failure_;
};

}  // namespace driftlock::binding
