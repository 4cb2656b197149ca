#include "engine/shard.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "base/portable_math.hpp"
#include "base/state_bytes.hpp"
#include "report/describe.hpp"

namespace driftlock {
namespace {

constexpr std::uint64_t kAccountEvery = 64;
/// The number of records up to which a stream's size changes most, so that its memory is measured more often.
constexpr std::uint64_t kYoung = 512;
constexpr std::uint64_t kAccountYoungEvery = 16;
/// The capacity of the shelf in bytes: 64 MiB in all shards.
constexpr std::size_t kShelfBytes = 4 << 20;
/// The most statistics of evicted streams, and of those beyond a quota, that wait to be read: half a megabyte of either.
constexpr std::size_t kMostAbsent = 1024;
/// The most bytes of one stream's state, however large its window is configured.
constexpr std::size_t kMostStreamBytes = 8 << 20;

/// Returns a shard's share of `maxStreams`. Shares differ by chance: four standard deviations above the mean admit all streams.
std::size_t shareOf(std::uint32_t maxStreams) {
  const double mean = static_cast<double>(maxStreams) / kShardCount;
  return static_cast<std::size_t>(std::ceil(mean + 4 * std::sqrt(mean)));
}

/// The bits from which values that stay unusual are more than of low severity.
constexpr double kGraveLasting = 4;

/// Returns what values show that stay unusual, as a verdict of its own.
Verdict lastingOf(double bits) {
  const double margin = portableExp(bits * kLn2);
  return {.alarm = Alarm::Withheld,
          .pValue = Judge::kLargestLimit / margin,
          .channel = ChannelId::Value,
          .channelScore = bits,
          .margin = margin,
          .limit = kGraveLasting,
          .lasting = bits};
}

}  // namespace

StreamKey Shard::HeldGroup::keyOf(const StreamKey& member) {
  return {.hash = member.group,
          .group = member.group,
          .signal = member.signal,
          .tenant = member.tenant,
          .name = "group " + member.groupName,
          .service = member.service,
          .groupName = member.groupName};
}

Shard::HeldGroup::HeldGroup(const Settings& settings, const StreamKey& member)
    : GroupState(settings, keyOf(member), hashOfStream(settings.hashKey, member.group)) {}

std::size_t Shard::HeldGroup::memory() const {
  return sizeof *this + key.tenant.capacity() + key.name.capacity() + key.service.capacity() + key.groupName.capacity() +
         anomalies.memory() + group.memory();
}

Shard::Shard(const Settings& settings, const Codec& codec, const Codec& excerpts, const Codec& matcher, const Codec& packer)
    : settings_(settings),
      policies_(settings.policies),
      codec_(codec),
      packer_(packer),
      capacity_(shareOf(settings.maxStreams)),
      saves_(streamHash(settings.hashKey), packer),
      absent_(kMostAbsent),
      shelf_(kShelfBytes, saves_),
      describer_(settings, codec, excerpts, matcher),
      recorder_(settings, packer) {}

Shard::Held& Shard::find(const Request& request, std::uint32_t record) {
  const StreamId id{request.keys.hash(record), request.tenant};
  if (latest_ && latest_->stream.id() == id) {
    touch(*latest_);
    return *latest_;
  }
  if (const auto found = streams_.find(id); found != streams_.end()) {
    touch(*found->second);
    use(found->second);
    return *(latest_ = &*found->second);
  }
  allowance_.spend(Allowance::kNewStream);
  makeRoom(id.tenant);
  const auto packed = shelf_.take(id);
  if (packed) allowance_.spend(Allowance::kPackedStream);
  Held* held = packed ? unpack(*packed, &id) : nullptr;
  if (!held) held = &begin(request.keys.make(request.index, record, request.tenant, settings_));
  held->tally = absent_.take({request.keys.family(record), request.tenant});
  shelved = shelf_.bytes();
  // From two replicas on, each is checked for having left.
  if (held->replicas.size() == 2) {
    Held& other = *held->replicas[held->replicas.front() == held];
    schedule(other, dueOf(other));
  }
  return *(latest_ = held);
}

void Shard::use(Order::iterator held) {
  Order& order = held->tenant.order;
  if (held == order.begin()) return;
  order.splice(order.begin(), order, held);
  held->used = saves_.use();
}

void Shard::makeRoom(std::string_view newcomer) {
  if (streams_.size() >= capacity_) evict(newcomer);
}

void Shard::evict(std::string_view newcomer) {
  const auto tenant = crowding(tenants_, newcomer, streams_.size(), [](const Tenant& each) { return each.order.size(); });
  release(tenant, std::prev(tenant->second.order.end()), true);
  ++evicted;
}

void Shard::release(Tenants::iterator tenant, Order::iterator held, bool shelves) {
  const StreamKey& key = held->stream.key();
  const bool last = held->replicas.size() == 1;
  StreamStatistics statistics = statisticsOf(*held);
  statistics.state = StreamState::Evicted;
  if (shelves && !held->stream.learning()) {
    allowance_.spend(Allowance::kPackedStream);
    // What the last of a family knows is for whichever comes next.
    const StreamId place{last ? key.family : key.hash, key.tenant};
    if (shelf_.put(place, pack(*held, lastOf(*held), packer_), [this](const StreamId&, Bytes packed) { forget(packed); })) {
      statistics.state = StreamState::Shelved;
    }
    shelved = shelf_.bytes();
  }
  if (last) {
    absent_.gone(key.family, std::move(statistics));
    untold = absent_.lost();
  } else {
    Held& other = youngest(held->replicas, &*held);
    other.tally.add(held->tally);
    change(other);
  }
  if (learns(*held)) --learning;
  remove(tenant, held);
}

Shard::Held& Shard::begin(StreamKey key) {
  if (const std::vector<Held*>* const family = familyOf(key)) {
    const Held& elder = youngest(*family);
    allowance_.spend(Allowance::kInheritance);
    std::vector<std::uint8_t> state;
    elder.stream.snapshot(state);
    StateReader read(state);
    Stream::keyOf(read);
    const StreamTimes times = elder.times;
    const std::uint64_t generation = elder.generation + 1;
    Held& held = add(key);
    held.generation = generation;
    if (held.stream.succeed(read)) return settle(held, times);
    // Only a forged snapshot of the engine can hold replicas of another kind: the stream learns anew.
    const auto own = tenants_.find(key.tenant);
    remove(own, own->second.order.begin());
  } else if (const StreamId id{key.family, key.tenant}; const auto packed = shelf_.take(id)) {
    allowance_.spend(Allowance::kPackedStream);
    if (Held* const held = unpack(*packed, &id, &key)) return *held;
  }
  Held& held = add(std::move(key));
  if (learns(held)) ++learning;
  return held;
}

const std::vector<Shard::Held*>* Shard::familyOf(const StreamKey& key) const {
  const auto tenant = tenants_.find(key.tenant);
  if (tenant == tenants_.end()) return nullptr;
  const auto group = tenant->second.groups.find(key.group);
  if (group == tenant->second.groups.end()) return nullptr;
  const auto family = group->second.families.find(key.family);
  return family == group->second.families.end() ? nullptr : &family->second;
}

Shard::Held& Shard::youngest(const std::vector<Held*>& family, const Held* except) {
  return **std::ranges::max_element(
      family, {}, [&](const Held* each) { return std::tuple(each != except, each->generation, each->stream.key().hash); });
}

Shard::Held& Shard::settle(Held& held, const StreamTimes& times) {
  if (learns(held)) ++learning;
  held.times = times;
  held.withheld = held.stream.withheld();
  held.withheldByGroup = held.stream.withheldByGroup();
  account(held.stream.accounted, held.stream.memory());
  account(held.group.accounted, held.group.memory());
  return held;
}

Shard::Held& Shard::add(StreamKey key) {
  Tenant& tenant = tenants_[key.tenant];
  const auto [group, fresh] = tenant.groups.try_emplace(key.group, settings_, key);
  if (fresh) {
    account(group->second.accounted, group->second.memory());
    saves_.change(group->second);
  }
  ++group->second.streams;
  Held& held = tenant.order.emplace_front(std::move(key), settings_, tenant, group->second);
  held.stream.apply(policyOf(policies_, held.stream.key()));
  held.used = saves_.use();
  saves_.change(held);
  streams_[held.stream.id()] = tenant.order.begin();
  streams = streams_.size();
  return held;
}

void Shard::remove(Tenants::iterator tenant, Order::iterator held) {
  saves_.remove(*held);
  if (latest_ == &*held) latest_ = nullptr;
  if (held->changed) changed_.erase(held->place);
  if (held->due != 0) tenant->second.due.erase({held->due, held->stream.key().hash});
  bytes -= held->stream.accounted;
  streams_.erase(held->stream.id());
  streams = streams_.size();
  HeldGroup& group = held->group;
  std::erase(held->replicas, &*held);
  if (held->replicas.empty()) group.families.erase(held->stream.key().family);
  tenant->second.order.erase(held);
  if (--group.streams == 0) {
    saves_.remove(group);
    std::erase(touched_, &group);
    bytes -= group.accounted;
    tenant->second.groups.erase(group.key.hash);
  }
  if (tenant->second.order.empty()) tenants_.erase(tenant);
}

std::vector<std::uint8_t> Shard::pack(const Held& held, const HeldGroup* group, const Codec& packer) {
  std::vector<std::uint8_t> state;
  put(state, held.times.first);
  put(state, held.times.baseline);
  put(state, held.due);
  put(state, held.generation);
  std::vector<std::uint8_t> shared;
  if (group) group->snapshot(shared);
  putBytes(state, shared);
  held.stream.snapshot(state);
  const Bytes packed = packer.compress(state);
  return {packed.begin(), packed.end()};
}

void Shard::Held::save(const Codec& packer, std::vector<std::uint8_t>& value) const {
  put(value, used);
  const std::vector<std::uint8_t> packed = pack(*this, nullptr, packer);
  value.insert(value.end(), packed.begin(), packed.end());
}

void Shard::HeldGroup::save(const Codec& packer, std::vector<std::uint8_t>& value) const {
  std::vector<std::uint8_t> state;
  StateWriter write(state);
  write(static_cast<std::uint8_t>(key.signal)), write(key.service), write(key.groupName);
  putState(state, static_cast<const GroupState&>(*this));
  const Bytes packed = packer.compress(state);
  value.assign(packed.begin(), packed.end());
}

Shard::Held* Shard::unpack(Bytes packed, const StreamId* expected, const StreamKey* successor) try {
  const OwnedBytes state = decompress(packer_.name(), packed, kMostStreamBytes);
  StateReader read(state);
  const StreamTimes times{.first = read.get<std::uint64_t>(), .baseline = read.get<std::uint64_t>()};
  const auto due = read.get<std::uint64_t>(), generation = read.get<std::uint64_t>();
  const Bytes shared = read.getBytes();
  std::optional<StreamKey> key = Stream::keyOf(read);
  if (!key || shardOf(key->hash) != shardOf(key->group) || shardOf(key->hash) != shardOf(key->family)) return nullptr;
  const StreamId id{successor ? key->family : key->hash, key->tenant};
  if (expected ? id != *expected : streams_.contains(id) || !shared.empty()) return nullptr;
  // It may also be the one that comes back.
  const bool succeeds = successor && successor->hash != key->hash;
  Held& held = add(succeeds ? *successor : std::move(*key));
  const bool carries = !shared.empty() && held.group.streams == 1;
  if ((carries && !held.group.restore(shared)) || !(succeeds ? held.stream.succeed(read) : held.stream.restore(read))) {
    const auto tenant = tenants_.find(held.stream.key().tenant);
    remove(tenant, tenant->second.order.begin());
    return nullptr;
  }
  held.generation = generation;
  schedule(held, expected ? dueOf(held) : due);
  return &settle(held, times);
} catch (const std::runtime_error&) {
  return nullptr;  // Damaged.
} catch (const std::length_error&) {
  return nullptr;
}

void Shard::change(Held& held) {
  if (held.changed) return;
  held.changed = true;
  held.place = changed_.insert(changed_.end(), &held);
}

void Shard::count(Held& held) {
  const std::uint64_t more = held.stream.withheld() - held.withheld;
  if (more == 0) return;
  held.withheld += more;
  held.tally.withheld += more;
  const std::uint64_t byGroup =
      held.stream.withheldByGroup() - std::exchange(held.withheldByGroup, held.stream.withheldByGroup());
  withheldByGroups += byGroup;
  withheld += more - byGroup;
}

std::uint64_t Shard::dueOf(const Held& held) {
  const std::uint64_t silent = held.stream.silentAt(), leaves = held.replicas.size() > 1 ? held.stream.leavesAt() : 0;
  return silent == 0 || (leaves != 0 && leaves < silent) ? leaves : silent;
}

void Shard::schedule(Held& held, std::uint64_t time) {
  auto& due = held.tenant.due;
  const std::uint64_t hash = held.stream.key().hash;
  if (held.due != time) saves_.change(held);
  if (held.due != 0) due.erase({held.due, hash});
  held.due = time;
  if (time != 0) due.emplace(time, hash);
}

bool Shard::outlived(const Held& held) {
  const auto heard = [](const Held& each) { return std::pair(each.stream.heardAt(), each.stream.key().hash); };
  return std::ranges::any_of(held.replicas,
                             [&](const Held* each) { return !each->stream.learning() && heard(*each) > heard(held); });
}

bool Shard::hasLeft(const Held& held) {
  const std::uint64_t leaves = held.stream.leavesAt();
  return leaves != 0 && std::ranges::any_of(held.replicas, [&](const Held* each) { return each->stream.heardAt() >= leaves; });
}

void Shard::elapse(std::string_view tenant, const Moment& moment, std::uint32_t at, std::vector<Flag>& flags) {
  const auto own = tenants_.find(tenant);
  if (own == tenants_.end()) return;
  auto& due = own->second.due;
  // What the request's allowance does not cover is checked when the clock advances again.
  while (!due.empty() && due.begin()->first <= moment.now && !allowance_.spent()) {
    allowance_.spend(Allowance::kRecord);
    const Order::iterator place = streams_.find({due.begin()->second, own->first})->second;
    Held& held = *place;
    events_.clear();
    // The stream must not notice that it is only postponed, because that depends on when it was scheduled.
    if (const std::uint64_t at = held.stream.silentAt(); at != 0 && at <= moment.now) {
      touch(held);
      if (outlived(held)) {
        held.stream.excuse(moment);
      } else {
        recorder_.beforeSilence(held.stream, held.group.group, moment);
        held.stream.elapse(moment, events_);
      }
    }
    const bool left = hasLeft(held);
    if (left) {
      Held& heir = youngest(held.replicas, &held);
      touch(held), touch(heir);
      held.stream.leave(heir.stream, events_);
    }
    // Whether a replica that is overdue has left shows when another is heard: it is checked from time to time.
    if (const std::uint64_t next = dueOf(held); next > moment.now || next == 0) schedule(held, next);
    else schedule(held, moment.now + (next - held.stream.heardAt()));
    if (!events_.empty() || held.stream.withheld() != held.withheld) {
      count(held);
      for (Event& event : events_) report(held, event, at, flags);
      change(held);
    }
    if (left) release(own, place, false);
  }
}

StreamStatistics Shard::statisticsOf(const Held& held) const {
  const Stream& stream = held.stream;
  const StreamKey& key = stream.key();
  StreamStatistics statistics{.signal = key.signal,
                              .tenant = key.tenant,
                              .name = key.name,
                              .service = key.service,
                              .times = held.times,
                              .tally = held.tally};
  statistics.state = held.limited        ? StreamState::Limited
                     : held.excluded     ? StreamState::Excluded
                     : stream.learning() ? StreamState::Learning
                                         : StreamState::Watching;
  statistics.progress = stream.progress();
  statistics.times.last = stream.latestUnixNano();
  const double limit = held.tally.score > 0 ? stream.limit(held.tally.channel) : 0;
  if (std::isfinite(limit)) statistics.limit = limit;
  return statistics;
}

void Shard::forget(Bytes packed) try {
  const OwnedBytes state = decompress(packer_.name(), packed, kMostStreamBytes);
  StateReader read(state);
  StreamStatistics statistics{.state = StreamState::Evicted, .progress = 1};
  statistics.times = {.first = read.get<std::uint64_t>(), .baseline = read.get<std::uint64_t>()};
  read.get<std::uint64_t>(), read.get<std::uint64_t>();
  read.getBytes();
  std::optional<StreamKey> key = Stream::keyOf(read);
  if (!key || familyOf(*key)) return;
  statistics.times.last = statistics.times.baseline;
  statistics.signal = key->signal;
  statistics.tenant = std::move(key->tenant), statistics.name = std::move(key->name),
  statistics.service = std::move(key->service);
  absent_.gone(key->family, std::move(statistics));
} catch (const std::runtime_error&) {
  // The bytes are damaged, so it is not known which stream it was.
} catch (const std::length_error&) {
}

std::size_t Shard::drain(std::size_t most, std::vector<StreamStatistics>& out) {
  for (std::size_t drained = absent_.drain(most, out); drained < most && !changed_.empty(); ++drained) {
    // Replicas are one stream to those who read statistics: the one with the strangest verdict stands for all.
    Held* shown = changed_.front();
    Tally sum;
    std::uint64_t last = 0;
    for (Held* each : shown->replicas) {
      if (!each->changed) continue;
      if (each->tally.score > shown->tally.score) shown = each;
      sum.add(each->tally);
      last = std::max(last, each->stream.latestUnixNano());
      changed_.erase(each->place);
      each->changed = false;
    }
    for (Held* each : shown->replicas) each->tally = {};
    shown->tally = sum;
    out.push_back(statisticsOf(*shown));
    out.back().times.last = last;
    shown->tally = {};
  }
  return absent_.size() + changed_.size();
}

void Shard::limit(const Request& request, std::uint32_t number) {
  if (const auto found = streams_.find({request.keys.hash(number), request.tenant}); found != streams_.end()) {
    Held& held = *found->second;
    held.limited = true;
    ++held.tally.records;
    change(held);
    return;
  }
  const StreamId id{request.keys.family(number), request.tenant};
  if (absent_.another(id)) return;
  readFields(request.index, request.index.records[number], observation_.record);
  observation_.record.date(request.arrival);
  StreamKey key = request.keys.make(request.index, number, request.tenant, settings_);
  StreamStatistics statistics{.state = StreamState::Limited,
                              .signal = key.signal,
                              .tenant = std::move(key.tenant),
                              .name = std::move(key.name),
                              .service = std::move(key.service)};
  StreamClock clock;
  clock.observe(observation_.record.timeUnixNano);
  statistics.times.first = statistics.times.last = clock.latest();
  statistics.tally = absent_.take(id);
  ++statistics.tally.records;
  absent_.limited(id.hash, std::move(statistics));
  untold = absent_.lost();
}

void Shard::setPolicies(std::shared_ptr<const Policies> policies) {
  policies_ = std::move(policies);
  for (auto& [name, tenant] : tenants_) {
    for (Held& held : tenant.order) {
      touch(held);
      if (learns(held)) --learning;
      held.stream.apply(policyOf(policies_, held.stream.key()));
      if (learns(held)) ++learning;
      schedule(held, dueOf(held));
    }
  }
}

void Shard::interrupt(bool resumes) {
  for (auto& [name, tenant] : tenants_) {
    for (auto& [hash, group] : tenant.groups) {
      saves_.change(group);
      group.group.interrupt();
    }
    for (Held& held : tenant.order) {
      saves_.change(held);
      held.stream.interrupt(resumes);
      schedule(held, dueOf(held));
    }
  }
}

template <typename Visit>
void Shard::forEachSavable(Visit&& visit) {
  for (auto& [name, tenant] : tenants_) {
    for (Held& held : tenant.order) visit(held), visit(held.group);
  }
  shelf_.forEach(visit);
}

void Shard::beginCheckpoint(CheckpointOf what, std::vector<std::uint8_t>& head) {
  saves_.begin(what);
  if (what != CheckpointOf::Changes) forEachSavable([&](Savable& item) { saves_.add(item); });
  put(head, saves_.uses());
  describer_.snapshot(head);
  put(head, static_cast<std::uint32_t>(tenants_.size()));
  for (const auto& [tenant, each] : tenants_) {
    putBytes(head, {reinterpret_cast<const std::uint8_t*>(tenant.data()), tenant.size()});
    putState(head, each.notable);
  }
}

bool Shard::restore(const SavedRecord& record, const SavedKey& key) {
  const std::uint64_t digest = record.digest(saves_.hash());
  restoredSum_ += digest;
  switch (key.kind) {
    case SavedKind::Stream: return restoreStream(record, key, digest);
    case SavedKind::Group: return restoreGroup(record, key, digest);
    case SavedKind::PutAside: return shelf_.restore(key, record.value, digest);
    case SavedKind::Head: return false;
  }
  return false;
}

bool Shard::restoreStream(const SavedRecord& record, const SavedKey& key, std::uint64_t digest) {
  StateReader read(record.value);
  const auto used = read.get<std::uint64_t>();
  Held* const held = read.ok() ? unpack(record.value.last(read.left()), nullptr) : nullptr;
  if (!held || held->stream.id() != StreamId{key.number, key.tenant}) return false;
  held->used = used;
  saves_.restored(*held, digest);
  change(*held);
  return true;
}

bool Shard::restoreGroup(const SavedRecord& record, const SavedKey& key, std::uint64_t digest) try {
  const OwnedBytes state = decompress(packer_.name(), record.value, kMostStreamBytes);
  StateReader read(state);
  std::uint8_t signal = 0;
  StreamKey member{.group = key.number, .tenant = std::string(key.tenant)};
  read(signal), read(member.service), read(member.groupName);
  const Bytes shared = read.getBytes();
  if (!read.done() || signal > static_cast<std::uint8_t>(otlp::Signal::Metrics)) return false;
  member.signal = static_cast<otlp::Signal>(signal);
  HeldGroup& group = tenants_[member.tenant].groups.try_emplace(member.group, settings_, member).first->second;
  if (saves_.wasRestored(group) || !group.GroupState::restore(shared)) return false;
  // If one of its streams came before, the group was made for that.
  group.key = HeldGroup::keyOf(member);
  account(group.accounted, group.memory());
  saves_.restored(group, digest);
  return true;
} catch (const std::runtime_error&) {
  return false;  // Damaged.
} catch (const std::length_error&) {
  return false;
}

bool Shard::completeRestore(Bytes head, bool tracks) {
  StateReader read(head);
  const auto uses = read.get<std::uint64_t>();
  describer_.restore(read);
  for (auto& [name, tenant] : tenants_) {
    for (const auto& [hash, group] : tenant.groups) {
      if (group.streams == 0 || !saves_.wasRestored(group)) return false;
    }
    for (const Held& held : tenant.order) {
      if (held.used > uses) return false;
    }
    tenant.order.sort([](const Held& a, const Held& b) { return a.used > b.used; });
  }
  if (!shelf_.settle(uses)) return false;
  saves_.restoreUses(uses);
  const auto tenants = read.get<std::uint32_t>();
  for (std::uint32_t i = 0; i < tenants && read.ok(); ++i) {
    const Bytes tenant = read.getBytes(), notable = read.getBytes();
    const auto own = tenants_.find(std::string_view(reinterpret_cast<const char*>(tenant.data()), tenant.size()));
    if (read.ok() && (own == tenants_.end() || !own->second.notable.restore(notable))) return false;
  }
  if (!read.done()) return false;
  while (streams_.size() > capacity_) evict({});
  evicted = 0;
  shelved = shelf_.bytes();
  if (!tracks) forEachSavable([&](Savable& item) { saves_.forget(item); });
  return true;
}

void Shard::pass(const Request& request, std::uint32_t number, std::vector<Flag>& flags) {
  const auto found = streams_.find({request.keys.hash(number), request.tenant});
  if (found == streams_.end()) return;
  // The stream is not judged, but it is not silent either.
  Held& held = *found->second;
  touch(held);
  events_.clear();
  held.stream.touch(request.moment, events_);
  for (Event& event : events_) report(held, event, request.origin(number), flags);
}

std::optional<Verdict> Shard::judge(const Request& request, std::uint32_t number, std::vector<Flag>& flags,
                                    std::vector<WindowReport>* windows) {
  const otlp::Record& record = request.index.records[number];
  const Bytes raw = request.index.bytes(record);
  if (allowance_.spent()) {
    pass(request, number, flags);
    return {};
  }
  allowance_.spend(Allowance::kRecord + raw.size());
  readFields(request.index, record, observation_.record, settings_.callTexts());
  // What Driftlock found is no evidence of anything, nor a sign of life of the stream that it is about.
  if (observation_.record.own && request.index.signal != otlp::Signal::Traces) return Verdict{.returned = true};
  describer_.pass();
  if (const std::uint32_t resource = request.index.scopeOf(record).resource; resource != resource_ || request_ != &request) {
    resource_ = resource;
    identity_.reset();
  }
  request_ = &request;
  Held& held = find(request, number);
  Stream& stream = held.stream;
  if (!stream.policy().judge) {
    exclude(held);
    return Verdict{.excluded = true};
  }
  const bool wasLearning = stream.learning();
  held.group.group.setGroups(request.groups);
  observation_.record.date(request.arrival);
  stream.policy().strip(observation_.record);
  observation_.raw = raw;
  observation_.request = request.number;
  events_.clear();
  stream.touch(request.moment, events_);
  Verdict verdict = stream.observe(observation_, events_, recorder_.witness());
  const double lasting = std::exchange(verdict.lasting, 0);
  verdict.redated = observation_.record.timeFault != TimeFault::None;
  const ContentScore& content = observation_.content;
  if (!content.unknown.empty()) allowance_.search(stream.key().hash, content.searchedVersion, content.searchedBytes);
  if (wasLearning && !stream.learning()) {
    --learning;
    held.times.baseline = stream.latestUnixNano();
  }
  if (held.times.first == 0) held.times.first = stream.latestUnixNano();
  held.limited = false;
  held.excluded = false;
  ++held.tally.records;
  held.tally.add(verdict);
  count(held);
  // A scheduled stream keeps its time until that comes; if the clock started anew, the time would never come.
  if (const std::uint64_t due = held.due == 0 ? dueOf(held) : stream.silentAt(); due != 0 && (held.due == 0 || due < held.due)) {
    schedule(held, due);
  }
  change(held);
  const bool accounts = stream.seen() < kYoung ? stream.seen() % kAccountYoungEvery == 1 : stream.seen() % kAccountEvery == 1;
  if (accounts || wasLearning != stream.learning()) {
    account(stream.accounted, stream.memory());
    account(held.group.accounted, held.group.memory());
  }
  if (const auto window = windows ? stream.window() : std::nullopt) {
    windows->push_back(
        {request.origin(number), stream.key().name, *window, stream.metrics(codec_) ? *stream.metrics(codec_) : WindowMetrics{}});
  }
  const std::uint32_t at = request.origin(number);
  for (Event& event : events_) report(held, event, at, flags);
  if (verdict.flagged) report(held, verdict, number, flags);
  else if (verdict.alarm == Alarm::Withheld) sight(stream, verdict, 0, &observation_, nullptr);
  if (lasting > 0) sight(stream, lastingOf(lasting), 0, &observation_, nullptr);
  if (!verdict.flagged && verdict.margin > 0) note(held, verdict, observation_.record.timeUnixNano, at, &observation_, nullptr);
  if (held.group.touched == Report::kNoRecord) touched_.push_back(&held.group);
  held.group.touched = at;
  report(held.group, at, flags);
  return verdict;
}

void Shard::exclude(Held& held) {
  held.excluded = true;
  ++held.tally.records;
  change(held);
}

void Shard::end(std::vector<Flag>& flags) {
  for (HeldGroup* group : touched_) {
    saves_.change(*group);
    group->group.settle();
    report(*group, group->touched, flags);
    group->touched = Report::kNoRecord;
  }
  touched_.clear();
}

Flag& Shard::flag(const OpenAnomaly& anomaly, std::uint32_t at, std::vector<Flag>& flags) {
  Flag& flag = flags.emplace_back();
  flag.at = at;
  if (!flaggedId_ || *flaggedId_ != anomaly.id) flaggedId_ = std::make_shared<const std::string>(anomaly.id);
  flag.anomaly = flaggedId_;
  flag.occurrences = anomaly.occurrences;
  return flag;
}

Flag& Shard::flag(const OpenAnomaly& anomaly, const Verdict& verdict, TickEvidence* evidence, std::uint32_t at,
                  std::vector<Flag>& flags) {
  Flag& flag = this->flag(anomaly, at, flags);
  flag.evidence = evidence;
  flag.margin = verdict.margin;
  flag.early = verdict.early;
  return flag;
}

Growth Shard::grow(Held& held, const Verdict& verdict, const Observation* record, const Finding* finding) {
  HeldGroup& group = held.group;
  touch(held);
  if (held.stream.anomaly().occurrences > 0 || !group.anomalies.open()) return held.stream.report(verdict, record, finding);
  const Gravity gravity = record ? gravityOf(record->record) : finding ? finding->gravity() : Gravity::Normal;
  return group.grow(verdict, severityOf(verdict, gravity), held.stream.key().hash);
}

TickEvidence* Shard::sight(const Stream& stream, const Verdict& verdict, std::uint64_t timeUnixNano, const Observation* record,
                           const Finding* finding) {
  const Sight sight = stream.sight(verdict, record, finding);
  Sighting sighting{verdict, timeUnixNano, {}, sight.finding, sight.severity};
  const StreamKey& key = stream.key();
  if (!record) {
    // The tick, session or silence that ends now was before.
    if (sighting.timeUnixNano == 0) sighting.timeUnixNano = stream.latestUnixNano();
    sighting.timeUnixNano -= sighting.timeUnixNano > 0;
    return evidence_.add(key, {key.service, key.instance, {}}, sighting);
  }
  sighting.timeUnixNano = record->believed ? record->record.timeUnixNano : stream.latestUnixNano();
  sighting.traceId = record->record.traceId;
  if (!identity_) {
    identity_ = identityOf(request_->index, request_->index.resources[resource_], settings_.instanceBy,
                           {*settings_.privacy, privacy::Place::Stored, key.scope()});
  }
  return evidence_.add(key, *identity_, sighting);
}

void Shard::note(Held& held, const Verdict& verdict, std::uint64_t timeUnixNano, std::uint32_t record,
                 const Observation* observed, std::unique_ptr<Finding> finding) {
  if (!allowance_.notes()) return;
  Stream& stream = held.stream;
  if (!held.tenant.notable.note(stream.key().hash, verdict, stream.latestUnixNano())) return;
  allowance_.note();
  Report& report = notable_.emplace_back();
  report.record = record;
  report.verdict = verdict;
  if (verdict.alarm != Alarm::Withheld) report.verdict.limit = stream.limit(verdict);
  report.timeUnixNano = timeUnixNano;
  if (!finding) finding = stream.find(verdict, observed);
  describer_.describe(stream, observed, std::move(finding), report, allowance_);
}

const OpenAnomaly& Shard::anomalyOf(const Held& held) const {
  return held.stream.anomaly().occurrences > 0 ? held.stream.anomaly() : held.group.anomalies.current();
}

void Shard::report(Held& held, Event& event, std::uint32_t at, std::vector<Flag>& flags) {
  Stream& stream = held.stream;
  TickEvidence* evidence = nullptr;
  if (!event.ended) {
    evidence = sight(stream, event.verdict, event.timeUnixNano, nullptr, event.finding.get());
    if (!event.verdict.flagged) {
      return note(held, event.verdict, event.timeUnixNano, Report::kNoRecord, nullptr, std::move(event.finding));
    }
    held.tally.add(event.verdict);
  }
  Growth growth;
  if (!event.ended) growth = grow(held, event.verdict, nullptr, event.finding.get());
  if (growth.ended) report(held, *growth.ended, at, flags);
  // A silence is always reported: it is the only flag until records come again.
  const bool reported = event.ended || growth.reported || event.verdict.silentFor > 0;
  const OpenAnomaly& anomaly = event.ended ? event.anomaly : anomalyOf(held);
  Flag& flag = this->flag(anomaly, event.verdict, evidence, at, flags);
  flag.ended = event.ended;
  flag.ofCalls = stream.key().derived != Derived::None;
  flag.reported = reported;
  // A verdict about no record has no attributes.
  if (!reported || !allowance_.describes(true)) return;
  Report& report = *(flag.report = std::make_unique<Report>());
  report.verdict = event.verdict;
  report.timeUnixNano = event.timeUnixNano;
  report.ended = event.ended;
  report.ending = event.ending;
  report.reported = reported;
  report.news = growth.news;
  report.anomaly = anomaly;
  auto finding = event.finding ? std::move(event.finding) : stream.find(event.verdict, nullptr);
  report.members = std::move(event.members);
  describer_.describe(stream, nullptr, std::move(finding), report, allowance_);
  if (!event.ended && stream.anomaly().occurrences == 0) report.stream = held.group.key.name;
  if (!event.ended) record(held, event.verdict.silentFor > 0 ? Report::kNoRecord : at, report);
}

void Shard::report(Held& held, const Verdict& verdict, std::uint32_t record, std::vector<Flag>& flags) {
  Stream& stream = held.stream;
  TickEvidence* const evidence = sight(stream, verdict, 0, &observation_, nullptr);
  Growth growth = grow(held, verdict, &observation_, nullptr);
  const std::uint32_t at = request_->origin(record);
  if (growth.ended) report(held, *growth.ended, at, flags);
  const OpenAnomaly& anomaly = anomalyOf(held);
  Flag& flag = this->flag(anomaly, verdict, evidence, at, flags);
  flag.record = at;
  flag.derived = request_->derived;
  flag.derivedRecord = record;
  flag.ofCalls = request_->derived != 0;
  flag.reported = growth.reported;
  if (!allowance_.describes(growth.reported)) return;
  Report& report = *(flag.report = std::make_unique<Report>());
  report.record = at;
  report.verdict = verdict;
  report.timeUnixNano = observation_.record.timeUnixNano;
  report.reported = growth.reported;
  report.news = growth.news;
  report.anomaly = anomaly;
  describer_.describe(stream, &observation_, stream.find(verdict, &observation_), report, allowance_);
  if (stream.anomaly().occurrences == 0) report.stream = held.group.key.name;
  this->record(held, record, report);
}

void Shard::record(const Held& held, std::uint32_t record, Report& report) {
  // What joins the anomaly of the group is news in none of the stream's own.
  if (held.stream.anomaly().occurrences == 0 || !report.news) return;
  const bool silence = record == Report::kNoRecord;
  recorder_.record(held.stream, silence ? nullptr : &request_->index, silence ? 0 : record, silence ? 0 : request_->arrival,
                   report);
  // Later reports are the same whether or not the engine records.
  if (held.stream.anomaly().occurrences > 1) report.unrecorded = Unrecorded::None;
}

void Shard::report(HeldGroup& group, std::uint32_t at, std::vector<Flag>& flags) {
  saves_.change(group);
  if (group.anomalies.open() && group.anomalies.quiet(group.group.now())) endAnomaly(group, Ending::Quiet, at, flags);
  std::optional<StrangeTick> tick = group.group.take();
  if (!tick) return;
  std::vector<NamedMember> members;
  for (const Member& member : tick->members) {
    const auto found = streams_.find({member.stream, group.key.tenant});
    if (found == streams_.end()) continue;
    const StreamKey& key = found->second->stream.key();
    members.push_back({member, key.name, key.instance});
  }
  Event event = group.eventOf(*tick, std::move(members));
  if (const auto owner = streams_.find({tick->owner, group.key.tenant});
      owner != streams_.end() && owner->second->stream.anomaly().occurrences > 0) {
    change(*owner->second);
    return report(*owner->second, event, at, flags);
  }
  const std::uint32_t severity = severityOf(event.verdict, Gravity::Normal);
  TickEvidence* const evidence =
      evidence_.add(group.key, {group.key.service, {}, {}}, {event.verdict, event.timeUnixNano, {}, 0, severity});
  if (!event.verdict.flagged) return;
  std::vector<std::uint8_t> state;
  if (settings_.recordings && !group.anomalies.open()) {
    putBytes(state, tick->before);
    putState(state, group.anomalies);
  }
  const Growth growth = group.grow(event, settings_.seed);
  Flag& flag = this->flag(group.anomalies.current(), event.verdict, evidence, at, flags);
  flag.reported = growth.reported;
  if (!growth.reported || !allowance_.describes(true)) return;
  Report& report = *(flag.report = std::make_unique<Report>());
  group.describe(event, growth, report);
  if (!state.empty()) recorder_.record(group, state, report);
}

void Shard::endAnomaly(HeldGroup& group, Ending ending, std::uint32_t at, std::vector<Flag>& flags) {
  const OpenAnomaly anomaly = group.anomalies.close();
  group.group.setOpen(false);
  Flag& flag = this->flag(anomaly, at, flags);
  flag.ended = flag.reported = true;
  if (!allowance_.describes(true)) return;
  Report& report = *(flag.report = std::make_unique<Report>());
  report.timeUnixNano = group.group.latest();
  report.ended = report.reported = true;
  report.ending = ending;
  report.anomaly = anomaly;
  describe(group.key, group.hash, nullptr, report);
}

bool Shard::tolerate(std::string_view tenant, std::string_view name, ChannelId channel, double score) {
  const auto own = tenants_.find(tenant);
  if (own == tenants_.end()) return false;
  bool found = false;
  if (channel == ChannelId::Group) {
    for (auto& [hash, group] : own->second.groups) {
      if (group.key.name != name) continue;
      saves_.change(group);
      group.group.accept(score);
      found = true;
    }
    return found;
  }
  Evidence evidence;
  evidence.scores[indexOf(channel)] = score;
  // Replicas have the same name.
  for (Held& held : own->second.order) {
    if (held.stream.key().name != name) continue;
    touch(held);
    held.stream.learn(evidence, Feedback::FalseAlarm);
    found = true;
  }
  return found;
}

bool Shard::feedback(std::string_view tenant, std::string_view anomalyId, Feedback feedback, std::vector<Flag>& flags) {
  const auto own = tenants_.find(tenant);
  if (own == tenants_.end()) return false;
  for (Held& held : own->second.order) {
    events_.clear();
    const Evidence* const evidence = held.stream.evidenceOf(anomalyId);
    if (!evidence) continue;
    for (Held* each : held.replicas) {
      touch(*each);
      if (each != &held) each->stream.learn(*evidence, feedback);
    }
    held.stream.applyFeedback(anomalyId, feedback, events_);
    for (Event& event : events_) report(held, event, 0, flags);
    return true;
  }
  for (auto& [hash, group] : own->second.groups) {
    const Evidence* const evidence = group.anomalies.find(anomalyId);
    if (!evidence) continue;
    saves_.change(group);
    group.group.accept(evidence->scores[indexOf(ChannelId::Group)]);
    if (group.anomalies.forget(anomalyId)) {
      endAnomaly(group, feedback == Feedback::Accept ? Ending::Accepted : Ending::FalseAlarm, 0, flags);
    }
    return true;
  }
  return false;
}

}  // namespace driftlock
