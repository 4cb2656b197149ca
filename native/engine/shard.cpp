#include "engine/shard.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <tuple>

#include "base/state_bytes.hpp"
#include "report/group_finding.hpp"

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

}  // namespace

Shard::HeldGroup::HeldGroup(const Settings& settings, const StreamKey& member)
    : group(settings.alarmsPerStreamPerDay, settings.alarmsPerGroupPerDay, settings.stepNanos),
      key{.hash = member.group,
          .group = member.group,
          .signal = member.signal,
          .tenant = member.tenant,
          .name = "group " + member.groupName,
          .service = member.service,
          .groupName = member.groupName},
      hash(hashOfStream(settings.hashKey, member.group)) {}

void Shard::HeldGroup::snapshot(std::vector<std::uint8_t>& out) const {
  putState(out, group);
  putState(out, anomalies);
}

std::size_t Shard::HeldGroup::memory() const {
  return sizeof *this + key.tenant.capacity() + key.name.capacity() + key.service.capacity() + key.groupName.capacity() +
         anomalies.memory() + group.memory();
}

Growth Shard::HeldGroup::grow(const Verdict& verdict, std::uint32_t severity, std::uint64_t finding) {
  const Sight sight{.channel = verdict.channel, .finding = finding, .severity = severity};
  return anomalies.add(verdict, sight, group.now(), group.latest());
}

bool Shard::HeldGroup::restore(Bytes in) {
  StateReader read(in);
  return group.restore(read.getBytes()) && anomalies.restore(read.getBytes(), key) && read.done();
}

Shard::Shard(const Settings& settings, const Codec& codec, const Codec& excerpts, const Codec& matcher, const Codec& packer)
    : settings_(settings),
      policies_(settings.policies),
      codec_(codec),
      packer_(packer),
      capacity_(shareOf(settings.maxStreams)),
      absent_(kMostAbsent),
      shelf_(kShelfBytes),
      describer_(settings, codec, excerpts, matcher) {}

Shard::Held& Shard::find(const Request& request, std::uint32_t record) {
  const StreamId id{request.keys.hash(record), request.tenant};
  if (latest_ && latest_->stream.id() == id) return *latest_;
  if (const auto found = streams_.find(id); found != streams_.end()) {
    const auto& [tenant, held] = found->second;
    tenant->order.splice(tenant->order.begin(), tenant->order, held);
    return *(latest_ = &*held);
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

void Shard::makeRoom(std::string_view newcomer) {
  if (streams_.size() < capacity_) return;
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
    if (shelf_.put(place, pack(*held, lastOf(*held)), [this](const StreamId&, Bytes packed) { forget(packed); })) {
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
  if (fresh) account(group->second.accounted, group->second.memory());
  ++group->second.streams;
  Held& held = tenant.order.emplace_front(std::move(key), settings_, group->second);
  held.stream.apply(policyOf(policies_, held.stream.key()));
  streams_[held.stream.id()] = {&tenant, tenant.order.begin()};
  streams = streams_.size();
  return held;
}

void Shard::remove(Tenants::iterator tenant, Order::iterator held) {
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
    std::erase(touched_, &group);
    bytes -= group.accounted;
    tenant->second.groups.erase(group.key.hash);
  }
  if (tenant->second.order.empty()) tenants_.erase(tenant);
}

std::vector<std::uint8_t> Shard::pack(const Held& held, const HeldGroup* group) const {
  std::vector<std::uint8_t> state;
  put(state, held.times.first);
  put(state, held.times.baseline);
  put(state, held.due);
  put(state, held.generation);
  std::vector<std::uint8_t> shared;
  if (group) group->snapshot(shared);
  putBytes(state, shared);
  held.stream.snapshot(state);
  const Bytes packed = packer_.compress(state);
  return {packed.begin(), packed.end()};
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
  if (expected ? id != *expected : streams_.contains(id)) return nullptr;
  // It may also be the one that comes back.
  const bool succeeds = successor && successor->hash != key->hash;
  Held& held = add(succeeds ? *successor : std::move(*key));
  const bool carries = !shared.empty() && (!expected || held.group.streams == 1);
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
  auto& due = streams_.find(held.stream.id())->second.tenant->due;
  const std::uint64_t hash = held.stream.key().hash;
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
    const Order::iterator place = streams_.find({due.begin()->second, own->first})->second.held;
    Held& held = *place;
    events_.clear();
    // The stream must not notice that it is only postponed, because that depends on when it was scheduled.
    if (const std::uint64_t at = held.stream.silentAt(); at != 0 && at <= moment.now) {
      outlived(held) ? held.stream.excuse(moment) : held.stream.elapse(moment, events_);
    }
    const bool left = hasLeft(held);
    if (left) held.stream.leave(youngest(held.replicas, &held).stream, events_);
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
    Held& held = *found->second.held;
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
      if (learns(held)) --learning;
      held.stream.apply(policyOf(policies_, held.stream.key()));
      if (learns(held)) ++learning;
      schedule(held, dueOf(held));
    }
  }
}

void Shard::interrupt(bool resumes) {
  for (auto& [name, tenant] : tenants_) {
    for (auto& [hash, group] : tenant.groups) group.group.interrupt();
    for (Held& held : tenant.order) {
      held.stream.interrupt(resumes);
      schedule(held, dueOf(held));
    }
  }
}

void Shard::snapshot(std::vector<std::uint8_t>& out) const {
  describer_.snapshot(out);
  put(out, static_cast<std::uint32_t>(streams_.size()));
  for (const auto& [tenant, each] : tenants_) {
    std::unordered_map<std::uint64_t, std::size_t> written;
    for (auto held = each.order.rbegin(); held != each.order.rend(); ++held) {
      // A group goes with its most recently used stream, which is kept even if the settings allow fewer streams later.
      const HeldGroup& own = held->group;
      putBytes(out, pack(*held, ++written[own.key.hash] == own.streams ? &own : nullptr));
    }
  }
  put(out, static_cast<std::uint32_t>(shelf_.size()));
  shelf_.forEach([&](const StreamId& id, Bytes packed) {
    put(out, id.hash);
    putBytes(out, {reinterpret_cast<const std::uint8_t*>(id.tenant.data()), id.tenant.size()});
    putBytes(out, packed);
  });
  // In the order of tenants, of which those of the next lines are a part only if the settings allow fewer streams later.
  put(out, static_cast<std::uint32_t>(tenants_.size()));
  for (const auto& [tenant, each] : tenants_) {
    putBytes(out, {reinterpret_cast<const std::uint8_t*>(tenant.data()), tenant.size()});
    putState(out, each.notable);
  }
  // Under another key nothing in it would be recognised.
  put(out, fingerprintOf(settings_.hashKey));
}

bool Shard::restore(Bytes in, std::uint32_t number) {
  StateReader read(in);
  describer_.restore(read);
  const auto count = read.get<std::uint32_t>();
  for (std::uint32_t i = 0; i < count && read.ok(); ++i) {
    const Bytes packed = read.getBytes();
    Held* held = read.ok() ? unpack(packed, nullptr) : nullptr;
    if (!held || shardOf(held->stream.key().hash) != number) return false;
    change(*held);
    if (streams_.size() > capacity_) makeRoom(held->stream.key().tenant);
  }
  const auto shelved = read.get<std::uint32_t>();
  for (std::uint32_t i = 0; i < shelved && read.ok(); ++i) {
    const auto hash = read.get<std::uint64_t>();
    const Bytes tenant = read.getBytes(), packed = read.getBytes();
    shelf_.put({hash, {reinterpret_cast<const char*>(tenant.data()), tenant.size()}}, {packed.begin(), packed.end()},
               [](const StreamId&, Bytes) {});
  }
  const auto tenants = read.get<std::uint32_t>();
  for (std::uint32_t i = 0; i < tenants && read.ok(); ++i) {
    const Bytes tenant = read.getBytes(), notable = read.getBytes();
    const auto own = tenants_.find(std::string_view(reinterpret_cast<const char*>(tenant.data()), tenant.size()));
    if (read.ok() && own != tenants_.end() && !own->second.notable.restore(notable)) return false;
  }
  evicted = 0;
  this->shelved = shelf_.bytes();
  return read.get<std::uint64_t>() == fingerprintOf(settings_.hashKey) && read.done();
}

void Shard::pass(const Request& request, std::uint32_t number, std::vector<Flag>& flags) {
  const auto found = streams_.find({request.keys.hash(number), request.tenant});
  if (found == streams_.end()) return;
  // The stream is not judged, but it is not silent either.
  Held& held = *found->second.held;
  events_.clear();
  held.stream.touch(request.moment, events_);
  for (Event& event : events_) report(held, event, number, flags);
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
  readFields(request.index, record, observation_.record);
  // What Driftlock found is no evidence of anything, nor a sign of life of the stream that it is about.
  if (observation_.record.own && request.index.signal != otlp::Signal::Traces) return Verdict{.returned = true};
  describer_.pass();
  if (const std::uint32_t resource = request.index.scopeOf(record).resource; resource != resource_) {
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
  Verdict verdict = stream.observe(observation_, events_);
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
  if (stream.seen() % (stream.seen() < kYoung ? kAccountYoungEvery : kAccountEvery) == 1 || wasLearning != stream.learning()) {
    account(stream.accounted, stream.memory());
    account(held.group.accounted, held.group.memory());
  }
  if (const auto window = stream.window(); windows && window) {
    windows->push_back({number, stream.key().name, *window, stream.metrics(codec_) ? *stream.metrics(codec_) : WindowMetrics{}});
  }
  for (Event& event : events_) report(held, event, number, flags);
  if (verdict.flagged) report(held, verdict, number, flags);
  else if (verdict.alarm == Alarm::Withheld) sight(stream, verdict, 0, &observation_, nullptr);
  if (!verdict.flagged && verdict.margin > 0)
    note(stream, verdict, observation_.record.timeUnixNano, number, &observation_, nullptr);
  if (held.group.touched == Report::kNoRecord) touched_.push_back(&held.group);
  held.group.touched = number;
  report(held.group, number, flags);
  return verdict;
}

void Shard::exclude(Held& held) {
  held.excluded = true;
  ++held.tally.records;
  change(held);
}

void Shard::end(std::vector<Flag>& flags) {
  for (HeldGroup* group : touched_) {
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

Growth Shard::grow(Held& held, const Verdict& verdict, const Observation* record, const Finding* finding) {
  HeldGroup& group = held.group;
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
  if (!identity_) identity_ = identityOf(request_->index, request_->index.resources[resource_], settings_.instanceBy);
  return evidence_.add(key, *identity_, sighting);
}

void Shard::note(Stream& stream, const Verdict& verdict, std::uint64_t timeUnixNano, std::uint32_t record,
                 const Observation* observed, std::unique_ptr<Finding> finding) {
  if (!allowance_.notes()) return;
  Tenant& tenant = *streams_.find(stream.id())->second.tenant;
  if (!tenant.notable.note(stream.key().hash, verdict, stream.latestUnixNano())) return;
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
      return note(stream, event.verdict, event.timeUnixNano, Report::kNoRecord, nullptr, std::move(event.finding));
    }
    held.tally.add(event.verdict);
  }
  Growth growth;
  if (!event.ended) growth = grow(held, event.verdict, nullptr, event.finding.get());
  if (growth.ended) report(held, *growth.ended, at, flags);
  // A silence is always reported: it is the only flag until records come again.
  const bool reported = event.ended || growth.reported || event.verdict.silentFor > 0;
  const OpenAnomaly& anomaly = event.ended ? event.anomaly : anomalyOf(held);
  Flag& flag = this->flag(anomaly, at, flags);
  flag.ended = event.ended;
  flag.reported = reported;
  flag.evidence = evidence;
  flag.margin = event.verdict.margin;
  flag.early = event.verdict.early;
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
}

void Shard::report(Held& held, const Verdict& verdict, std::uint32_t record, std::vector<Flag>& flags) {
  Stream& stream = held.stream;
  TickEvidence* const evidence = sight(stream, verdict, 0, &observation_, nullptr);
  Growth growth = grow(held, verdict, &observation_, nullptr);
  if (growth.ended) report(held, *growth.ended, record, flags);
  const OpenAnomaly& anomaly = anomalyOf(held);
  Flag& flag = this->flag(anomaly, record, flags);
  flag.record = record;
  flag.evidence = evidence;
  flag.reported = growth.reported;
  flag.margin = verdict.margin;
  flag.early = verdict.early;
  if (!allowance_.describes(growth.reported)) return;
  Report& report = *(flag.report = std::make_unique<Report>());
  report.record = record;
  report.verdict = verdict;
  report.timeUnixNano = observation_.record.timeUnixNano;
  report.reported = growth.reported;
  report.news = growth.news;
  report.anomaly = anomaly;
  describer_.describe(stream, &observation_, stream.find(verdict, &observation_), report, allowance_);
  if (stream.anomaly().occurrences == 0) report.stream = held.group.key.name;
}

void Shard::report(HeldGroup& group, std::uint32_t at, std::vector<Flag>& flags) {
  if (group.anomalies.open() && group.anomalies.quiet(group.group.now())) endAnomaly(group, Ending::Quiet, at, flags);
  std::optional<StrangeTick> tick = group.group.take();
  if (!tick) return;
  Event event;
  event.timeUnixNano = tick->members.front().timeUnixNano;
  event.verdict = {.alarm = tick->alarm,
                   .flagged = tick->alarm != Alarm::Withheld,
                   .pValue = tick->pValue,
                   .score = tick->score / tick->limit,
                   .channel = ChannelId::Group,
                   .channelScore = tick->score,
                   .margin = tick->margin,
                   .early = tick->early,
                   .limit = tick->limit};
  std::vector<NamedMember> members;
  for (const Member& member : tick->members) {
    const auto found = streams_.find({member.stream, group.key.tenant});
    if (found == streams_.end()) continue;
    const StreamKey& key = found->second.held->stream.key();
    members.push_back({member, key.name, key.instance});
  }
  event.finding = std::make_unique<GroupFinding>(group.key.groupName, tick->usual, members);
  event.members = std::move(members);
  if (const auto owner = streams_.find({tick->owner, group.key.tenant});
      owner != streams_.end() && owner->second.held->stream.anomaly().occurrences > 0) {
    change(*owner->second.held);
    return report(*owner->second.held, event, at, flags);
  }
  const std::uint32_t severity = severityOf(event.verdict, Gravity::Normal);
  TickEvidence* const evidence =
      evidence_.add(group.key, {group.key.service, {}, {}}, {event.verdict, event.timeUnixNano, {}, 0, severity});
  if (!event.verdict.flagged) return;
  if (!group.anomalies.open()) {
    group.anomalies.begin(group.group.now(), event.timeUnixNano, group.hash(settings_.seed, group.key.hash), group.hash);
    group.group.setOpen(true);
  }
  const Growth growth = group.grow(event.verdict, severity, 0);
  Flag& flag = this->flag(group.anomalies.current(), at, flags);
  flag.reported = growth.reported;
  flag.evidence = evidence;
  flag.margin = event.verdict.margin;
  flag.early = event.verdict.early;
  if (!growth.reported || !allowance_.describes(true)) return;
  Report& report = *(flag.report = std::make_unique<Report>());
  report.verdict = event.verdict;
  report.timeUnixNano = event.timeUnixNano;
  report.reported = true;
  report.news = growth.news;
  report.anomaly = group.anomalies.current();
  report.members = std::move(event.members);
  describer_.describe(group.key, group.hash, event.finding.get(), report);
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
  describer_.describe(group.key, group.hash, nullptr, report);
}

bool Shard::feedback(std::string_view tenant, std::string_view anomalyId, Feedback feedback, std::vector<Flag>& flags) {
  const auto own = tenants_.find(tenant);
  if (own == tenants_.end()) return false;
  for (Held& held : own->second.order) {
    events_.clear();
    const Evidence* const evidence = held.stream.evidenceOf(anomalyId);
    if (!evidence) continue;
    for (Held* each : held.replicas) {
      if (each != &held) each->stream.learn(*evidence, feedback);
    }
    held.stream.applyFeedback(anomalyId, feedback, events_);
    for (Event& event : events_) report(held, event, 0, flags);
    return true;
  }
  for (auto& [hash, group] : own->second.groups) {
    const Evidence* const evidence = group.anomalies.find(anomalyId);
    if (!evidence) continue;
    group.group.accept(evidence->scores[indexOf(ChannelId::Group)]);
    if (group.anomalies.forget(anomalyId)) {
      endAnomaly(group, feedback == Feedback::Accept ? Ending::Accepted : Ending::FalseAlarm, 0, flags);
    }
    return true;
  }
  return false;
}

}  // namespace driftlock
