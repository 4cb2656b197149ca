#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/shelf.hpp"
#include "report/allowance.hpp"
#include "report/describer.hpp"
#include "report/report.hpp"
#include "report/statistics.hpp"
#include "stream/keys.hpp"
#include "stream/settings.hpp"
#include "stream/stream.hpp"

namespace driftlock {

/// A checked request and the streams of its records.
struct Request {
  const otlp::Index& index;
  const StreamKeys& keys;
  std::string_view tenant;
  /// Of the tenant's clock, with this request.
  Moment moment{};
};

/// A window's verdict, for replay.
struct WindowReport {
  /// That completed it, in the request.
  std::uint32_t record = 0;
  std::string stream;
  WindowVerdict verdict;
  WindowMetrics metrics;
};

/// Shards of an engine, whatever its threads: limits hold per shard, so verdicts do not depend on the threads.
inline constexpr std::uint32_t kShardCount = 16;
inline std::uint32_t shardOf(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> 32) & (kShardCount - 1); }

/// The streams whose hash falls into one shard; used by one thread at a time. Tenants have equal shares of its places: a
/// stream that is new takes that of its own tenant's least recently used one, or of the tenant's that has most.
class Shard {
 public:
  /// `codec` measures the window; `excerpts` compresses what an anomaly keeps of it; `matcher` (LZ4) finds the record of the
  /// baseline that is nearest; `packer` (zstd) packs snapshots.
  Shard(const Settings& settings, const Codec& codec, const Codec& excerpts, const Codec& matcher, const Codec& packer);

  /// A request of so many bytes begins: its records, and what it brings to light, come next.
  void begin(std::size_t requestSize) { allowance_ = Allowance(requestSize); }

  /// Judges a record of the request. What is flagged, and what has ended, is added to `flags`; the verdict of a window that
  /// it completes to `windows`, where wanted. Nothing where the request has spent its allowance: the record passes unjudged.
  std::optional<Verdict> judge(const Request& request, std::uint32_t record, std::vector<Flag>& flags,
                               std::vector<WindowReport>* windows);

  /// Judges the streams of a tenant that have been silent for long at that moment, behind all records of the request that
  /// moved its clock there. @param at tells flags apart from other shards' in their order: see Flag::at.
  void elapse(std::string_view tenant, const Moment& moment, std::uint32_t at, std::vector<Flag>& flags);

  /// Counts a record whose stream is beyond its tenant's quota.
  void limit(const Request& request, std::uint32_t record);

  /// Moves the statistics of up to `most` streams that have changed since they were last read to `out`, those that gave way
  /// first. Returns how many are left.
  std::size_t drain(std::size_t most, std::vector<StreamStatistics>& out);

  /// Acts on a person's word on an anomaly of that tenant; where that ends it, `flags` says so. False where no stream here
  /// remembers the anomaly.
  bool feedback(std::string_view tenant, std::string_view anomalyId, Feedback feedback, std::vector<Flag>& flags);

  /// Appends all streams, and what the shelf holds. Between records.
  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Of a fresh shard, the one of that number. Where the settings now allow fewer streams, the latest used are taken. False
  /// where the bytes are no snapshot of such a shard under such settings; the shard is of no use then.
  bool restore(Bytes in, std::uint32_t number);

  // Read from other threads.
  std::atomic<std::uint64_t> streams{0}, learning{0}, evicted{0}, bytes{0}, shelved{0}, untold{0}, withheld{0};

 private:
  /// A stream and its statistics.
  struct Held {
    Held(StreamKey key, const Settings& settings) : stream(std::move(key), settings) {}

    Stream stream;
    StreamTimes times;
    Tally tally;
    /// Its last record was beyond the quota.
    bool limited = false;
    /// In `changed_`.
    bool changed = false;
    std::list<Held*>::iterator place;
    /// Of `stream.withheld()`, what is counted in.
    std::uint64_t withheld = 0;
    /// In its tenant's `due`, at that time; 0 where it is not.
    std::uint64_t due = 0;
  };
  using Order = std::list<Held>;
  struct Tenant {
    /// Most recently used first.
    Order order;
    /// When, by the tenant's clock, which stream's silence is to be looked at: its hash. One that was heard meanwhile is put
    /// off then, so that a record costs nothing here.
    std::set<std::pair<std::uint64_t, std::uint64_t>> due;
  };
  using Tenants = std::map<std::string, Tenant, std::less<>>;
  struct Entry {
    Tenant* tenant;
    Order::iterator held;
  };

  Held& find(const Request& request, std::uint32_t record);
  /// A record of the request that is not judged.
  void pass(const Request& request, std::uint32_t record, std::vector<Flag>& flags);
  /// For a stream of that tenant.
  void makeRoom(std::string_view tenant);
  /// A stream in front of its tenant's others: a fresh one, or as it was packed. Null where the bytes are no stream's, or
  /// not that one's.
  Held& add(StreamKey key);
  Held* unpack(Bytes packed, const StreamId* expected);
  void remove(Tenants::iterator tenant, Order::iterator held);
  std::vector<std::uint8_t> pack(const Held& held) const;
  void change(Held& held);
  /// What the stream's budget has withheld since.
  void count(Held& held);
  void schedule(Held& held);
  StreamStatistics statisticsOf(const Held& held) const;
  /// A stream goes from the shelf.
  void forget(const StreamId& id, Bytes packed);
  Flag& flag(const OpenAnomaly& anomaly, std::uint32_t at, std::vector<Flag>& flags);
  void report(Stream& stream, Event& event, std::uint32_t at, std::vector<Flag>& flags);
  /// Of the record that is being observed.
  void report(Stream& stream, const Verdict& verdict, std::uint32_t record, std::vector<Flag>& flags);

  const Settings& settings_;
  const Codec& codec_;
  const Codec& packer_;
  std::size_t capacity_;
  Tenants tenants_;
  std::unordered_map<StreamId, Entry, StreamId::Hash> streams_;
  /// Most recently used; null where there is none.
  Held* latest_ = nullptr;
  /// Streams whose statistics have changed, those that changed first in front.
  std::list<Held*> changed_;
  AbsentStreams absent_;
  /// Streams that gave way once they had learned. One that was still learning is not worth its place.
  Shelf shelf_;
  Describer describer_;

  Allowance allowance_;
  /// Of the anomaly that was flagged last.
  std::shared_ptr<const std::string> flaggedId_;
  Observation observation_;
  std::vector<Event> events_;
};

}  // namespace driftlock
