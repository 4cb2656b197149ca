#include "engine/engine.hpp"

#include <algorithm>
#include <new>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "base/state_bytes.hpp"
#include "llm/encode.hpp"
#include "otlp/splice.hpp"
#include "otlp/writer.hpp"
#include "record/redact.hpp"
#include "report/report.hpp"

namespace driftlock {
namespace {

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

/// The number of places in all tenants' quotas; there is no need to know more streams than are held.
std::size_t placesOf(const Settings& settings) {
  return 2 * std::size_t{std::max(settings.maxStreams, settings.streamsPerTenant)};
}

}  // namespace

void Task::fail(const std::exception& error) noexcept try { failure = error.what(); } catch (const std::bad_alloc&) {
  failure = "out of memory";  // So few bytes need no allocation.
}

Engine::Engine(Settings settings, Done done, std::shared_ptr<Pool> pool)
    : settings_(std::move(settings)),
      streamHash_(streamHash(settings_.hashKey)),
      done_(std::move(done)),
      codec_(makeCodec(settings_.codec)),
      excerpts_(makeCodec(CodecName::Openzl)),
      matcher_(makeCodec(CodecName::Lz4)),
      packer_(makeCodec(CodecName::Zstd, 1)),
      quota_(settings_.streamsPerTenant, placesOf(settings_)),
      keptAttributes_(settings_.streamBy),
      calls_(std::make_unique<llm::Tenants>(streamHash_)),
      budget_(freshBudget()),
      graphs_(freshGraphs()) {
  for (const auto* names : {&settings_.groupBy, &settings_.instanceBy}) {
    keptAttributes_.insert(keptAttributes_.end(), names->begin(), names->end());
  }
  keptAttributes_.insert(keptAttributes_.end(), {"service.name", "host.name"});
  shards_ = freshShards();
  const std::uint32_t workers = std::clamp(settings_.threads, 1u, kShardCount);
  for (std::uint32_t i = 0; i < workers; ++i) workers_.push_back(std::make_unique<Worker>(*this, i));
  pool_ = pool ? std::move(pool) : std::make_shared<Pool>(workers);
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
  return std::make_unique<ServiceGraphs>(streamHash_, settings_.instanceBy, settings_.changeAttributes, settings_.privacy);
}

Engine::~Engine() {
  for (const auto& worker : workers_) pool_->rest(*worker);
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
      for (; queued < workers_.size(); ++queued) {
        auto& queue = workers_[queued]->queue;
        queue.insert(task->urgent ? queue.begin() : queue.end(), task);
      }
    } catch (...) {
      // Without memory for all queues the task must be in none, because it would never be finished.
      while (queued > 0) std::erase(workers_[--queued]->queue, task);
      throw;
    }
    ++submitted_;
  }
  for (auto& worker : workers_) pool_->wake(*worker);
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

bool Engine::Worker::work() { return engine_.work(*this); }

bool Engine::work(Worker& worker) {
  std::shared_ptr<Task> task;
  bool more = false;
  {
    std::lock_guard lock(mutex_);
    if (worker.queue.empty()) return false;
    task = std::move(worker.queue.front());
    worker.queue.pop_front();
    more = !worker.queue.empty();
  }
  guard(*task, [&] { judge(*task, worker.number); });
  if (task->remaining.fetch_sub(1) != 1) return more;
  if (!task->cancelled) guard(*task, [&] { finish(*task); });
  if (!abandoned_) done_(std::move(task));
  return more;
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
  std::size_t size = task.request.size();
  for (const DerivedRequest& each : task.derived) size += each.bytes.size();
  // A bit for each shard that is the worker's.
  static_assert(kShardCount <= 32);
  std::uint32_t own = 0;
  for (std::uint32_t shard = worker; shard < kShardCount; shard += static_cast<std::uint32_t>(workers_.size())) {
    shards_[shard]->begin(size);
    own |= 1u << shard;
  }
  const Request request{task.index, task.keys, task.tenant, task.moment, task.number, task.groups, task.arrival};
  std::uint32_t unjudged = 0, excluded = 0, redated = 0, returned = 0;
  for (std::uint32_t i = 0; i < task.records; ++i) {
    const std::uint32_t shard = shardOf(task.keys.hash(i));
    if ((own >> shard & 1) == 0) continue;
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
  for (std::size_t part = 0; part < task.derived.size(); ++part) {
    const DerivedRequest& each = task.derived[part];
    const Request derived{each.index,   each.keys,    task.tenant,
                          task.moment,  task.number,  task.groups,
                          task.arrival, each.origins, static_cast<std::uint8_t>(part + 1)};
    for (std::uint32_t i = 0; i < each.index.records.size(); ++i) {
      const std::uint32_t shard = shardOf(each.keys.hash(i));
      if ((own >> shard & 1) == 0) continue;
      if (!wanted(task)) return;
      if (!each.refused.empty() && each.refused[i]) {
        shards_[shard]->limit(derived, i);
        continue;
      }
      const std::optional<Verdict> verdict = shards_[shard]->judge(derived, i, task.flags[worker], nullptr);
      if (!verdict || verdict->excluded || !settings_.scores) continue;
      // The original is as strange as the strangest of what was derived from it; they are in one shard.
      double* score = &task.scores[kScoreWidth * each.origins[i]];
      if (!verdict->flagged && (score[2] != 0 || verdict->score <= score[0])) continue;
      score[0] = std::max(score[0], verdict->score);
      score[1] = std::min(score[1], verdict->pValue);
      if (verdict->flagged) score[2] = 1;
      score[3] = infoOf(verdict->channel).number;
    }
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
  if (task.visitOrdered) task.visitOrdered(quota_, clocks_, groups_, *calls_);
  if (task.visit) return;
  if (task.passed > 0) {
    task.moments = clocks_.pass(task.passed, task.heard);
    task.timeUnixNano = clocks_.moment().event;
    return;
  }
  if (task.told > 0) {
    if (clocks_.observe(task.tenant, task.told, task.moment)) task.moments.emplace_back(task.tenant, task.moment);
    task.timeUnixNano = clocks_.moment().event;
    return;
  }
  task.malformed = !otlp::index(task.signal, task.request, task.index, task.error);
  if (task.malformed) return;
  redactTask(task);
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
  if (settings_.llm.enabled && !task.index.llm.empty()) deriveCalls(task, last.timeUnixNano);
}

void Engine::deriveCalls(Task& task, std::uint64_t time) {
  task.callsLeftOut = calls_->observe(task.tenant, task.index, task.completed);
  if (task.completed.empty()) return;
  llm::Derived derived = llm::derive(task.index, task.completed, keptAttributes_, settings_.llm.prices);
  if (derived.origins.empty()) return;
  DerivedRequest& out = task.derived.emplace_back();
  out.bytes = std::move(derived.request);
  out.about = std::move(derived.origins);
  for (const llm::Derived::Origin& each : out.about) out.origins.push_back(each.record);
  otlp::WireError error;
  if (!otlp::index(otlp::Signal::Logs, out.bytes, out.index, error) || out.index.records.size() != out.about.size())
    throw std::runtime_error("what was derived from calls of language models cannot be read");
  out.keys.find(out.index, task.tenant, settings_, streamHash_, llm::kStreamAttributes);
  quota_.admit(out.index, out.keys, task.tenant, task.arrival, out.refused);
  task.groups = groups_.hear(task.tenant, out.keys, time);
}

void Engine::redactTask(Task& task) const {
  const privacy::Policy& policy = *settings_.privacy;
  StreamKeys keys;
  if (policy.asksForStreams()) keys.find(task.index, task.tenant, settings_, streamHash_);
  const auto streamOf = [&](const std::uint8_t* record) {
    const otlp::Index& index = task.forwardIndex ? *task.forwardIndex : task.index;
    const auto found =
        std::ranges::lower_bound(index.records, record, {}, [&](const otlp::Record& each) { return index.bytes(each).data(); });
    if (found == index.records.end()) return std::string();
    return keys.make(index, static_cast<std::uint32_t>(found - index.records.begin()), task.tenant, settings_).name;
  };
  Redaction redaction{.tenant = task.tenant, .place = privacy::Place::Scoring};
  if (policy.asksForStreams()) redaction.streamOf = streamOf;
  const bool once = policy.equal(privacy::Place::Scoring, privacy::Place::Forwarded);
  if (once) redaction.also = privacy::Place::Forwarded;
  if (auto judged = redact(task.index, redaction, policy)) {
    if (!once) task.forwardIndex = std::move(task.index);
    (once ? task.forwarded : task.judged) = std::move(judged->request);
    task.index = std::move(judged->index);
  }
  if (once) return;
  redaction.place = privacy::Place::Forwarded;
  if (auto forwarded = redact(task.forwardIndex ? *task.forwardIndex : task.index, redaction, policy)) {
    task.forwarded = std::move(forwarded->request);
    task.forwardIndex = std::move(forwarded->index);
  }
}

void Engine::withhold(Task& task, std::vector<Flag>& flags) {
  std::erase_if(flags, [&](Flag& flag) {
    if (flag.ended) return !budget_->end(*flag.anomaly);
    const std::string_view tenant = flag.tenant.empty() ? std::string_view(task.tenant) : flag.tenant;
    const auto answer = budget_->judge(tenant, *flag.anomaly, flag.occurrences, flag.margin, flag.early, flag.ofCalls);
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

void Engine::updateGraphs(Task& task) {
  if (task.passed > 0 || task.told > 0) graphs_->pass(task.moments, task.page);
  else graphs_->observe(task.tenant, task.index, task.moment.front, task.page);
  for (const DerivedRequest& each : task.derived) {
    if (each.index.signal == otlp::Signal::Logs)
      graphs_->observeChanges(task.tenant, each.index, task.moment.front, llm::kChangeAttributes, llm::kStreamAttributes[0],
                              task.page);
  }
}

void Engine::finish(Task& task) {
  if (task.visitFinished) task.visitFinished(*budget_, *graphs_);
  if (task.visit || task.malformed || !task.failure.empty()) return;
  budget_->observe(task.receivedNanos != 0 ? task.receivedNanos : task.timeUnixNano);
  if (task.records > 0) budget_->hear(task.tenant);
  if (settings_.serviceGraphs) updateGraphs(task);
  for (auto& windows : task.windowsOf) {
    for (WindowReport& window : windows) task.windows.push_back(std::move(window));
  }
  std::stable_sort(task.windows.begin(), task.windows.end(), [](auto& a, auto& b) { return a.record < b.record; });
  std::vector<Flag> flags = std::move(task.flags[0]);
  for (std::size_t i = 1; i < task.flags.size(); ++i) {
    for (Flag& flag : task.flags[i]) flags.push_back(std::move(flag));
  }
  // What is masked is forwarded so, whether it is annotated or not.
  const auto forward = [&] {
    if (!settings_.flaggedOnly) task.output = std::move(task.forwarded);
  };
  if (flags.empty()) {
    if (task.silent) return hush(task);
    tellCalls(task, flags);
    tell(task);
    return forward();
  }
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
  if (task.silent) return hush(task);
  tellCalls(task, flags);
  tell(task);
  std::size_t left = Allowance::reportBound(task.request.size()),
              leftForRecordings = Allowance::recordingBound(task.request.size());
  for (const Flag& flag : flags) {
    if (!flag.reported) continue;
    std::vector<std::uint8_t> report;
    if (flag.report) report = encodeAnomaly(*flag.report);
    if (report.empty() || report.size() > left) {
      ++task.unreported;
      continue;
    }
    left -= report.size();
    appendRecording(*flag.report, leftForRecordings, report);
    task.anomalies.push_back(std::move(report));
  }
  std::erase_if(flags, [](const Flag& flag) { return flag.record == Report::kNoRecord; });
  // A record is flagged once, whatever was derived from it: by what is described, if anything is.
  const auto another = [](const Flag& a, const Flag& b) { return a.record == b.record; };
  for (std::size_t i = 1; i < flags.size(); ++i) {
    if (another(flags[i - 1], flags[i]) && !flags[i].report && flags[i - 1].report) std::swap(flags[i - 1], flags[i]);
  }
  std::ranges::reverse(flags);
  flags.erase(std::unique(flags.begin(), flags.end(), another), flags.end());
  std::ranges::reverse(flags);
  task.flagged = static_cast<std::uint32_t>(flags.size());
  if (!flags.empty()) annotate(task, flags);
  else forward();
}

void Engine::tellCalls(Task& task, std::span<const Flag> flags) const {
  if (task.completed.empty() && task.callsLeftOut == 0) return;
  std::vector<llm::FlaggedBy> anomalies;
  for (const llm::Completed& each : task.completed) anomalies.emplace_back(each.turns.size() + 1);
  const auto note = [](std::vector<std::string>& ids, const std::string& id) {
    if (std::ranges::find(ids, id) == ids.end()) ids.push_back(id);
  };
  for (const Flag& flag : flags) {
    if (flag.record == Report::kNoRecord || flag.ended) continue;
    if (flag.derived != 0) {
      const llm::Derived::Origin& about = task.derived[flag.derived - 1].about[flag.derivedRecord];
      llm::FlaggedBy& own = anomalies[about.call];
      note(about.turn == otlp::kNone ? own.back() : own[about.turn], *flag.anomaly);
      continue;
    }
    // Calls are in the order of their records.
    auto call = std::ranges::lower_bound(task.completed, flag.record, {}, &llm::Completed::record);
    for (; call != task.completed.end() && call->record == flag.record; ++call) {
      note(anomalies[static_cast<std::size_t>(call - task.completed.begin())].back(), *flag.anomaly);
    }
  }
  task.calls = llm::encodeCalls(task.completed, anomalies, task.callsLeftOut, task.tenant, task.signal, settings_.llm,
                                *settings_.privacy, Allowance::reportBound(task.request.size()));
}

void Engine::hush(Task& task) {
  task.page.clear();
  task.evidenceLeftOut = 0;
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
  const otlp::Index& index = task.forwardIndex ? *task.forwardIndex : task.index;
  return otlp::attributesField(index, index.records[flag.record]);
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
  const otlp::Index& index = task.forwardIndex ? *task.forwardIndex : task.index;
  std::size_t left = Allowance::annotationBound(task.request.size()), leftForWhole = Allowance::kWholeAnnotations;
  std::vector<std::uint8_t> attributes;
  std::vector<std::size_t> ends;
  ends.reserve(flags.size());
  std::uint32_t parent = otlp::kNone;
  bool marked = true, whole = true;
  for (const Flag& flag : flags) {
    const std::size_t begin = attributes.size();
    const std::uint32_t own = index.records[flag.record].frame.parent;
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
  task.output.size = splicer.plan(index, edits, settings_.flaggedOnly ? otlp::Keep::Edited : otlp::Keep::All);
  task.output.data.reset(new std::uint8_t[task.output.size]);
  splicer.write(task.output.data.get());
}

EngineStats Engine::stats() const {
  std::lock_guard lock(partsMutex_);
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
  stats.bytes += graphs_->bytes + calls_->bytes;
  stats.graphPlaces = graphs_->places;
  stats.graphCalls = graphs_->calls;
  stats.graphSpans = graphs_->spans;
  stats.graphGaveWay = graphs_->gaveWay;
  return stats;
}

std::unique_ptr<Checkpoint> Engine::checkpoint(CheckpointOf what) {
  return std::make_unique<Checkpoint>(what, streamHash_, fingerprintOf(settings_.hashKey), headPieces_, settings_.privacy);
}

void Engine::restore(Restoration& restoration, Bytes piece) {
  for (std::uint32_t i = 0; i < kShardCount; ++i) restoration.take(i, *shards_[i], piece);
}

std::string Engine::completeRestore(const Restoration& restoration, bool tracks) {
  std::lock_guard lock(partsMutex_);
  std::string refusal = restoreHead(restoration, tracks);
  if (refusal.empty()) {
    headPieces_ = tracks ? restoration.headPieces() : 0;
  } else {
    shards_ = freshShards();
  }
  return refusal;
}

std::string Engine::restoreHead(const Restoration& restoration, bool tracks) {
  const std::vector<std::uint8_t> head = restoration.head();
  constexpr std::size_t kDigest = sizeof(std::uint64_t);
  if (head.size() < kDigest) return restoration.sound() ? "its head is missing" : "it is damaged, and its head is missing";
  const Bytes body = Bytes(head).first(head.size() - kDigest);
  StateReader read(body), digest(Bytes(head).last(kDigest));
  if (read.get<std::uint32_t>() != kCheckpointMagic || read.get<std::uint32_t>() != kShardCount)
    return "another version of the engine wrote it";
  if (read.get<std::uint64_t>() != fingerprintOf(settings_.hashKey)) return "an engine with another hash key wrote it";
  if (!restoration.sound()) return "it is damaged, or an engine with other settings wrote it";
  const std::string damaged = "it is damaged";
  if (digest.get<std::uint64_t>() != streamHash_(body)) return damaged;
  Quota quota(settings_.streamsPerTenant, placesOf(settings_));
  if (!quota.restore(read.getBytes())) return damaged;
  Clocks clocks;
  if (!clocks.restore(read.getBytes())) return damaged;
  ActiveGroups groups;
  if (!groups.restore(read.getBytes())) return damaged;
  auto calls = std::make_unique<llm::Tenants>(streamHash_);
  if (!calls->restore(read.getBytes())) return damaged;
  auto budget = freshBudget();
  if (!budget->restore(read.getBytes())) return damaged;
  auto graphs = freshGraphs();
  if (!graphs->restore(read.getBytes())) return damaged;
  std::array<Bytes, kShardCount> shards;
  for (Bytes& each : shards) each = read.getBytes();
  std::uint64_t sum = read.get<std::uint64_t>();
  for (const auto& shard : shards_) sum -= shard->restoredSum();
  if (sum != 0 || !read.done()) return "records are missing, or are of different checkpoints";
  for (std::uint32_t i = 0; i < kShardCount; ++i) {
    if (!shards_[i]->completeRestore(shards[i], tracks)) return damaged;
  }
  quota_ = std::move(quota);
  clocks_ = std::move(clocks);
  groups_ = std::move(groups);
  calls_ = std::move(calls);
  budget_ = std::move(budget);
  graphs_ = std::move(graphs);
  return {};
}

void FeedbackVisit::visit(Shard& shard) {
  std::vector<Flag> flags;
  shard.begin(0);
  if (!shard.feedback(tenant_, anomalyId_, feedback_, flags)) return;
  std::lock_guard lock(mutex_);
  found_ = true;
  for (const Flag& flag : flags) ended_ = encodeAnomaly(*flag.report);
}

}  // namespace driftlock
