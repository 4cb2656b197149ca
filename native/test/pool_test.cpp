// Threads that engines share.

#include "engine/pool.hpp"

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "engine_bench.hpp"
#include "test.hpp"
#include "traffic.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

class Pieces final : public Pool::Lane {
 public:
  Pieces(char name, int pieces, std::string& order) : name_(name), left_(pieces), order_(order) {}

 private:
  bool work() override {
    if (left_ == 0) return false;
    order_ += name_;
    return --left_ > 0;
  }

  char name_;
  int left_;
  std::string& order_;
};

class Gate final : public Pool::Lane {
 public:
  std::promise<void> opens;

 private:
  bool work() override {
    opens.get_future().wait();
    return false;
  }
};

/// Checks that lanes take turns, however much each has to do.
TEST(lanesTakeTurns) {
  std::string order;
  Pieces many('a', 6, order), few('b', 2, order), one('c', 1, order);
  Gate gate;
  Pool pool(1);
  pool.wake(gate);
  pool.wake(many), pool.wake(few), pool.wake(one);
  gate.opens.set_value();
  for (Pool::Lane* lane : {static_cast<Pool::Lane*>(&gate), static_cast<Pool::Lane*>(&many), static_cast<Pool::Lane*>(&few),
                           static_cast<Pool::Lane*>(&one)}) {
    pool.rest(*lane);
  }
  CHECK(order == "abcabaaaa");
}

/// Checks that engines on the same threads judge as one of its own does, and that one that is gone leaves the others.
TEST(enginesShareThreads) {
  const auto pool = std::make_shared<Pool>(2);
  Bench alone(settingsOf(1));
  std::vector<std::unique_ptr<Bench>> benches;
  for (std::uint32_t i = 0; i < 6; ++i) benches.push_back(std::make_unique<Bench>(settingsOf(1 + i % 3), pool));
  Traffic traffic;
  bool equal = true;
  for (int i = 0; i < 120; ++i) {
    const auto step = traffic.next();
    const auto expected = alone.process(step.signal, step.bytes);
    // Each has tasks at the same time.
    std::vector<std::future<std::shared_ptr<Task>>> tasks;
    for (const auto& bench : benches) {
      if (bench) tasks.push_back(std::async(std::launch::async, [&] { return bench->process(step.signal, step.bytes); }));
    }
    for (auto& task : tasks) equal = same(*expected, *task.get()) && equal;
    if (i == 40) benches[1].reset();
    if (i == 80) benches[4].reset();
  }
  CHECK(equal);
  CHECK(benches[5]->snapshot() == alone.snapshot());
}

}  // namespace
