#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "codec/codec.hpp"
#include "engine/active_groups.hpp"
#include "engine/checkpoint.hpp"
#include "engine/clocks.hpp"
#include "engine/pool.hpp"
#include "engine/process_budget.hpp"
#include "engine/quota.hpp"
#include "engine/shard.hpp"
#include "graph/graphs.hpp"
#include "llm/derive.hpp"
#include "llm/tenants.hpp"
#include "otlp/reader.hpp"
#include "stream/settings.hpp"

namespace driftlock {

/// The number of values per record in `Task::scores`.
inline constexpr std::size_t kScoreWidth = 4;

/// Records that are judged with a request because they were derived from it.
struct DerivedRequest {
  std::vector<std::uint8_t> bytes;
  otlp::Index index;
  StreamKeys keys;
  std::vector<std::uint8_t> refused;
  /// The record of the request that each is judged for.
  std::vector<std::uint32_t> origins;
  std::vector<llm::Derived::Origin> about;
};

/// One request on its way through the engine. The caller owns the request's bytes and keeps them until it is done.
struct Task {
  /// Instead of a request: a visitor called with each shard and its number when its turn comes, on the thread of the shard.
  std::function<void(std::uint32_t, Shard&)> visit;
  /// Whether the visit need not wait for its turn.
  bool urgent = false;
  /// A visitor of the state that is kept in the order of requests, called before `visit`; and one of what is decided once a
  /// request is judged, called after it.
  std::function<void(const Quota&, const Clocks&, const ActiveGroups&, const llm::Tenants&)> visitOrdered;
  std::function<void(const ProcessBudget&, const ServiceGraphs&)> visitFinished;
  /// Whether the visit comes after time of which nothing is known, so that the clocks are interrupted before it.
  bool interrupts = false;
  /// Instead of a request: the nanoseconds that have passed without a request, except from the tenants listed.
  std::uint64_t passed = 0;
  std::vector<std::string> heard;
  /// Instead of a request: the event time of the latest record of the tenant, which others judge; 0 if there is a request.
  std::uint64_t told = 0;
  /// Whether nothing is reported: only what is learned, and the scores if the settings ask for them, are as usual.
  bool silent = false;

  otlp::Signal signal = otlp::Signal::Logs;
  std::string tenant;
  Bytes request;
  /// The time of receipt, or of the passage of time, in nanoseconds since 1970 by the receiver's own clock: for the budget of the
  /// process, which senders must not move, and for records without a time. If it is 0, the event time of all requests is used.
  std::uint64_t receivedNanos = 0;

  // Results.
  bool malformed = false;
  otlp::WireError error;
  /// Set if the engine itself failed, for example for lack of memory; nothing else is valid then.
  std::string failure;
  /// Sets `failure`, even if there is no memory for the whole reason.
  void fail(const std::exception& error) noexcept;
  /// Set if the request was cancelled (`Engine::cancel`): only some of its records may have been judged, and nothing
  /// else is valid then.
  std::atomic<bool> cancelled{false};
  std::uint32_t records = 0;
  std::uint32_t flagged = 0;
  /// The number of records that passed unjudged because their streams are beyond the tenant's quota.
  std::uint32_t limited = 0;
  /// The number of records that passed unjudged because the request had spent its allowance of work (Allowance).
  std::atomic<std::uint32_t> unjudged{0};
  /// The number of records whose time was missing, not of this century, or not in nanoseconds.
  std::atomic<std::uint32_t> redated{0};
  /// The number of records that passed unjudged because the policies of their streams say so.
  std::atomic<std::uint32_t> excluded{0};
  /// The number of reports of anomalies that came back as log records; they pass unjudged.
  std::atomic<std::uint32_t> returned{0};
  /// The number of flagged records that carry only the id of their anomaly, or not even that, because the request has many.
  std::uint32_t abridged = 0;
  /// The number of reports that were omitted because the request has too many.
  std::uint32_t unreported = 0;
  /// A driftlock.v1.EvidencePage, from which incidents are formed; empty if there is nothing to tell.
  std::vector<std::uint8_t> page;
  /// A driftlock.v1.LlmPage with the calls of language models that the request completed; empty if there are none.
  std::vector<std::uint8_t> calls;
  /// The number of verdicts that the page omits because the request has too much evidence.
  std::atomic<std::uint32_t> evidenceLeftOut{0};
  /// The request with the attributes spliced in, if something was flagged.
  OwnedBytes output;
  std::vector<std::vector<std::uint8_t>> anomalies;
  /// The strangest of what was not flagged, as messages like those of anomalies, without an id.
  std::vector<std::vector<std::uint8_t>> notable;
  /// The score, p-value, flag (0 or 1) and channel of each record, if the settings ask for them.
  std::vector<double> scores;
  /// The windows that ended, if the settings ask for scores.
  std::vector<WindowReport> windows;

  // Working state.
  /// The task's place in the order of `submit`, starting at 1.
  std::uint64_t number = 0;
  std::once_flag prepared;
  /// The moment of the tenant's clock with this request.
  Moment moment;
  /// The number of the tenant's resource groups that share what its budget leaves to chance.
  std::uint32_t groups = 1;
  /// The tenants whose streams are checked for silence, with their moments, and the event time by the clock of the process.
  std::vector<std::pair<std::string, Moment>> moments;
  std::uint64_t timeUnixNano = 0;
  /// The time of receipt, or else the tenant's event time, for records without a time.
  std::uint64_t arrival = 0;
  otlp::Index index;
  /// What is judged and what is forwarded, if the privacy policy changes that; empty otherwise. `index` is of what is judged,
  /// `forwardIndex` of what is forwarded if that differs. If the policy does the same to both, `index` is of `forwarded`.
  OwnedBytes judged, forwarded;
  std::optional<otlp::Index> forwardIndex;
  StreamKeys keys;
  /// A flag per record that is set if its stream is beyond the quota. Empty if none is.
  std::vector<std::uint8_t> refused;
  /// The calls of language models that the request completes, those that are left out, and what is judged of them.
  std::vector<llm::Completed> completed;
  std::uint32_t callsLeftOut = 0;
  std::vector<DerivedRequest> derived;
  /// The flags found by each worker.
  std::vector<std::vector<Flag>> flags;
  std::vector<std::vector<std::unique_ptr<TickEvidence>>> evidence;
  std::vector<std::vector<Report>> notableOf;
  std::vector<std::vector<WindowReport>> windowsOf;
  std::mutex mutex;
  std::atomic<std::uint32_t> remaining{0};
};

struct EngineStats {
  std::uint64_t streams = 0, learning = 0, evicted = 0, bytes = 0, untold = 0;
  /// The number of alarms withheld by the budgets of streams, of resource groups, and of the process.
  std::uint64_t withheldByStreams = 0, withheldByGroups = 0, withheldByTenants = 0, withheldByProcess = 0;
  /// The places of operations, calls and open spans of the service graphs, and the number of those that gave way.
  std::uint64_t graphPlaces = 0, graphCalls = 0, graphSpans = 0, graphGaveWay = 0;
};

/// A page of statistics of streams that have changed since they were last read, gathered by a visiting task.
class StatisticsPage {
 public:
  /// @param most the approximate number of streams; each shard contributes an equal part
  explicit StatisticsPage(std::size_t most) : most_((most + kShardCount - 1) / kShardCount) {}

  void take(std::uint32_t number, Shard& shard) { left_[number] = shard.drain(most_, parts_[number]); }
  /// The statistics of streams, by shard.
  std::span<const std::vector<StreamStatistics>> streams() const { return parts_; }
  /// The number of streams that are on no page yet.
  std::size_t left() const { return std::accumulate(left_.begin(), left_.end(), std::size_t{0}); }
  /// Returns the page as a driftlock.v1.StreamStatisticsPage message.
  std::vector<std::uint8_t> join() const { return encodeStatistics(parts_, left()); }

 private:
  std::size_t most_;
  std::array<std::size_t, kShardCount> left_{};
  std::array<std::vector<StreamStatistics>, kShardCount> parts_;
};

/// A person's feedback on an anomaly, brought to the shards by a visiting task: one of them has the stream.
class FeedbackVisit {
 public:
  FeedbackVisit(std::string tenant, std::string anomalyId, Feedback feedback)
      : tenant_(std::move(tenant)), anomalyId_(std::move(anomalyId)), feedback_(feedback) {}

  void visit(Shard& shard);
  /// Whether a stream remembered the anomaly.
  bool found() const { return found_; }
  /// The message that the anomaly is over; empty if it was over before.
  const std::vector<std::uint8_t>& ended() const { return ended_; }

 private:
  std::string tenant_, anomalyId_;
  Feedback feedback_;
  std::mutex mutex_;
  bool found_ = false;
  std::vector<std::uint8_t> ended_;
};

/// A person's feedback on what a budget withheld, which belongs to no anomaly.
class ToleranceVisit {
 public:
  ToleranceVisit(std::string tenant, std::string stream, ChannelId channel, double score)
      : tenant_(std::move(tenant)), stream_(std::move(stream)), channel_(channel), score_(score) {}

  void visit(Shard& shard) {
    if (shard.tolerate(tenant_, stream_, channel_, score_)) found_ = true;
  }
  /// Whether there was such a stream.
  bool found() const { return found_; }

 private:
  std::string tenant_, stream_;
  ChannelId channel_;
  double score_;
  std::atomic<bool> found_{false};
};

/// Judges requests on threads of its own, or of a pool that several engines share. Resource groups are assigned to shards by
/// their hash, and a shard belongs to one worker: records of a stream are judged in the order of `submit`, and the result does
/// not depend on the number of threads.
class Engine {
 public:
  using Done = std::function<void(std::shared_ptr<Task>)>;

  /// @param done is called on one of the threads when a task is ready. It must not throw.
  /// @param pool whose threads do the work, as many at a time as `settings.threads`; null for so many of its own
  /// @throws std::runtime_error if the system refuses the threads.
  Engine(Settings settings, Done done, std::shared_ptr<Pool> pool = {});
  /// Finishes what was submitted, unless it was abandoned.
  ~Engine();

  void submit(std::shared_ptr<Task> task);

  /// Cancels the requests that are submitted and not done, once each thread has finished its current record; they are
  /// then done at once, with `cancelled` set. Visits and later requests take their turn as usual. May be called from
  /// any thread.
  void cancel();

  /// Drops everything that was submitted, so that the destructor does not wait for it. `done` is not called for what
  /// was dropped, and nothing may be submitted afterwards. May be called from any thread, before the destructor.
  void abandon();

  /// Creates a checkpoint, which visiting tasks begin, step by step read, and end: see Checkpoint. There may be one at a time.
  std::unique_ptr<Checkpoint> checkpoint(CheckpointOf what);

  /// Restores the records of a checkpoint, before the first `submit`: `restore` takes a piece, and `completeRestore` comes after
  /// the last. The settings `streamBy`, `groupBy`, `seed`, `hashKey`, and the sizes of baseline, dictionary and window must equal
  /// those of the engine that wrote it. Returns why it is refused, and the engine is then as new; empty if it is restored.
  /// @param tracks whether the next checkpoint of changes is of what changes from now on, not of everything
  void restore(Restoration& restoration, Bytes piece);
  std::string completeRestore(const Restoration& restoration, bool tracks);

  EngineStats stats() const;
  /// The privacy policy, which counts what it finds.
  const privacy::Policy& privacy() const { return *settings_.privacy; }

 private:
  /// A queue of tasks, of which one thread at a time does the first.
  class Worker final : public Pool::Lane {
   public:
    Worker(Engine& engine, std::uint32_t number) : number(number), engine_(engine) {}

    const std::uint32_t number;
    std::deque<std::shared_ptr<Task>> queue;

   private:
    bool work() override;

    Engine& engine_;
  };

  /// Does the next task of a worker. Returns whether there are more.
  bool work(Worker& worker);
  /// Returns false, and marks the task, if it has been cancelled.
  bool wanted(Task& task) const;
  void judge(Task& task, std::uint32_t worker);
  std::vector<std::unique_ptr<Shard>> freshShards() const;
  std::unique_ptr<ProcessBudget> freshBudget() const;
  std::unique_ptr<ServiceGraphs> freshGraphs() const;
  /// Restores what is not of one stream. Returns why it is refused; empty if it is restored.
  std::string restoreHead(const Restoration& restoration, bool tracks);
  /// Prepares a task. This happens in the order of `submit`: a worker proceeds to the next task only after the previous
  /// one was prepared.
  void prepare(Task& task);
  /// Lets the privacy policy change what is judged and what is forwarded.
  void redactTask(Task& task) const;
  /// Reads the calls of language models, and derives what is judged of them.
  void deriveCalls(Task& task, std::uint64_t time);
  /// Finishes a task. This too happens in the order of `submit`: the last worker to finish a task proceeds to the next
  /// one afterwards.
  void finish(Task& task);
  /// Adds a request to the service graphs of its tenant, or lets time pass for them.
  void updateGraphs(Task& task);
  /// Removes the flags that the budget of the process withholds, and marks what is reported late.
  void withhold(Task& task, std::vector<Flag>& flags);
  /// Writes what TypeScript is told about the calls.
  void tellCalls(Task& task, std::span<const Flag> flags) const;
  /// Removes what a silent task was about to tell.
  static void hush(Task& task);
  /// Writes the page from what the task found.
  static void tell(Task& task);
  /// Writes the request with the attributes of the flagged records.
  void annotate(Task& task, std::span<const Flag> flags) const;

  const Settings settings_;
  const KeyedHash streamHash_;
  Done done_;
  std::unique_ptr<const Codec> codec_, excerpts_, matcher_, packer_;
  std::vector<std::unique_ptr<Shard>> shards_;
  Quota quota_;
  Clocks clocks_;
  ActiveGroups groups_;
  /// The attributes of resources that derived records keep.
  std::vector<std::string> keptAttributes_;
  std::unique_ptr<llm::Tenants> calls_;
  std::unique_ptr<ProcessBudget> budget_;
  std::unique_ptr<ServiceGraphs> graphs_;
  /// The most pieces that the head has had in any checkpoint.
  std::uint32_t headPieces_ = 0;
  /// Guards what a restoration replaces while others read its counts.
  mutable std::mutex partsMutex_;
  std::mutex mutex_;
  /// The number of the latest task that was submitted, and of the latest that `cancel` covers.
  std::uint64_t submitted_ = 0;
  std::atomic<std::uint64_t> cancelled_{0};
  std::atomic<bool> abandoned_{false};
  std::vector<std::unique_ptr<Worker>> workers_;
  std::shared_ptr<Pool> pool_;
};

}  // namespace driftlock
