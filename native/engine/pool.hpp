#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace driftlock {

/// Threads that serve lanes, such as those of several engines. A lane that has work waits in a queue; when its turn comes, a
/// thread does one piece of it, and the lane goes to the end of the queue if there is more. So no lane waits for longer than a
/// piece of each other one, and the pieces of one lane are done in their order, one at a time.
class Pool {
 public:
  class Lane {
   public:
    virtual ~Lane() = default;

   private:
    friend Pool;
    /// Does the next piece of work. Returns whether there is more.
    virtual bool work() = 0;

    enum class State : std::uint8_t { Idle, Waiting, Working };
    State state_ = State::Idle;
    /// Whether it was woken while it was working.
    bool woken_ = false;
    /// The next lane in the queue.
    Lane* next_ = nullptr;
  };

  /// @throws std::runtime_error if the system refuses the threads.
  explicit Pool(std::uint32_t threads);
  /// Ends the threads. All lanes are at rest.
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Notes that a lane has work.
  void wake(Lane& lane);
  /// Waits until a lane has no work. Nobody wakes it meanwhile.
  void rest(const Lane& lane);

 private:
  void serve(std::uint32_t number);
  /// Puts a lane at the end of the queue.
  void enqueue(Lane& lane);
  void end();

  std::mutex mutex_;
  std::condition_variable wakes_, rests_;
  /// The queue of lanes that wait.
  Lane* first_ = nullptr;
  Lane* last_ = nullptr;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace driftlock
