#include <cstring>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "binding/arguments.hpp"
#include "binding/binding.hpp"
#include "binding/engine_options.hpp"
#include "binding/errors.hpp"
#include "binding/policies.hpp"
#include "binding/privacy.hpp"
#include "engine/engine.hpp"

namespace driftlock::binding {
namespace {

/// The largest step of a clock in one call, in milliseconds.
constexpr double kLongestAdvance = 60'000;
/// The latest time of receipt in milliseconds, some 300 years.
constexpr double kLatestReceived = 1e13;
/// Converts milliseconds of the receiver's clock to nanoseconds; 0 for undefined.
std::uint64_t receivedArgument(Napi::Value value) {
  if (value.IsUndefined()) return 0;
  return static_cast<std::uint64_t>(numberArgument(value, "receivedMs", 0, kLatestReceived) * 1e6);
}

bool silentArgument(Napi::Value value) { return !value.IsUndefined() && booleanArgument(value, "silent"); }

/// Limits in bytes of UTF-8.
constexpr std::size_t kLongestTenant = 65'536, kLongestAnomalyId = 256, kLongestStream = 65'536;
constexpr double kLargestScore = 1e300;
constexpr std::uint32_t kMostTenants = 1 << 20;
/// Protobuf's own limit.
constexpr std::size_t kLongestRequest = 0x7fffffff;
/// Bytes of requests that are copied for the engine at once. Others wait in JavaScript's memory until some are done, so that they
/// are not held twice; the engine always has enough to do.
constexpr std::size_t kMostCopied = 32 << 20;

/// A task, and what to do once it is done. It is independent of JavaScript: any thread may release it last.
struct Job : Task {
  /// The request's bytes if the engine copies them, because JavaScript may change or detach its own meanwhile.
  OwnedBytes copy;
  /// The last step of a visit, on the engine's last thread.
  std::function<void()> complete;
  /// The next in the list of completed jobs.
  Job* next = nullptr;
  struct Call* call = nullptr;
};

/// A call from JavaScript whose promise has not settled. Only JavaScript's thread touches it.
struct Call {
  explicit Call(Napi::Env env) : deferred(Napi::Promise::Deferred::New(env)) {}

  Napi::Promise::Deferred deferred;
  std::shared_ptr<Job> job = std::make_shared<Job>();
  /// The request, which outlives the call: it is forwarded if nothing was flagged, and read in place unless it is copied.
  Napi::Reference<Napi::Uint8Array> request;
  std::size_t size = 0;
  /// Creates the value of a visit's promise.
  std::function<Napi::Value(Napi::Env)> result;
  /// The call's position in the object's list.
  std::list<Call>::iterator self;
};

Napi::Value copyOf(Napi::Env env, const std::vector<std::uint8_t>& bytes) {
  return Napi::Buffer<std::uint8_t>::Copy(env, bytes.data(), bytes.size());
}

Napi::Error malformed(Napi::Env env, const Job& job) {
  return coded<Napi::Error>(env,
                            std::string("malformed ") + signalName(job.signal) + " request: " + job.error.field + ": " +
                                job.error.what + ", at byte " + std::to_string(job.error.offset),
                            error_code::kOtlpMalformed);
}

Napi::Error cancelled(Napi::Env env) {
  return coded<Napi::Error>(env, "the request was cancelled before all of its records were judged", error_code::kEngineCancelled);
}

Napi::Error closed(Napi::Env env) { return coded<Napi::Error>(env, "the engine is closed", error_code::kEngineClosed); }

/// Wakes JavaScript's thread from others. It keeps the event loop alive only while `hold` is set.
class Wake {
 public:
  Wake(Napi::Env env, napi_threadsafe_function_call_js call, void* context) : env_(env) {
    const napi_value name = Napi::String::New(env, "driftlock");
    if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, context, call, &function_) !=
        napi_ok)
      throw Napi::Error::New(env);
    napi_unref_threadsafe_function(env, function_);
  }
  Wake(const Wake&) = delete;
  Wake& operator=(const Wake&) = delete;
  ~Wake() { napi_release_threadsafe_function(function_, napi_tsfn_abort); }

  void call() { napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking); }
  void hold(bool held) { held ? napi_ref_threadsafe_function(env_, function_) : napi_unref_threadsafe_function(env_, function_); }

 private:
  Napi::Env env_;
  napi_threadsafe_function function_ = nullptr;
};

/// The class that JavaScript sees. It lives until its JavaScript object is gone and nothing is pending. Napi::ObjectWrap would
/// end the process if an ending environment interrupts the constructor.
class EngineObject {
 public:
  static napi_value define(Napi::Env env) {
    const auto method = [](const char* name, napi_callback call) {
      return napi_property_descriptor{name, nullptr, call, nullptr, nullptr, nullptr, napi_default, nullptr};
    };
    const napi_property_descriptor methods[] = {
        method("process", entry<on<&EngineObject::process>>),
        method("advance", entry<on<&EngineObject::advance>>),
        method("observeTime", entry<on<&EngineObject::observeTime>>),
        method("interrupt", entry<on<&EngineObject::interrupt>>),
        method("setPolicies", entry<on<&EngineObject::setPolicies>>),
        method("stats", entry<on<&EngineObject::stats>>),
        method("checkpoint", entry<on<&EngineObject::checkpoint>>),
        method("checkpointPiece", entry<on<&EngineObject::checkpointPiece>>),
        method("endCheckpoint", entry<on<&EngineObject::endCheckpoint>>),
        method("restore", entry<on<&EngineObject::restore>>),
        method("completeRestore", entry<on<&EngineObject::completeRestore>>),
        method("feedback", entry<on<&EngineObject::feedback>>),
        method("tolerate", entry<on<&EngineObject::tolerate>>),
        method("statistics", entry<on<&EngineObject::statistics>>),
        method("cancel", entry<on<&EngineObject::cancel>>),
        method("close", entry<on<&EngineObject::close>>),
    };
    napi_value constructor = nullptr;
    if (napi_define_class(env, "Engine", NAPI_AUTO_LENGTH, entry<construct>, nullptr, std::size(methods), methods,
                          &constructor) != napi_ok)
      throw Napi::Error::New(env);
    return constructor;
  }

  EngineObject(Napi::Env env, EngineOptions options)
      : env_(env),
        flaggedOnly_(options.settings.flaggedOnly),
        readInPlace_(options.readInPlace),
        // Results return in one call for all that is ready, so that a busy engine rarely wakes the event loop.
        wake_(std::make_unique<Wake>(env, woken, this)),
        engine_(std::make_unique<Engine>(
            std::move(options.settings), [this](std::shared_ptr<Task> task) { ready(*task); }, std::move(options.pool))) {
    napi_add_env_cleanup_hook(env, cleanUp, this);
  }
  EngineObject(const EngineObject&) = delete;
  EngineObject& operator=(const EngineObject&) = delete;
  ~EngineObject() {
    napi_remove_env_cleanup_hook(env_, cleanUp, this);
    stop();
  }

 private:
  static Napi::Value construct(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!info.IsConstructCall())
      throw coded<Napi::TypeError>(env, "Class constructor Engine cannot be invoked without 'new'", error_code::kInvalidCall);
    auto object = std::make_unique<EngineObject>(env, engineOptions(info[0]));
    if (napi_wrap(env, info.This(), object.get(), finalize, nullptr, nullptr) != napi_ok) throw Napi::Error::New(env);
    object.release();
    return info.This();
  }

  /// Calls `method` on the object that `this` is.
  template <Napi::Value (EngineObject::*method)(const Napi::CallbackInfo&)>
  static Napi::Value on(const Napi::CallbackInfo& info) {
    void* self = nullptr;
    if (napi_unwrap(info.Env(), info.This(), &self) != napi_ok)
      throw coded<Napi::TypeError>(info.Env(), "Illegal invocation", error_code::kInvalidCall);
    return (static_cast<EngineObject*>(self)->*method)(info);
  }

  /// Called when the JavaScript object is gone.
  static void finalize(napi_env, void* data, void*) {
    auto* self = static_cast<EngineObject*>(data);
    self->gone_ = true;
    if (self->calls_.empty()) delete self;
  }

  /// Called when the environment ends: nobody waits for anything any more.
  static void cleanUp(void* data) {
    auto* self = static_cast<EngineObject*>(data);
    self->stop();
    if (self->gone_) delete self;
  }

  static void woken(napi_env env, napi_value, void* self, void*) {
    // Without an environment, the object may be gone, because the environment is ending.
    if (env) static_cast<EngineObject*>(self)->settle(env);
  }

  Napi::Value process(const Napi::CallbackInfo& info) {
    const otlp::Signal signal = signalArgument(info[0], "signal");
    std::string tenant = textArgument(info[1], "tenant", kLongestTenant);
    const Bytes bytes = bytesArgument(info[2], "request");
    const std::uint64_t received = receivedArgument(info[3]);
    const bool silent = silentArgument(info[4]);
    return submit([&](Call& call) {
      call.job->receivedNanos = received;
      call.job->silent = silent;
      call.job->signal = signal;
      call.job->tenant = std::move(tenant);
      call.request = Napi::Persistent(info[2].As<Napi::Uint8Array>());
      call.size = bytes.size();
    });
  }

  Napi::Value advance(const Napi::CallbackInfo& info) {
    const double ms = info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : 0;
    if (!(ms >= 1 && ms <= kLongestAdvance)) throw std::out_of_range("ms must be a number from 1 to 60000");
    if (!info[1].IsArray()) throw std::invalid_argument("heard must be an array of tenants");
    const auto tenants = info[1].As<Napi::Array>();
    const std::uint32_t count = tenants.Length();
    if (count > kMostTenants) throw std::out_of_range("heard must name at most " + std::to_string(kMostTenants) + " tenants");
    std::vector<std::string> heard;
    for (std::uint32_t i = 0; i < count; ++i) {
      const Napi::HandleScope scope(env_);
      heard.push_back(textArgument(tenants.Get(i), "heard[" + std::to_string(i) + "]", kLongestTenant));
    }
    const std::uint64_t received = receivedArgument(info[2]);
    const bool silent = silentArgument(info[3]);
    return submit([&](Call& call) {
      call.job->receivedNanos = received;
      call.job->silent = silent;
      call.job->passed = static_cast<std::uint64_t>(ms * 1e6);
      call.job->heard = std::move(heard);
      tellsFindings(call);
    });
  }

  Napi::Value observeTime(const Napi::CallbackInfo& info) {
    std::string tenant = textArgument(info[0], "tenant", kLongestTenant);
    const std::uint64_t time = timeArgument(info[1], "unixNanos");
    const std::uint64_t received = receivedArgument(info[2]);
    const bool silent = silentArgument(info[3]);
    return submit([&](Call& call) {
      call.job->receivedNanos = received;
      call.job->silent = silent;
      call.job->told = time;
      call.job->tenant = std::move(tenant);
      tellsFindings(call);
    });
  }

  /// Makes the promise resolve to what the call finds.
  static void tellsFindings(Call& call) {
    call.result = [job = call.job.get()](Napi::Env env) {
      auto result = Napi::Object::New(env);
      tell(env, *job, result);
      return result;
    };
  }

  Napi::Value checkpoint(const Napi::CallbackInfo& info) {
    const std::string of = textArgument(info[0], "of", 16);
    if (of != "changes" && of != "all" && of != "copy")
      throw std::invalid_argument("of must be \"changes\", \"all\" or \"copy\"");
    if (!engine_ || closing_) throw closed(env_);
    if (checkpoint_) throw coded<Napi::Error>(env_, "a checkpoint is being read already", error_code::kInvalidCall);
    checkpoint_ = engine_->checkpoint(of == "copy"  ? CheckpointOf::Copy
                                      : of == "all" ? CheckpointOf::All
                                                    : CheckpointOf::Changes);
    checkpointBegun_ = false;
    return submit([&](Call& call) {
      call.job->visit = [own = checkpoint_](std::uint32_t number, Shard& shard) { own->begin(number, shard); };
      call.job->visitOrdered = [own = checkpoint_](const auto&... ordered) { own->begin(ordered...); };
      call.job->visitFinished = [own = checkpoint_](const auto&... finished) { own->begin(finished...); };
      call.result = [this](Napi::Env env) {
        checkpointBegun_ = true;
        return env.Undefined();
      };
    });
  }

  Napi::Value checkpointPiece(const Napi::CallbackInfo&) {
    requireCheckpoint();
    return submit([&](Call& call) {
      call.job->urgent = true;
      call.job->visit = [own = checkpoint_](std::uint32_t number, Shard& shard) { own->step(number, shard); };
      auto bytes = std::make_shared<std::vector<std::uint8_t>>();
      call.job->complete = [own = checkpoint_, bytes] { *bytes = own->take(); };
      call.result = [bytes](Napi::Env env) { return bufferOf(env, std::move(*bytes)); };
    });
  }

  Napi::Value endCheckpoint(const Napi::CallbackInfo&) {
    requireCheckpoint();
    return submit([&](Call& call) {
      call.job->visit = [own = std::move(checkpoint_)](std::uint32_t, Shard& shard) { own->end(shard); };
      call.result = [](Napi::Env env) { return env.Undefined(); };
    });
  }

  void requireCheckpoint() const {
    if (!engine_ || closing_) throw closed(env_);
    if (!checkpoint_ || !checkpointBegun_) throw coded<Napi::Error>(env_, "no checkpoint has begun", error_code::kInvalidCall);
  }

  Napi::Value statistics(const Napi::CallbackInfo& info) {
    const auto most = static_cast<std::size_t>(integerArgument(info[0], "most", 1, std::numeric_limits<std::uint32_t>::max()));
    return submit([&](Call& call) {
      auto page = std::make_shared<StatisticsPage>(most);
      call.job->visit = [page](std::uint32_t number, Shard& shard) { page->take(number, shard); };
      joined(call, page);
    });
  }

  /// Makes the promise resolve to the joined parts.
  template <class Parts>
  static void joined(Call& call, const std::shared_ptr<Parts>& parts) {
    auto bytes = std::make_shared<std::vector<std::uint8_t>>();
    call.job->complete = [parts, bytes] { *bytes = parts->join(); };
    call.result = [bytes](Napi::Env env) { return bufferOf(env, std::move(*bytes)); };
  }

  Napi::Value feedback(const Napi::CallbackInfo& info) {
    std::string tenant = textArgument(info[0], "tenant", kLongestTenant);
    std::string anomalyId = textArgument(info[1], "anomalyId", kLongestAnomalyId);
    const std::string kind = textArgument(info[2], "kind", 16);
    if (kind != "accept" && kind != "false") throw std::invalid_argument("kind must be \"accept\" or \"false\"");
    return submit([&](Call& call) {
      auto word = std::make_shared<FeedbackVisit>(std::move(tenant), std::move(anomalyId),
                                                  kind == "accept" ? Feedback::Accept : Feedback::FalseAlarm);
      call.job->visit = [word](std::uint32_t, Shard& shard) { word->visit(shard); };
      call.result = [word](Napi::Env env) {
        auto result = Napi::Object::New(env);
        result.Set("found", word->found());
        result.Set("ended", word->ended().empty() ? env.Null() : copyOf(env, word->ended()));
        return result;
      };
    });
  }

  Napi::Value tolerate(const Napi::CallbackInfo& info) {
    std::string tenant = textArgument(info[0], "tenant", kLongestTenant);
    std::string stream = textArgument(info[1], "stream", kLongestStream);
    const double number = integerArgument(info[2], "channel", 1, UINT8_MAX);
    const double score = numberArgument(info[3], "score", 0, kLargestScore);
    const auto channel =
        std::ranges::find(kChannels, number, [](const ChannelInfo& each) { return static_cast<double>(each.number); });
    if (channel == std::end(kChannels)) throw std::invalid_argument("channel must be the number of a channel");
    const auto id = static_cast<ChannelId>(channel - std::begin(kChannels));
    return submit([&](Call& call) {
      auto word = std::make_shared<ToleranceVisit>(std::move(tenant), std::move(stream), id, score);
      call.job->visit = [word](std::uint32_t, Shard& shard) { word->visit(shard); };
      call.result = [word](Napi::Env env) { return Napi::Boolean::New(env, word->found()); };
    });
  }

  Napi::Value setPolicies(const Napi::CallbackInfo& info) {
    auto policies = policiesArgument(info[0], "policies");
    return submit([&](Call& call) {
      call.job->visit = [policies = std::move(policies)](std::uint32_t, Shard& shard) { shard.setPolicies(policies); };
      call.result = [](Napi::Env env) { return env.Undefined(); };
    });
  }

  Napi::Value interrupt(const Napi::CallbackInfo& info) {
    const bool resumes = booleanArgument(info[0], "resumes");
    return submit([&](Call& call) {
      call.job->interrupts = true;
      call.job->visit = [resumes](std::uint32_t, Shard& shard) { shard.interrupt(resumes); };
      call.result = [](Napi::Env env) { return env.Undefined(); };
    });
  }

  Napi::Value restore(const Napi::CallbackInfo& info) {
    const Bytes bytes = bytesArgument(info[0], "piece");
    requireFresh();
    auto piece = std::make_shared<std::vector<std::uint8_t>>(bytes.begin(), bytes.end());
    if (!restoration_) restoration_ = std::make_shared<Restoration>();
    return submitVisit([&](Call& call) {
      call.job->visit = [own = restoration_, piece](std::uint32_t number, Shard& shard) { own->take(number, shard, *piece); };
      call.result = [](Napi::Env env) { return env.Undefined(); };
    });
  }

  Napi::Value completeRestore(const Napi::CallbackInfo& info) {
    const bool tracks = booleanArgument(info[0], "tracks");
    requireFresh();
    if (!restoration_) restoration_ = std::make_shared<Restoration>();
    return submitVisit([&](Call& call) {
      // Once all pieces are taken.
      call.job->visit = [](std::uint32_t, Shard&) {};
      auto refusal = std::make_shared<std::string>();
      call.job->complete = [engine = engine_.get(), own = restoration_, refusal, tracks] {
        *refusal = engine->completeRestore(*own, tracks);
      };
      call.result = [this, refusal](Napi::Env env) -> Napi::Value {
        restoration_.reset();
        return Napi::String::New(env, *refusal);
      };
    });
  }

  void requireFresh() const {
    if (!engine_ || closing_) throw closed(env_);
    if (submitted_)
      throw coded<Napi::Error>(env_, "restore must be called before the engine's first request", error_code::kEngineStarted);
  }

  /// @param fill prepares a new call. Arguments have been read before: JavaScript may close the engine there.
  template <class Fill>
  Napi::Value submit(Fill&& fill) {
    if (!engine_ || closing_) throw closed(env_);
    if (restoration_)
      throw coded<Napi::Error>(env_, "the engine is being restored: call completeRestore first", error_code::kInvalidCall);
    const Napi::Value promise = submitVisit(std::forward<Fill>(fill));
    submitted_ = true;
    return promise;
  }

  /// The same for what an engine that is being restored does.
  template <class Fill>
  Napi::Value submitVisit(Fill&& fill) {
    Call& call = calls_.emplace_back(env_);
    call.self = std::prev(calls_.end());
    const Napi::Promise promise = call.deferred.Promise();
    try {
      call.job->call = &call;
      fill(call);
      waiting_.push_back(&call);
    } catch (...) {
      calls_.pop_back();
      throw;
    }
    if (calls_.size() == 1) wake_->hold(true);
    handOver();
    rest();
    return promise;
  }

  /// Passes calls on to the engine in their order, as far as their requests may be copied.
  void handOver() {
    while (!waiting_.empty()) {
      Call& call = *waiting_.front();
      if (!readInPlace_ && copied_ > 0 && copied_ + call.size > kMostCopied) return;
      waiting_.pop_front();
      try {
        if (!call.request.IsEmpty()) readRequest(call);
        engine_->submit(call.job);
      } catch (...) {
        reject(call, std::current_exception());
        finish(call);
      }
    }
  }

  void readRequest(Call& call) {
    const Bytes bytes = bytesArgument(call.request.Value(), "request");
    if (bytes.size() != call.size) throw std::invalid_argument("request was detached or resized before it was read");
    if (bytes.size() > kLongestRequest) throw std::length_error("request is longer than 2 GiB");
    Job& job = *call.job;
    job.request = bytes;
    if (readInPlace_) return;
    job.copy = {std::make_unique_for_overwrite<std::uint8_t[]>(bytes.size()), bytes.size()};
    if (!bytes.empty()) std::memcpy(job.copy.data.get(), bytes.data(), bytes.size());
    job.request = job.copy;
    copied_ += job.copy.size;
  }

  /// Called on an engine's thread. The call keeps the task alive.
  void ready(Task& task) noexcept {
    auto& job = static_cast<Job&>(task);
    if (job.complete && job.failure.empty()) {
      try {
        job.complete();
      } catch (const std::exception& error) {
        job.fail(error);
      }
    }
    {
      std::lock_guard lock(mutex_);
      (last_ ? last_->next : first_) = &job;
      if (std::exchange(last_, &job)) return;
    }
    wake_->call();
  }

  void settle(Napi::Env env) noexcept {
    Job* job;
    {
      std::lock_guard lock(mutex_);
      job = std::exchange(first_, nullptr);
      last_ = nullptr;
    }
    while (job) {
      Job* const next = job->next;
      settle(env, *job->call);
      finish(*job->call);
      job = next;
    }
    handOver();
    rest();
  }

  void settle(Napi::Env env, Call& call) const noexcept {
    const Napi::HandleScope scope(env);
    try {
      const Job& job = *call.job;
      if (job.cancelled) throw cancelled(env);
      if (job.malformed) throw malformed(env, job);
      if (!job.failure.empty()) throw coded<Napi::Error>(env, "the engine failed: " + job.failure, error_code::kInternal);
      call.deferred.Resolve(call.result ? call.result(env) : outcome(env, call));
    } catch (...) {
      reject(call, std::current_exception());
    }
  }

  void reject(const Call& call, const std::exception_ptr& reason) const noexcept try {
    call.deferred.Reject(toError(env_, reason).Value());
  } catch (...) {
    // The environment is ending, and nobody waits for the promise.
  }

  void finish(Call& call) {
    copied_ -= call.job->copy.size;
    calls_.erase(call.self);
  }

  /// Releases the event loop and finishes closing, once nothing is pending.
  void rest() {
    if (!calls_.empty()) return;
    if (wake_) wake_->hold(false);
    if (closing_) finishClose();
    if (gone_) delete this;
  }

  Napi::Value outcome(Napi::Env env, Call& call) const {
    Job& job = *call.job;
    auto result = Napi::Object::New(env);
    if (job.output.data) {
      result.Set("forward", bufferOf(env, std::move(job.output)));
    } else if (flaggedOnly_ || job.silent) {
      result.Set("forward", env.Null());
    } else {
      result.Set("forward", call.request.Value());
    }
    result.Set("records", job.records);
    result.Set("flagged", job.flagged);
    result.Set("limited", job.limited);
    result.Set("unjudged", job.unjudged.load());
    result.Set("redated", job.redated.load());
    result.Set("excluded", job.excluded.load());
    result.Set("returned", job.returned.load());
    result.Set("abridged", job.abridged);
    tell(env, job, result);
    if (!job.scores.empty()) {
      auto scores = Napi::Float64Array::New(env, job.scores.size());
      std::copy(job.scores.begin(), job.scores.end(), scores.Data());
      result.Set("scores", scores);
      auto windows = Napi::Array::New(env, job.windows.size());
      for (std::uint32_t i = 0; i < job.windows.size(); ++i) windows.Set(i, windowOf(env, job.windows[i]));
      result.Set("windows", windows);
    }
    return result;
  }

  /// Sets what a task found, beside what became of its records.
  static void tell(Napi::Env env, const Task& task, Napi::Object result) {
    result.Set("unreported", task.unreported);
    result.Set("evidenceLeftOut", task.evidenceLeftOut.load());
    result.Set("anomalies", messagesOf(env, task.anomalies));
    if (!task.notable.empty()) result.Set("notable", messagesOf(env, task.notable));
    if (!task.page.empty()) result.Set("evidence", copyOf(env, task.page));
    if (!task.calls.empty()) result.Set("calls", copyOf(env, task.calls));
  }

  static Napi::Array messagesOf(Napi::Env env, const std::vector<std::vector<std::uint8_t>>& messages) {
    auto array = Napi::Array::New(env, messages.size());
    for (std::uint32_t i = 0; i < messages.size(); ++i) array.Set(i, copyOf(env, messages[i]));
    return array;
  }

  static Napi::Object windowOf(Napi::Env env, const WindowReport& report) {
    auto window = Napi::Object::New(env);
    window.Set("record", report.record);
    window.Set("stream", report.stream);
    window.Set("score", report.verdict.score);
    window.Set("pValue", report.verdict.pValue);
    window.Set("flagged", report.verdict.flagged);
    window.Set("channel", static_cast<std::uint32_t>(infoOf(report.verdict.channel).number));
    window.Set("compressionRatio", report.metrics.compressionRatio);
    window.Set("deltaBits", report.metrics.deltaBits);
    window.Set("entropy", report.metrics.entropy);
    window.Set("ncd", report.metrics.ncd);
    return window;
  }

  Napi::Value stats(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const EngineStats stats = engine_ ? engine_->stats() : EngineStats{};
    auto result = Napi::Object::New(env);
    result.Set("streams", static_cast<double>(stats.streams));
    result.Set("learning", static_cast<double>(stats.learning));
    result.Set("evicted", static_cast<double>(stats.evicted));
    result.Set("bytes", static_cast<double>(stats.bytes));
    result.Set("untold", static_cast<double>(stats.untold));
    result.Set("withheldByStreams", static_cast<double>(stats.withheldByStreams));
    result.Set("withheldByGroups", static_cast<double>(stats.withheldByGroups));
    result.Set("withheldByTenants", static_cast<double>(stats.withheldByTenants));
    result.Set("withheldByProcess", static_cast<double>(stats.withheldByProcess));
    result.Set("graphPlaces", static_cast<double>(stats.graphPlaces));
    result.Set("graphCalls", static_cast<double>(stats.graphCalls));
    result.Set("graphSpans", static_cast<double>(stats.graphSpans));
    result.Set("graphGaveWay", static_cast<double>(stats.graphGaveWay));
    result.Set("privacy", engine_ ? countsOf(env, engine_->privacy()) : Napi::Object::New(env));
    result.Set("pending", static_cast<double>(calls_.size()));
    return result;
  }

  Napi::Value cancel(const Napi::CallbackInfo& info) {
    if (engine_) engine_->cancel();
    // These requests are not with the engine yet; everything else that waits keeps its order.
    std::deque<Call*> kept;
    for (Call* call : std::exchange(waiting_, {})) {
      if (call->request.IsEmpty()) {
        kept.push_back(call);
      } else {
        call->job->cancelled = true;
        settle(env_, *call);
        finish(*call);
      }
    }
    waiting_ = std::move(kept);
    handOver();
    rest();
    return info.Env().Undefined();
  }

  /// Closes the engine. Each call has its own promise; all resolve when the engine has stopped.
  Napi::Value close(const Napi::CallbackInfo& info) {
    const auto deferred = Napi::Promise::Deferred::New(info.Env());
    closers_.push_back(deferred);
    closing_ = true;
    if (calls_.empty()) finishClose();
    return deferred.Promise();
  }

  void finishClose() noexcept {
    stop();
    for (const auto& deferred : std::exchange(closers_, {})) {
      try {
        deferred.Resolve(env_.Undefined());
      } catch (...) {
        // The environment is ending.
      }
    }
  }

  /// Drops what is pending.
  void stop() {
    if (!engine_) return;
    engine_->abandon();
    engine_.reset();
    checkpoint_.reset();
    restoration_.reset();
    wake_.reset();
    first_ = last_ = nullptr;
    waiting_.clear();
    calls_.clear();
    copied_ = 0;
  }

  const Napi::Env env_;
  const bool flaggedOnly_;
  const bool readInPlace_;
  /// Calls whose promises have not settled, and those of them that are not with the engine yet.
  std::list<Call> calls_;
  std::deque<Call*> waiting_;
  std::size_t copied_ = 0;
  std::vector<Napi::Promise::Deferred> closers_;
  /// The checkpoint that is being read, and whether its first visit is over; and the restoration that is not complete.
  std::shared_ptr<Checkpoint> checkpoint_;
  bool checkpointBegun_ = false;
  std::shared_ptr<Restoration> restoration_;
  bool closing_ = false, submitted_ = false, gone_ = false;
  /// Jobs that are done but not settled.
  std::mutex mutex_;
  Job* first_ = nullptr;
  Job* last_ = nullptr;
  std::unique_ptr<Wake> wake_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace

void exportEngine(Napi::Object exports) { exports.Set("Engine", EngineObject::define(exports.Env())); }

}  // namespace driftlock::binding
