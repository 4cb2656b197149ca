#include "engine/pool.hpp"

#include <stdexcept>
#include <string>
#include <system_error>

#if defined(__linux__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace driftlock {
namespace {

/// Names the thread for debuggers and `top -H`; Linux accepts 15 bytes.
void nameThread([[maybe_unused]] std::uint32_t number) {
#if defined(__APPLE__)
  pthread_setname_np(("dl-engine-" + std::to_string(number)).c_str());
#elif defined(__linux__)
  pthread_setname_np(pthread_self(), ("dl-engine-" + std::to_string(number)).c_str());
#endif
}

}  // namespace

Pool::Pool(std::uint32_t threads) {
  try {
    for (std::uint32_t i = 0; i < threads; ++i) threads_.emplace_back([this, i] { serve(i); });
  } catch (const std::system_error& error) {
    end();
    throw std::runtime_error("threads: the system refuses to start " + std::to_string(threads) + " threads (" + error.what() +
                             "): lower the number, or raise the limit of processes");
  }
}

Pool::~Pool() { end(); }

void Pool::end() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wakes_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Pool::wake(Lane& lane) {
  {
    std::lock_guard lock(mutex_);
    if (lane.state_ == Lane::State::Working) lane.woken_ = true;
    if (lane.state_ != Lane::State::Idle) return;
    enqueue(lane);
  }
  wakes_.notify_one();
}

void Pool::enqueue(Lane& lane) {
  lane.state_ = Lane::State::Waiting;
  lane.next_ = nullptr;
  (last_ ? last_->next_ : first_) = &lane;
  last_ = &lane;
}

void Pool::rest(const Lane& lane) {
  std::unique_lock lock(mutex_);
  rests_.wait(lock, [&] { return lane.state_ == Lane::State::Idle; });
}

void Pool::serve(std::uint32_t number) {
  nameThread(number);
  std::unique_lock lock(mutex_);
  for (;;) {
    wakes_.wait(lock, [&] { return ending_ || first_; });
    if (!first_) return;
    Lane& lane = *first_;
    first_ = lane.next_;
    if (!first_) last_ = nullptr;
    lane.state_ = Lane::State::Working;
    lane.woken_ = false;
    lock.unlock();
    const bool more = lane.work();
    lock.lock();
    if (more || lane.woken_) {
      // This thread goes on with the first that waits; each of the others has woken another thread when it began to wait.
      enqueue(lane);
    } else {
      lane.state_ = Lane::State::Idle;
      rests_.notify_all();
    }
  }
}

}  // namespace driftlock
