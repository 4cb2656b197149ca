#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/saves.hpp"
#include "engine/shelf.hpp"
#include "recording/recorder.hpp"
#include "report/allowance.hpp"
#include "report/describer.hpp"
#include "report/group_state.hpp"
#include "report/notable.hpp"
#include "report/report.hpp"
#include "report/statistics.hpp"
#include "report/tick_evidence.hpp"
#include "stream/keys.hpp"
#include "stream/settings.hpp"
#include "stream/stream.hpp"

namespace driftlock {

/// A checked request and the streams of its records.
struct Request {
  const otlp::Index& index;
  const StreamKeys& keys;
  std::string_view tenant;
  /// The moment of the tenant's clock with this request.
  Moment moment{};
  /// Its place in the order of requests, starting at 1.
  std::uint64_t number = 1;
  /// The number of the tenant's resource groups that share what its budget leaves to chance.
  std::uint32_t groups = 1;
  /// When it arrived, as far as that is known: the time of receipt, or else the tenant's event time; 0 if there is neither.
  std::uint64_t arrival = 0;
  /// Of records that were derived from others: those records of the request that was received, and which of its derived requests
  /// this is, starting at 1.
  std::span<const std::uint32_t> origins{};
  std::uint8_t derived = 0;

  /// The record of the request that was received to which a verdict on a record belongs.
  std::uint32_t origin(std::uint32_t record) const { return origins.empty() ? record : origins[record]; }
};

/// A window's verdict, for replay.
struct WindowReport {
  /// The record of the request that completed the window.
  std::uint32_t record = 0;
  std::string stream;
  WindowVerdict verdict;
  WindowMetrics metrics;
};

/// The streams of the resource groups whose hash falls into one shard; used by one thread at a time. Tenants have equal shares of
/// its places: a new stream takes the place of the least recently used one of its own tenant, or of the tenant that has most.
///
/// A new replica begins with what the youngest of its family knows, which includes how it is to begin, or, if none is held, with
/// what the last of them knew. One that is silent for long while others go on has left and gives its memory back.
class Shard {
 public:
  /// `codec` measures the window; `excerpts` compresses what an anomaly keeps of it; `matcher` (LZ4) finds the record of the
  /// baseline that is nearest; `packer` (zstd) packs snapshots.
  Shard(const Settings& settings, const Codec& codec, const Codec& excerpts, const Codec& matcher, const Codec& packer);

  /// Begins a request of this size; its records, and what it reveals, come next.
  void begin(std::size_t requestSize) {
    allowance_ = Allowance(requestSize);
    evidence_.clear();
    notable_.clear();
    resource_ = otlp::kNone;
    recorder_.begin();
  }

  /// Judges by these rules from now on.
  void setPolicies(std::shared_ptr<const Policies> policies);
  /// Ends the records of a request: judges what the resource groups that it concerned show together.
  void end(std::vector<Flag>& flags);

  /// Judges a record of the request. Adds what is flagged, and what has ended, to `flags`, and the verdict on a window
  /// that it completes to `windows`, if wanted. Returns nothing if the request has spent its allowance: the record then
  /// passes unjudged, and likewise if its stream's policy says so.
  std::optional<Verdict> judge(const Request& request, std::uint32_t record, std::vector<Flag>& flags,
                               std::vector<WindowReport>* windows);

  /// Judges the streams of a tenant that have been silent for long at this moment, after all records of the request
  /// that advanced its clock.
  /// @param at orders the flags among those of other shards: see Flag::at
  void elapse(std::string_view tenant, const Moment& moment, std::uint32_t at, std::vector<Flag>& flags);

  /// Moves the evidence that the request gave to the end of `out`. Returns the number of verdicts that it leaves out.
  std::uint32_t takeEvidence(std::vector<std::unique_ptr<TickEvidence>>& out) { return evidence_.take(out); }
  /// Moves the descriptions of the request's notable verdicts to the end of `out`: see Notable.
  void takeNotable(std::vector<Report>& out) {
    std::ranges::move(notable_, std::back_inserter(out));
    notable_.clear();
  }

  /// Counts a record whose stream is beyond its tenant's quota.
  void limit(const Request& request, std::uint32_t record);

  /// Moves the statistics of up to `most` streams that have changed since they were last read to `out`, those that gave way
  /// first. Returns how many are left.
  std::size_t drain(std::size_t most, std::vector<StreamStatistics>& out);

  /// Applies a person's feedback on an anomaly of the tenant; if that ends it, `flags` receives the end. Returns false
  /// if no stream of the shard remembers the anomaly.
  bool feedback(std::string_view tenant, std::string_view anomalyId, Feedback feedback, std::vector<Flag>& flags);
  /// Lets the streams of this name, or the group, learn that such scores of a channel are usual, because a person said so of what
  /// a budget had withheld. Returns false if there are none.
  bool tolerate(std::string_view tenant, std::string_view name, ChannelId channel, double score);

  /// Notes for each stream that is not packed that records were missed: see Stream::interrupt.
  void interrupt(bool resumes);

  /// Begins a checkpoint, and appends what the head says of the shard. It is called between requests.
  void beginCheckpoint(CheckpointOf what, std::vector<std::uint8_t>& head);
  /// What remains to be saved of the checkpoint that has begun.
  Saves& saves() { return saves_; }

  /// Restores what a record says into a fresh shard, in any order. Returns false if it is no such record; the shard is then
  /// unusable.
  bool restore(const SavedRecord& record, const SavedKey& key);
  /// Completes what was restored by what the head says. If the settings now allow fewer streams, the most recently used ones are
  /// kept. Returns false if that does not fit together; the shard is then unusable.
  /// @param tracks whether the next checkpoint is of what changes from now on
  bool completeRestore(Bytes head, bool tracks);
  /// The sum of the digests of the records that were restored.
  std::uint64_t restoredSum() const { return restoredSum_; }

  // These are read from other threads.
  std::atomic<std::uint64_t> streams{0}, learning{0}, evicted{0}, bytes{0}, shelved{0}, untold{0}, withheld{0},
      withheldByGroups{0};

 private:
  struct Held;
  struct Tenant;
  /// A resource group, and the number of its streams that are held.
  struct HeldGroup final : GroupState, Savable {
    HeldGroup(const Settings& settings, const StreamKey& member);

    /// What the group of a stream has in place of a stream's key.
    static StreamKey keyOf(const StreamKey& member);

    SavedKey savedKey() const override { return {SavedKind::Group, key.hash, key.tenant}; }
    void save(const Codec& packer, std::vector<std::uint8_t>& value) const override;

    std::size_t memory() const;

    std::size_t streams = 0;
    /// The streams of each family.
    std::unordered_map<std::uint64_t, std::vector<Held*>> families;
    /// The part of `memory` that the shard has counted.
    std::size_t accounted = 0;
    /// The last record of the request that concerned the group; kNoRecord if none has.
    std::uint32_t touched = Report::kNoRecord;
  };
  /// A stream and its statistics.
  struct Held final : Savable {
    Held(StreamKey key, const Settings& settings, Tenant& tenant, HeldGroup& group)
        : tenant(tenant),
          group(group),
          stream(std::move(key), settings, group.group),
          replicas(group.families[stream.key().family]) {
      replicas.push_back(this);
    }

    SavedKey savedKey() const override { return {SavedKind::Stream, stream.key().hash, stream.key().tenant}; }
    void save(const Codec& packer, std::vector<std::uint8_t>& value) const override;

    Tenant& tenant;
    HeldGroup& group;
    Stream stream;
    /// The streams of its family, with itself.
    std::vector<Held*>& replicas;
    StreamTimes times;
    Tally tally;
    /// Whether its last record was beyond the quota.
    bool limited = false;
    /// Whether its last record passed because its policy says so.
    bool excluded = false;
    /// Whether it is in `changed_`.
    bool changed = false;
    std::list<Held*>::iterator place;
    /// The part of `stream.withheld()` that has been counted.
    std::uint64_t withheld = 0, withheldByGroup = 0;
    /// The time at which it is in its tenant's `due`; 0 if it is not there.
    std::uint64_t due = 0;
    /// The number of streams from which what it knows has been handed down.
    std::uint64_t generation = 0;
    /// The number of its latest use, by which the streams of a tenant are in order.
    std::uint64_t used = 0;
  };
  using Order = std::list<Held>;
  struct Tenant {
    /// The resource groups by their hash. A group that loses its last stream goes to the shelf with it.
    std::unordered_map<std::uint64_t, HeldGroup> groups;
    /// The streams, most recently used first.
    Order order;
    /// The times, by the tenant's clock, at which streams are checked for silence, with their hashes. A stream that was
    /// active meanwhile is postponed only then, so that a record costs nothing here.
    std::set<std::pair<std::uint64_t, std::uint64_t>> due;
    Notable notable;
  };
  using Tenants = std::map<std::string, Tenant, std::less<>>;

  Held& find(const Request& request, std::uint32_t record);
  /// Lets a record of the request pass unjudged.
  void pass(const Request& request, std::uint32_t record, std::vector<Flag>& flags);
  /// Whether a stream counts as one that learns.
  static bool learns(const Held& held) { return held.stream.learning() && held.stream.policy().judge; }
  /// Counts a record that passes because its stream's policy says so.
  void exclude(Held& held);
  /// Moves a stream in front of its tenant's others.
  void use(Order::iterator held);
  /// Makes room for a stream of the tenant.
  void makeRoom(std::string_view tenant);
  /// Removes the least recently used stream of the tenant that makes room for a newcomer.
  void evict(std::string_view newcomer);
  /// These add a stream in front of its tenant's others: a new one, with what its family knows; an empty one; or one from its
  /// packed bytes. `unpack` returns null if the bytes are not a stream, or not the expected one, or, with a `successor`, not of
  /// its family.
  Held& begin(StreamKey key);
  Held& add(StreamKey key);
  Held* unpack(Bytes packed, const StreamId* expected, const StreamKey* successor = nullptr);
  /// Removes a stream. `shelves`: if it has learned, it goes to the shelf.
  void release(Tenants::iterator tenant, Order::iterator held, bool shelves);
  void remove(Tenants::iterator tenant, Order::iterator held);
  /// The streams of a family; null if none is held.
  const std::vector<Held*>* familyOf(const StreamKey& key) const;
  /// The youngest of a family, except for one.
  static Held& youngest(const std::vector<Held*>& family, const Held* except = nullptr);
  /// Completes a stream that goes on from a state of these times.
  Held& settle(Held& held, const StreamTimes& times);
  /// The time of the tenant's clock at which it is to be checked whether the stream is silent or has left; 0 if it is not.
  static std::uint64_t dueOf(const Held& held);
  /// Whether a replica was heard after it, so that its silence says nothing about the service.
  static bool outlived(const Held& held);
  /// Whether a replica was heard when it was long overdue.
  static bool hasLeft(const Held& held);
  /// `group` is packed with the stream if it is given.
  static std::vector<std::uint8_t> pack(const Held& held, const HeldGroup* group, const Codec& packer);
  bool restoreStream(const SavedRecord& record, const SavedKey& key, std::uint64_t digest);
  bool restoreGroup(const SavedRecord& record, const SavedKey& key, std::uint64_t digest);
  /// Calls `visit` with everything that has a record of its own; with a group once for each of its streams.
  template <typename Visit>
  void forEachSavable(Visit&& visit);
  /// Notes that a stream is about to change, and its group with it.
  void touch(Held& held) {
    saves_.change(held);
    saves_.change(held.group);
  }
  /// The group of a stream if that is its last; null otherwise.
  static const HeldGroup* lastOf(const Held& held) { return held.group.streams == 1 ? &held.group : nullptr; }
  void change(Held& held);
  /// Counts the memory of a stream or group anew.
  void account(std::size_t& accounted, std::size_t memory) {
    bytes += memory - accounted;
    accounted = memory;
  }
  /// Counts what the stream's budget has withheld since the last call.
  void count(Held& held);
  /// Sets the time at which the stream is to be checked next; 0 for never.
  void schedule(Held& held, std::uint64_t time);
  StreamStatistics statisticsOf(const Held& held) const;
  /// Notes that a stream has left the shelf.
  void forget(Bytes packed);
  Flag& flag(const OpenAnomaly& anomaly, std::uint32_t at, std::vector<Flag>& flags);
  /// The same for a verdict, which counts in the evidence.
  Flag& flag(const OpenAnomaly& anomaly, const Verdict& verdict, TickEvidence* evidence, std::uint32_t at,
             std::vector<Flag>& flags);
  void report(Held& held, Event& event, std::uint32_t at, std::vector<Flag>& flags);
  /// Adds a recording to the report that begins an anomaly of the stream.
  /// @param record the record that the verdict is about, or with which it came; kNoRecord for a silence
  void record(const Held& held, std::uint32_t record, Report& report);
  /// Adds a verdict to the evidence: on the record that is being observed, or on none (null).
  TickEvidence* sight(const Stream& stream, const Verdict& verdict, std::uint64_t timeUnixNano, const Observation* record,
                      const Finding* finding);
  /// Describes a verdict that was not flagged, on the record that is being observed or on none (null), if it is notable.
  void note(Held& held, const Verdict& verdict, std::uint64_t timeUnixNano, std::uint32_t record, const Observation* observed,
            std::unique_ptr<Finding> finding);
  /// Reports a verdict on the record that is being observed.
  void report(Held& held, const Verdict& verdict, std::uint32_t record, std::vector<Flag>& flags);
  /// Counts a flagged verdict of a stream in its anomaly, or in that of its group if only that is open.
  Growth grow(Held& held, const Verdict& verdict, const Observation* record, const Finding* finding);
  const OpenAnomaly& anomalyOf(const Held& held) const;
  /// Reports the tick of a group that was flagged, if there is one, and the end of the group's anomaly.
  void report(HeldGroup& group, std::uint32_t at, std::vector<Flag>& flags);
  void endAnomaly(HeldGroup& group, Ending ending, std::uint32_t at, std::vector<Flag>& flags);

  const Settings& settings_;
  std::shared_ptr<const Policies> policies_;
  const Codec& codec_;
  const Codec& packer_;
  std::size_t capacity_;
  Saves saves_;
  std::uint64_t restoredSum_ = 0;
  Tenants tenants_;
  std::unordered_map<StreamId, Order::iterator, StreamId::Hash> streams_;
  /// The most recently used stream; null if there is none.
  Held* latest_ = nullptr;
  /// The streams whose statistics have changed, in the order in which they did.
  std::list<Held*> changed_;
  AbsentStreams absent_;
  /// The streams that were evicted after they had learned. One that was still learning is not worth its place.
  Shelf shelf_;
  Describer describer_;
  Recorder recorder_;

  Allowance allowance_;
  /// The groups that the request concerned.
  std::vector<HeldGroup*> touched_;
  /// The id of the anomaly that was flagged last.
  std::shared_ptr<const std::string> flaggedId_;
  Observation observation_;
  std::vector<Event> events_;
  EvidencePage evidence_;
  std::vector<Report> notable_;
  /// The request and the resource of the record that is being observed, and its identity once that is needed.
  const Request* request_ = nullptr;
  std::uint32_t resource_ = otlp::kNone;
  std::optional<Identity> identity_;
};

}  // namespace driftlock
