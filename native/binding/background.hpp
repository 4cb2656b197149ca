#pragma once

#include <napi.h>

#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>

namespace driftlock::binding {

/// Work on the threads of libuv's pool that settles a promise when it ends. Only a few pieces of it are in the pool at once and
/// each is short, so that files and the like get their turn between them: when an environment ends, Node waits for everything in
/// the pool.
class Background {
 public:
  /// Returns the promise of the result of the work that `make` creates. If `make` throws for a wrong argument, the promise is
  /// rejected.
  static Napi::Value start(Napi::Env env, const std::function<std::unique_ptr<Background>()>& make);

  virtual ~Background() = default;

 protected:
  /// Does a piece of the work on a thread of the pool; returns true once it is all done. An exception rejects the promise.
  virtual bool run() = 0;
  /// Returns the result, on JavaScript's thread, once all is done.
  virtual Napi::Value result(Napi::Env env) = 0;

 private:
  /// The work of an environment that is not in the pool yet.
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
