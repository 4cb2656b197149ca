#include "engine/engine.hpp"

#include <algorithm>
#include <new>
#include <stdexcept>
#include <system_error>
#include <tuple>

#if defined(__linux__) || defined(__APPLE__)
#include <pthread.h>
#endif

#include "base/state_bytes.hpp"
#include "otlp/splice.hpp"
#include "otlp/writer.hpp"
#include "report/report.hpp"

namespace driftlock {
namespace {

/// "DLS" and the format's version.
constexpr std::uint32_t kMagic = 0x09534C44;

/// The most bytes by which the lengths of a record, and of the messages around it, become longer when they grow.
constexpr std::size_t kRecordLength = 4, kEnclosingLengths = 16;

/// The share of a group's budget that the tenant has for early anomalies: a quarter of what chance may spend.
constexpr double kEarlyShare = 0.125;

/// Runs a step for a task, so that an error of the engine fails only that task.
template <typename Step>
void guard(Task& task, Step&& step) {
  try {
    step();
  } catch (const std::exception& error) {
    std::lock_guard lock(task.mutex);
    task.fail(error);
  }
}

/// Names the thread for debuggers and `top -H`; Linux accepts 15 bytes.
void nameThread([[maybe_unused]] std::uint32_t number) {
#if defined(__APPLE__)
  pthread_setname_np(("dl-engine-" + std::to_string(number)).c_str());
#elif defined(__linux__)
  pthread_setname_np(pthread_self(), ("dl-engine-" + std::to_string(number)).c_str());
#endif
}

/// The number of places in all tenants' quotas; there is no need to know more streams than are held.
std::size_t placesOf(const Settings& settings) {
  return 2 * std::size_t{std::max(settings.maxStreams, settings.streamsPerTenant)};
}

}  // namespace

void Task::fail(const std::exception& error) noexcept try { failure = error.what(); } catch (const std::bad_alloc&) {
  failure = "out of memory";  // So few bytes need no allocation.
}

Engine::Engine(Settings settings, Done done)
    : settings_(std::move(settings)),
      streamHash_(streamHash(settings_.hashKey)),
      done_(std::move(done)),
      codec_(makeCodec(settings_.codec)),
      excerpts_(makeCodec(CodecName::Openzl)),
      matcher_(makeCodec(CodecName::Lz4)),
      packer_(makeCodec(CodecName::Zstd, 1)),
      quota_(settings_.streamsPerTenant, placesOf(settings_)),
      budget_(freshBudget()),
      graphs_(freshGraphs()) {
  shards_ = freshShards();
  const std::uint32_t threads = std::clamp(settings_.threads, 1u, kShardCount);
  for (std::uint32_t i = 0; i < threads; ++i) workers_.push_back(std::make_unique<Worker>());
  try {
    for (std::uint32_t i = 0; i < threads; ++i) workers_[i]->thread = std::thread([this, i] { work(i); });
  } catch (const std::system_error& error) {
    join();
    throw std::runtime_error("threads: the system refuses to start " + std::to_string(threads) + " threads (" + error.what() +
                             "): lower the number, or raise the limit of processes");
  }
}

std::vector<std::unique_ptr<Shard>> Engine::freshShards() const {
  std::vector<std::unique_ptr<Shard>> shards;
  for (std::uint32_t i = 0; i < kShardCount; ++i)
    shards.push_back(std::make_unique<Shard>(settings_, *codec_, *excerpts_, *matcher_, *packer_));
  return shards;
}

std::unique_ptr<ProcessBudget> Engine::freshBudget() const {
  const double perGroup = settings_.alarmsPerGroupPerDay > 0 ? settings_.alarmsPerGroupPerDay : settings_.alarmsPerStreamPerDay;
  return std::make_unique<ProcessBudget>(settings_.alarmsPerProcessPerDay, settings_.alarmsPerTenantPerDay,
                                         kEarlyShare * perGroup, 2 * std::size_t{settings_.maxStreams});
}

std::unique_ptr<ServiceGraphs> Engine::freshGraphs() const {
  return std::make_unique<ServiceGraphs>(streamHash_, settings_.instanceBy, settings_.changeAttributes);
}

Engine::~Engine() { join(); }

void Engine::join() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  for (auto& worker : workers_) worker->wake.notify_all();
  for (auto& worker : workers_) {
    if (worker->thread.joinable()) worker->thread.join();
  }
}

void Engine::submit(std::shared_ptr<Task> task) {
  task->remaining = static_cast<std::uint32_t>(workers_.size());
  task->flags.resize(workers_.size());
  task->evidence.resize(workers_.size());
  task->notableOf.resize(workers_.size());
  task->windowsOf.resize(workers_.size());
  {
    std::lock_guard lock(mutex_);
    task->number = submitted_ + 1;
    std::size_t queued = 0;
    try {
      for (; queued < workers_.size(); ++queued) workers_[queued]->queue.push_back(task);
    } catch (...) {
      // Without memory for all queues the task must be in none, because it would never be finished.
      while (queued > 0) workers_[--queued]->queue.pop_back();
      throw;
    }
    ++submitted_;
  }
  for (auto& worker : workers_) worker->wake.notify_one();
}

void Engine::cancel() {
  std::lock_guard lock(mutex_);
  cancelled_ = submitted_;
}

void Engine::abandon() {
  std::lock_guard lock(mutex_);
  abandoned_ = true;
  for (auto& worker : workers_) worker->queue.clear();
}

bool Engine::wanted(Task& task) const {
  if (!abandoned_.load(std::memory_order_relaxed) && (task.visit || task.number > cancelled_.load(std::memory_order_relaxed))) {
    return true;
  }
  task.cancelled.store(true, std::memory_order_relaxed);
  return false;
}

void Engine::work(std::uint32_t number) {
  nameThread(number);
  Worker& self = *workers_[number];
  for (;;) {
    std::shared_ptr<Task> task;
    {
      std::unique_lock lock(mutex_);
      self.wake.wait(lock, [&] { return closing_ || !self.queue.empty(); });
      if (self.queue.empty()) return;
      task = std::move(self.queue.front());
      self.queue.pop_front();
    }
    guard(*task, [&] { judge(*task, number); });
    if (task->remaining.fetch_sub(1) != 1) continue;
    if (!task->cancelled) guard(*task, [&] { finish(*task); });
    if (!abandoned_) done_(std::move(task));
  }
}

void Engine::judge(Task& task, std::uint32_t worker) {
  if (!wanted(task)) return;
  std::call_once(task.prepared, [&] { prepare(task); });
  if (task.visit) {
    for (std::uint32_t shard = worker; shard < kShardCount; shard += static_cast<std::uint32_t>(workers_.size())) {
      if (!wanted(task)) return;
      task.visit(shard, *shards_[shard]);
    }
    return;
  }
  if (task.malformed) return;
  for (std::uint32_t shard = worker; shard < kShardCount; shard += static_cast<std::uint32_t>(workers_.size())) {
    shards_[shard]->begin(task.request.size());
  }
  const Request request{task.index, task.keys, task.tenant, task.moment, task.number, task.groups, task.arrival};
  std::uint32_t unjudged = 0, excluded = 0, redated = 0, returned = 0;
  for (std::uint32_t i = 0; i < task.records; ++i) {
    const std::uint32_t shard = shardOf(task.keys.hash(i));
    if (shard % workers_.size() != worker) continue;
    if (!wanted(task)) return;
    if (!task.refused.empty() && task.refused[i]) {
      shards_[shard]->limit(request, i);
      continue;
    }
    const std::optional<Verdict> verdict =
        shards_[shard]->judge(request, i, task.flags[worker], settings_.scores ? &task.windowsOf[worker] : nullptr);
    if (!verdict) ++unjudged;
    if (verdict && verdict->redated) ++redated;
    if (verdict && verdict->returned) ++returned;
    if (verdict && verdict->excluded) ++excluded;
    if (!verdict || verdict->excluded || !settings_.scores) continue;
    double* score = &task.scores[kScoreWidth * i];
    score[0] = verdict->score;
    score[1] = verdict->pValue;
    score[2] = verdict->flagged ? 1 : 0;
    score[3] = infoOf(verdict->channel).number;
  }
  task.redated += redated;
  task.excluded += excluded;
  task.unjudged += unjudged;
  task.returned += returned;
  for (std::uint32_t shard = worker; shard < kShardCount; shard += static_cast<std::uint32_t>(workers_.size())) {
    shards_[shard]->end(task.flags[worker]);
  }
  // This comes after the records, because a stream that has some of them is not silent.
  for (std::uint32_t shard = worker; shard < kShardCount; shard += static_cast<std::uint32_t>(workers_.size())) {
    for (const auto& [tenant, moment] : task.moments) {
      const std::size_t first = task.flags[worker].size();
      shards_[shard]->elapse(tenant, moment, task.records + shard, task.flags[worker]);
      for (std::size_t i = first; i < task.flags[worker].size(); ++i) task.flags[worker][i].tenant = tenant;
    }
    task.evidenceLeftOut += shards_[shard]->takeEvidence(task.evidence[worker]);
    shards_[shard]->takeNotable(task.notableOf[worker]);
  }
}

void Engine::prepare(Task& task) {
  if (task.interrupts) clocks_.interrupt();
  if (task.visitOrdered) task.visitOrdered(quota_, clocks_, groups_);
  if (task.visit) return;
  if (task.passed > 0) {
    task.moments = clocks_.pass(task.passed, task.heard);
    task.timeUnixNano = clocks_.moment().event;
    return;
  }
  task.malformed = !otlp::index(task.signal, task.request, task.index, task.error);
  if (task.malformed) return;
  task.records = static_cast<std::uint32_t>(task.index.records.size());
  task.keys.find(task.index, task.tenant, settings_, streamHash_);
  const std::uint64_t received = isPlausible(task.receivedNanos) ? task.receivedNanos : 0;
  task.limited = quota_.admit(task.index, task.keys, task.tenant, received, task.refused);
  if (settings_.scores) task.scores.resize(kScoreWidth * std::size_t{task.records});
  if (task.records == 0) return;
  thread_local RecordView last;
  readFields(task.index, task.index.records.back(), last);
  last.date(received);
  if (clocks_.observe(task.tenant, last.timeUnixNano, task.moment)) task.moments.emplace_back(task.tenant, task.moment);
  task.groups = groups_.hear(task.tenant, task.keys, last.timeUnixNano);
  task.timeUnixNano = clocks_.moment().event;
  task.arrival = received != 0 ? received : task.moment.event;
}

void Engine::withhold(Task& task, std::vector<Flag>& flags) {
  std::erase_if(flags, [&](Flag& flag) {
    if (flag.ended) return !budget_->end(*flag.anomaly);
    const std::string_view tenant = flag.tenant.empty() ? std::string_view(task.tenant) : flag.tenant;
    const auto answer = budget_->judge(tenant, *flag.anomaly, flag.occurrences, flag.margin, flag.early);
    if (answer == ProcessBudget::Answer::ToldLate) {
      flag.reported = true;
      if (flag.report) flag.report->news = true;
    }
    if (answer != ProcessBudget::Answer::Withheld) {
      if (flag.evidence) flag.evidence->belongsTo(*flag.anomaly);
      return false;
    }
    if (flag.evidence) flag.evidence->withhold();
    if (flag.record != Report::kNoRecord && !task.scores.empty()) task.scores[kScoreWidth * std::size_t{flag.record} + 2] = 0;
    return true;
  });
}

void Engine::finish(Task& task) {
  if (task.visitFinished) task.visitFinished(*budget_, *graphs_);
  if (task.visit || task.malformed || !task.failure.empty()) return;
  budget_->observe(task.receivedNanos != 0 ? task.receivedNanos : task.timeUnixNano);
  if (task.records > 0) budget_->hear(task.tenant);
  if (task.passed > 0) graphs_->pass(task.moments, task.page);
  else graphs_->observe(task.tenant, task.index, task.moment.event, task.page);
  for (auto& windows : task.windowsOf) {
    for (WindowReport& window : windows) task.windows.push_back(std::move(window));
  }
  std::stable_sort(task.windows.begin(), task.windows.end(), [](auto& a, auto& b) { return a.record < b.record; });
  std::vector<Flag> flags = std::move(task.flags[0]);
  for (std::size_t i = 1; i < task.flags.size(); ++i) {
    for (Flag& flag : task.flags[i]) flags.push_back(std::move(flag));
  }
  if (flags.empty()) return tell(task);
  // Flags are in the order of records; one that concerns no record stays after the record that revealed it. Silences,
  // which come after all records, are in the order of names: hashes must not decide whom the budget of the process
  // serves first.
  const auto before = [&](const Flag& a, const Flag& b) {
    if (a.at < task.records || b.at < task.records) return a.at < b.at;
    if (!a.report || !b.report) return std::pair(!a.report, a.at) < std::pair(!b.report, b.at);
    return std::tie(a.report->tenant, a.report->stream, a.at) < std::tie(b.report->tenant, b.report->stream, b.at);
  };
  if (!std::is_sorted(flags.begin(), flags.end(), before)) std::stable_sort(flags.begin(), flags.end(), before);
  withhold(task, flags);
  tell(task);
  std::size_t left = Allowance::reportBound(task.request.size());
  for (const Flag& flag : flags) {
    if (!flag.reported) continue;
    std::vector<std::uint8_t> report;
    if (flag.report) report = encodeAnomaly(*flag.report);
    if (report.empty() || report.size() > left) {
      ++task.unreported;
      continue;
    }
    left -= report.size();
    task.anomalies.push_back(std::move(report));
  }
  std::erase_if(flags, [](const Flag& flag) { return flag.record == Report::kNoRecord; });
  task.flagged = static_cast<std::uint32_t>(flags.size());
  if (!flags.empty()) annotate(task, flags);
}

void Engine::tell(Task& task) {
  std::vector<std::unique_ptr<TickEvidence>> all;
  for (auto& part : task.evidence) std::ranges::move(part, std::back_inserter(all));
  std::ranges::sort(all, [](const auto& a, const auto& b) { return *a < *b; });
  std::vector<Report> notable;
  for (auto& part : task.notableOf) std::ranges::move(part, std::back_inserter(notable));
  std::ranges::sort(notable, {}, [](const Report& r) { return std::tie(r.tenant, r.record, r.stream, r.instance); });
  for (const Report& report : notable) task.notable.push_back(encodeAnomaly(report));
  otlp::Writer page(task.page);
  std::size_t left = Allowance::evidenceBound(task.request.size());
  for (const auto& each : all) {
    const std::vector<std::uint8_t> message = each->encode();
    if (message.size() > left) {
      task.evidenceLeftOut += each->verdicts();
      continue;
    }
    left -= message.size();
    page.message(1, message);
  }
}

namespace {

std::uint32_t fieldOf(const Task& task, const Flag& flag) {
  return otlp::attributesField(task.index, task.index.records[flag.record]);
}

}  // namespace

void Engine::annotate(Task& task, std::span<const Flag> flags) const {
  std::vector<std::uint8_t> mark;
  std::string_view markedAnomaly;
  std::uint32_t markedField = 0;
  // Records of one anomaly tend to follow each other: the attributes that name it are encoded once for them.
  const auto markOf = [&](const Flag& flag) {
    const std::uint32_t field = fieldOf(task, flag);
    if (field != markedField || *flag.anomaly != markedAnomaly) {
      mark.clear();
      encodeMark(markedAnomaly = *flag.anomaly, markedField = field, mark);
    }
    return Bytes(mark);
  };
  // The first ones get full annotations, and the others the id of their anomaly, as far as the bounds allow.
  std::size_t left = Allowance::annotationBound(task.request.size()), leftForWhole = Allowance::kWholeAnnotations;
  std::vector<std::uint8_t> attributes;
  std::vector<std::size_t> ends;
  ends.reserve(flags.size());
  std::uint32_t parent = otlp::kNone;
  bool marked = true, whole = true;
  for (const Flag& flag : flags) {
    const std::size_t begin = attributes.size();
    const std::uint32_t own = task.index.records[flag.record].frame.parent;
    const std::size_t lengths = kRecordLength + (std::exchange(parent, own) == own ? 0 : kEnclosingLengths);
    const auto added = [&] { return attributes.size() - begin + lengths; };
    const Bytes mark = markOf(flag);
    marked = marked && mark.size() + lengths <= left;
    if (marked) attributes.insert(attributes.end(), mark.begin(), mark.end());
    if (whole = whole && marked && flag.report; whole) {
      encodeDetails(*flag.report, fieldOf(task, flag), attributes);
      whole = added() <= std::min(left, leftForWhole);
      if (whole) leftForWhole -= added();
      else attributes.resize(begin + mark.size());
    }
    if (marked) left -= added();
    if (!whole) ++task.abridged;
    ends.push_back(attributes.size());
  }
  std::vector<otlp::Edit> edits;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < flags.size(); ++i) {
    edits.push_back({flags[i].record, Bytes(attributes).subspan(begin, ends[i] - begin)});
    begin = ends[i];
  }
  otlp::Splicer splicer;
  task.output.size = splicer.plan(task.index, edits, settings_.flaggedOnly ? otlp::Keep::Edited : otlp::Keep::All);
  task.output.data.reset(new std::uint8_t[task.output.size]);
  splicer.write(task.output.data.get());
}

EngineStats Engine::stats() const {
  EngineStats stats;
  for (const auto& shard : shards_) {
    stats.streams += shard->streams;
    stats.learning += shard->learning;
    stats.evicted += shard->evicted;
    stats.bytes += shard->bytes + shard->shelved;
    stats.untold += shard->untold;
    stats.withheldByStreams += shard->withheld;
    stats.withheldByGroups += shard->withheldByGroups;
  }
  stats.withheldByTenants = budget_->withheldByTenants();
  stats.withheldByProcess = budget_->withheld();
  stats.bytes += graphs_->bytes;
  stats.graphPlaces = graphs_->places;
  stats.graphCalls = graphs_->calls;
  stats.graphSpans = graphs_->spans;
  stats.graphGaveWay = graphs_->gaveWay;
  return stats;
}

bool Engine::restore(Bytes snapshot) {
  StateReader read(snapshot);
  if (read.get<std::uint32_t>() != kMagic || read.get<std::uint32_t>() != kShardCount) return false;
  Quota quota(settings_.streamsPerTenant, placesOf(settings_));
  if (!quota.restore(read.getBytes())) return false;
  Clocks clocks;
  if (!clocks.restore(read.getBytes())) return false;
  ActiveGroups groups;
  if (!groups.restore(read.getBytes())) return false;
  auto budget = freshBudget();
  if (!budget->restore(read.getBytes())) return false;
  auto graphs = freshGraphs();
  if (!graphs->restore(read.getBytes())) return false;
  auto shards = freshShards();
  for (std::uint32_t i = 0; i < kShardCount; ++i) {
    if (!shards[i]->restore(read.getBytes(), i)) return false;
  }
  if (!read.done()) return false;
  std::lock_guard lock(mutex_);
  shards_ = std::move(shards);
  quota_ = std::move(quota);
  clocks_ = std::move(clocks);
  groups_ = std::move(groups);
  budget_ = std::move(budget);
  graphs_ = std::move(graphs);
  return true;
}

void FeedbackVisit::visit(Shard& shard) {
  std::vector<Flag> flags;
  shard.begin(0);
  if (!shard.feedback(tenant_, anomalyId_, feedback_, flags)) return;
  std::lock_guard lock(mutex_);
  found_ = true;
  for (const Flag& flag : flags) ended_ = encodeAnomaly(*flag.report);
}

std::vector<std::uint8_t> Snapshot::join() const {
  std::vector<std::uint8_t> out;
  std::size_t size = quota_.size() + clocks_.size() + groups_.size() + budget_.size() + graphs_.size();
  for (const auto& part : parts_) size += part.size() + sizeof(std::uint32_t);
  out.reserve(size + 7 * sizeof(std::uint32_t));
  put(out, kMagic);
  put(out, kShardCount);
  putBytes(out, quota_);
  putBytes(out, clocks_);
  putBytes(out, groups_);
  putBytes(out, budget_);
  putBytes(out, graphs_);
  for (const auto& part : parts_) putBytes(out, part);
  return out;
}

}  // namespace driftlock
