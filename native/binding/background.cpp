#include "binding/background.hpp"

#include "binding/arguments.hpp"
#include "binding/errors.hpp"

namespace driftlock::binding {
namespace {

/// The number of pieces of work in libuv's pool at once: half of its threads by default, so that the others remain for files,
/// names and whatever else Node does there, however long a piece takes.
constexpr std::size_t kMostInPool = 2;

/// Returns false if the environment is ending and calls into JavaScript fail.
bool alive(napi_env env) {
  napi_value value = nullptr;
  return napi_get_undefined(env, &value) == napi_ok && napi_coerce_to_bool(env, value, &value) == napi_ok;
}

}  // namespace

class Background::Queue {
 public:
  static Queue& of(Napi::Env env) {
    if (!env.GetInstanceData<Queue>()) env.SetInstanceData(new Queue);
    return *env.GetInstanceData<Queue>();
  }

  void add(std::unique_ptr<Background> work) { waiting_.push_back(std::move(work)); }

  /// Fills the pool as far as there is room.
  void fill(napi_env env) {
    while (inPool_ < kMostInPool && !waiting_.empty()) {
      std::unique_ptr<Background>& next = waiting_.front();
      napi_value name = nullptr;
      napi_async_work handle = nullptr;
      if (napi_create_string_utf8(env, "driftlock", NAPI_AUTO_LENGTH, &name) != napi_ok ||
          napi_create_async_work(env, nullptr, name, execute, complete, next.get(), &handle) != napi_ok) {
        throw Napi::Error::New(env);
      }
      if (napi_queue_async_work(env, handle) != napi_ok) {
        napi_delete_async_work(env, handle);
        throw Napi::Error::New(env);
      }
      next->handle_ = handle;
      // `complete` takes it back.
      next.release();
      waiting_.pop_front();
      ++inPool_;
    }
  }

  void leftPool() { --inPool_; }
  void clear() { waiting_.clear(); }

 private:
  std::size_t inPool_ = 0;
  std::deque<std::unique_ptr<Background>> waiting_;
};

Napi::Value Background::start(Napi::Env env, const std::function<std::unique_ptr<Background>()>& make) {
  const auto deferred = Napi::Promise::Deferred::New(env);
  try {
    auto work = make();
    work->deferred_ = deferred;
    Queue& queue = Queue::of(env);
    queue.add(std::move(work));
    queue.fill(env);
  } catch (const Napi::Error&) {
    // Whatever a getter throws is thrown. It may be the end of a script that took too long, which gets no promise to handle.
    throw;
  } catch (...) {
    deferred.Reject(toError(env, std::current_exception()).Value());
  }
  return deferred.Promise();
}

void Background::execute(napi_env, void* data) {
  auto& self = *static_cast<Background*>(data);
  try {
    self.done_ = self.run();
  } catch (...) {
    self.failure_ = std::current_exception();
  }
}

void Background::complete(napi_env env, napi_status, void* data) {
  std::unique_ptr<Background> self(static_cast<Background*>(data));
  napi_delete_async_work(env, self->handle_);
  try {
    Queue& queue = Queue::of(env);
    queue.leftPool();
    if (!alive(env)) {
      queue.clear();
      return;
    }
    if (self->done_ || self->failure_) {
      self->settle(env);
    } else {
      queue.add(std::move(self));
    }
    queue.fill(env);
  } catch (...) {
    // There is no memory, or the environment has begun to end: the next completion starts what waits.
  }
}

void Background::settle(Napi::Env env) noexcept {
  try {
    if (!failure_) {
      try {
        deferred_->Resolve(result(env));
        return;
      } catch (...) {
        failure_ = std::current_exception();
      }
    }
    deferred_->Reject(toError(env, failure_).Value());
  } catch (...) {
    // The environment is ending.
  }
}

}  // namespace driftlock::binding
