#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <numeric>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "codec/codec.hpp"
#include "engine/clocks.hpp"
#include "engine/process_budget.hpp"
#include "engine/quota.hpp"
#include "engine/shard.hpp"
#include "otlp/reader.hpp"
#include "stream/settings.hpp"

namespace driftlock {

/// Numbers that a record has in `Task::scores`.
inline constexpr std::size_t kScoreWidth = 4;

/// One request on its way through the engine. The request's bytes are somebody else's and stay until it is done.
struct Task {
  /// In place of a request: what to do to each shard, by its number, when its turn comes. A shard is one thread's.
  std::function<void(std::uint32_t, Shard&)> visit;
  /// Likewise, before: what to do with what is kept in the order of requests; and behind, with the budget.
  std::function<void(const Quota&, const Clocks&)> visitOrdered;
  std::function<void(const ProcessBudget&)> visitBudget;
  /// In place of a request: nanoseconds that have passed without one, but of those tenants.
  std::uint64_t passed = 0;
  std::vector<std::string> heard;

  otlp::Signal signal = otlp::Signal::Logs;
  std::string tenant;
  Bytes request;
  /// When it was received, or time has passed, by the receiver's own clock: for the budget of the process, which senders must
  /// not move. 0 for the event time of all requests.
  std::uint64_t receivedNanos = 0;

  // Results.
  bool malformed = false;
  otlp::WireError error;
  /// Set where the engine itself failed, such as for want of memory; nothing else is of use then.
  std::string failure;
  /// Sets it, even if there is no memory for the whole reason.
  void fail(const std::exception& error) noexcept;
  /// Set if the request was given up (`Engine::cancel`): only some of its records may have been judged, and nothing else is of
  /// use then.
  std::atomic<bool> cancelled{false};
  std::uint32_t records = 0;
  std::uint32_t flagged = 0;
  /// Records whose streams are beyond the tenant's quota: they pass unjudged.
  std::uint32_t limited = 0;
  /// Records that passed unjudged since the request had spent its allowance of work (Allowance).
  std::atomic<std::uint32_t> unjudged{0};
  /// Flagged records that carry no more than the id of their anomaly, or not even that, since the request has many.
  std::uint32_t abridged = 0;
  /// Reports that were left out since the request has too many.
  std::uint32_t unreported = 0;
  /// The request with the attributes spliced in, where something was flagged.
  OwnedBytes output;
  std::vector<std::vector<std::uint8_t>> anomalies;
  /// Score, p-value, flag (0 or 1) and channel of each record, where the settings ask for them.
  std::vector<double> scores;
  /// Likewise the windows that ended.
  std::vector<WindowReport> windows;

  // Working state.
  /// Its place in the order of `submit`, from 1 on.
  std::uint64_t number = 0;
  std::once_flag prepared;
  /// The tenant's clock with this request.
  Moment moment;
  /// Tenants whose silent streams are to be looked for, and event time by the clock of the process.
  std::vector<std::pair<std::string, Moment>> moments;
  std::uint64_t timeUnixNano = 0;
  otlp::Index index;
  StreamKeys keys;
  /// A flag a record: limited. Empty where none is.
  std::vector<std::uint8_t> refused;
  /// By worker.
  std::vector<std::vector<Flag>> flags;
  std::vector<std::vector<WindowReport>> windowsOf;
  std::mutex mutex;
  std::atomic<std::uint32_t> remaining{0};
};

struct EngineStats {
  std::uint64_t streams = 0, learning = 0, evicted = 0, bytes = 0, untold = 0;
  /// Alarms withheld: by budgets of streams, and by that of the process.
  std::uint64_t withheldByStreams = 0, withheldByProcess = 0;
};

/// All streams of an engine at one place in the order of `submit`: each part is taken by a visiting task.
class Snapshot {
 public:
  void take(std::uint32_t number, const Shard& shard) { shard.snapshot(parts_[number]); }
  void take(const Quota& quota, const Clocks& clocks) {
    quota.snapshot(quota_);
    clocks.snapshot(clocks_);
  }
  void take(const ProcessBudget& budget) { budget.snapshot(budget_); }
  /// The quota, the clocks, the budget, then shard by shard; a tenant's streams from the least recently used on.
  std::vector<std::uint8_t> join() const;

 private:
  std::vector<std::uint8_t> quota_, clocks_, budget_;
  std::array<std::vector<std::uint8_t>, kShardCount> parts_;
};

/// Statistics of streams that have changed since they were last read, gathered by a visiting task: a page of them.
class StatisticsPage {
 public:
  /// @param most streams, about: each shard gives an equal part.
  explicit StatisticsPage(std::size_t most) : most_((most + kShardCount - 1) / kShardCount) {}

  void take(std::uint32_t number, Shard& shard) { left_[number] = shard.drain(most_, parts_[number]); }
  /// By shard.
  std::span<const std::vector<StreamStatistics>> streams() const { return parts_; }
  /// How many streams are on no page yet.
  std::size_t left() const { return std::accumulate(left_.begin(), left_.end(), std::size_t{0}); }
  /// A driftlock.v1.StreamStatisticsPage message.
  std::vector<std::uint8_t> join() const { return encodeStatistics(parts_, left()); }

 private:
  std::size_t most_;
  std::array<std::size_t, kShardCount> left_{};
  std::array<std::vector<StreamStatistics>, kShardCount> parts_;
};

/// A person's word on an anomaly, told to the shards by a visiting task: one of them has the stream.
class FeedbackVisit {
 public:
  FeedbackVisit(std::string tenant, std::string anomalyId, Feedback feedback)
      : tenant_(std::move(tenant)), anomalyId_(std::move(anomalyId)), feedback_(feedback) {}

  void visit(Shard& shard);
  /// Some stream remembered the anomaly.
  bool found() const { return found_; }
  /// The message that it is over; empty where it was over before.
  const std::vector<std::uint8_t>& ended() const { return ended_; }

 private:
  std::string tenant_, anomalyId_;
  Feedback feedback_;
  std::mutex mutex_;
  bool found_ = false;
  std::vector<std::uint8_t> ended_;
};

/// Judges requests on threads of its own. Streams are dealt to shards by their hash, and a shard belongs to one thread:
/// records of a stream are judged in the order of `submit`, and what is found does not depend on the number of threads.
class Engine {
 public:
  using Done = std::function<void(std::shared_ptr<Task>)>;

  /// @param done called on one of the threads when a task is ready. It must not throw.
  /// @throws std::runtime_error if the system refuses the threads.
  Engine(Settings settings, Done done);
  /// Finishes what was submitted, unless it was abandoned.
  ~Engine();

  void submit(std::shared_ptr<Task> task);

  /// From any thread: gives up the requests submitted so far and not done, once each thread has finished the record it is
  /// working on. They are done at once, with `cancelled` set. Visits and later requests take their turn as usual.
  void cancel();

  /// From any thread, before the destructor: drops everything that was submitted, so that the destructor does not wait for
  /// it. `done` is not called any more for what was dropped, and nothing may be submitted afterwards.
  void abandon();

  /// Takes over what Snapshot::join gave, before the first `submit`. False, with nothing changed, where the bytes are no
  /// snapshot, or one that cannot be under these settings: `streamBy`, `seed`, `hashKey`, and the sizes of baseline, dictionary
  /// and window must be those of the engine that was written.
  bool restore(Bytes snapshot);

  EngineStats stats() const;

 private:
  struct Worker {
    std::deque<std::shared_ptr<Task>> queue;
    std::condition_variable wake;
    std::thread thread;
  };

  void work(std::uint32_t worker);
  /// Waits for the threads to come to the end of their queues.
  void join();
  /// False, with the task marked, if it has been given up.
  bool wanted(Task& task) const;
  void judge(Task& task, std::uint32_t worker);
  std::vector<std::unique_ptr<Shard>> freshShards() const;
  std::unique_ptr<ProcessBudget> freshBudget() const;
  /// In the order of `submit`: a worker comes to the next task only when the one before has been prepared.
  void prepare(Task& task);
  /// Likewise: the last worker to finish a task comes to the next one behind this.
  void finish(Task& task);
  /// Takes back the flags that the budget of the process withholds, and marks what is reported late.
  void withhold(Task& task, std::vector<Flag>& flags);
  /// Writes the request with the attributes of flagged records.
  void annotate(Task& task, std::span<const Flag> flags) const;

  const Settings settings_;
  const KeyedHash streamHash_;
  Done done_;
  std::unique_ptr<const Codec> codec_, excerpts_, matcher_, packer_;
  std::vector<std::unique_ptr<Shard>> shards_;
  Quota quota_;
  Clocks clocks_;
  std::unique_ptr<ProcessBudget> budget_;
  std::mutex mutex_;
  bool closing_ = false;
  /// Number of the latest task that was submitted, and of the latest that `cancel` concerns.
  std::uint64_t submitted_ = 0;
  std::atomic<std::uint64_t> cancelled_{0};
  std::atomic<bool> abandoned_{false};
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace driftlock
