#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include "binding/binding.hpp"
#include "stream/engine.hpp"

namespace driftlock::binding {
namespace {

/// In milliseconds: what a clock takes at once.
constexpr double kLongestAdvance = 60'000;

/// A task and what JavaScript waits for.
struct Job : Task {
  explicit Job(Napi::Env env) : deferred(Napi::Promise::Deferred::New(env)) {}

  Napi::Promise::Deferred deferred;
  /// Of a request: keeps its memory in place.
  Napi::Reference<Napi::Uint8Array> buffer;
  /// Of a visit: what is left to do on the engine's last thread, and what the promise then resolves to.
  std::function<void()> complete;
  std::function<Napi::Value(Napi::Env)> result;
};

Napi::Value copyOf(Napi::Env env, const std::vector<std::uint8_t>& bytes) {
  return Napi::Buffer<std::uint8_t>::Copy(env, bytes.data(), bytes.size());
}

/// A Buffer of the vector's own memory.
Napi::Value bufferOf(Napi::Env env, std::vector<std::uint8_t> bytes) {
  auto owner = std::make_unique<std::vector<std::uint8_t>>(std::move(bytes));
  auto* held = owner.release();
  return Napi::Buffer<std::uint8_t>::NewOrCopy(
      env, held->data(), held->size(), [](Napi::Env, std::uint8_t*, std::vector<std::uint8_t>* owned) { delete owned; }, held);
}

template <typename Value>
Value get(const Napi::Object& options, const char* name) {
  return options.Get(name).As<Value>();
}

std::uint32_t number(const Napi::Object& options, const char* name) {
  return get<Napi::Number>(options, name).Uint32Value();
}

Settings settingsOf(const Napi::Object& options) {
  Settings settings;
  const auto streamBy = get<Napi::Array>(options, "streamBy");
  for (std::uint32_t i = 0; i < streamBy.Length(); ++i) settings.streamBy.push_back(streamBy.Get(i).ToString());
  settings.baselineRecords = number(options, "baselineRecords");
  settings.dictionarySize = number(options, "dictionarySize");
  settings.acceptAfterNanos = static_cast<std::uint64_t>(get<Napi::Number>(options, "acceptAfterMs").DoubleValue() * 1e6);
  settings.windowRecords = number(options, "windowRecords");
  settings.windowHop = number(options, "windowHop");
  settings.alarmsPerStreamPerDay = get<Napi::Number>(options, "alarmsPerStreamPerDay").DoubleValue();
  settings.alarmsPerProcessPerDay = get<Napi::Number>(options, "alarmsPerProcessPerDay").DoubleValue();
  const std::string codec = get<Napi::String>(options, "codec");
  const auto name = codecNamed(codec);
  if (!name) throw Napi::TypeError::New(options.Env(), "codec: \"" + codec + "\" is none of openzl, zstd, lz4, gzip");
  settings.codec = *name;
  settings.permutations = number(options, "permutations");
  bool lossless = false;
  settings.seed = get<Napi::BigInt>(options, "seed").Uint64Value(&lossless);
  settings.threads = number(options, "threads");
  settings.maxStreams = number(options, "maxStreams");
  settings.streamsPerTenant = number(options, "streamsPerTenant");
  settings.flaggedOnly = get<Napi::Boolean>(options, "flaggedOnly");
  settings.scores = get<Napi::Boolean>(options, "scores");
  if (settings.baselineRecords < 2 || settings.windowRecords < 1 || settings.windowHop < 1 || settings.threads < 1 ||
      settings.maxStreams < 1 || !(settings.alarmsPerStreamPerDay > 0) || !(settings.alarmsPerProcessPerDay >= 0)) {
    throw Napi::RangeError::New(options.Env(), "baselineRecords (>= 2), windowRecords, windowHop, threads, maxStreams and "
                                               "alarmsPerStreamPerDay must be positive, alarmsPerProcessPerDay not negative");
  }
  return settings;
}

otlp::Signal signalOf(const Napi::Value& value) {
  const std::string name = value.ToString();
  if (name == "logs") return otlp::Signal::Logs;
  if (name == "traces") return otlp::Signal::Traces;
  if (name == "metrics") return otlp::Signal::Metrics;
  throw Napi::TypeError::New(value.Env(), "signal: \"" + name + "\" is none of logs, traces, metrics");
}

Napi::Error malformed(Napi::Env env, const otlp::WireError& error) {
  auto failure = Napi::Error::New(env, std::string(error.field) + ": " + error.what + ", at byte " + std::to_string(error.offset));
  failure.Set("code", Napi::String::New(env, "ERR_OTLP_MALFORMED"));
  return failure;
}

Napi::Error cancelled(Napi::Env env) {
  auto failure = Napi::Error::New(env, "the request was given up before it was judged whole");
  failure.Set("code", Napi::String::New(env, "ERR_ENGINE_CANCELLED"));
  return failure;
}

class EngineObject : public Napi::ObjectWrap<EngineObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Engine",
                       {InstanceMethod<&EngineObject::process>("process"), InstanceMethod<&EngineObject::advance>("advance"),
                        InstanceMethod<&EngineObject::stats>("stats"),
                        InstanceMethod<&EngineObject::snapshot>("snapshot"), InstanceMethod<&EngineObject::restore>("restore"),
                        InstanceMethod<&EngineObject::feedback>("feedback"), InstanceMethod<&EngineObject::figures>("figures"),
                        InstanceMethod<&EngineObject::cancel>("cancel"), InstanceMethod<&EngineObject::close>("close")});
  }

  explicit EngineObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<EngineObject>(info) {
    const Napi::Env env = info.Env();
    if (!info[0].IsObject()) throw Napi::TypeError::New(env, "options: an object is needed");
    Settings settings = settingsOf(info[0].As<Napi::Object>());
    flaggedOnly_ = settings.flaggedOnly;
    // Results come back in one call for all that is ready, so that a busy engine costs few wake-ups of the event loop.
    wake_ = Napi::ThreadSafeFunction::New(env, Napi::Function::New(env, [](const Napi::CallbackInfo&) {}), "driftlock", 0, 1);
    wake_.Unref(env);
    engine_ = std::make_unique<Engine>(std::move(settings), [this](std::shared_ptr<Task> task) { ready(std::move(task)); });
    napi_add_env_cleanup_hook(env, cleanUp, this);
  }

  void Finalize(Napi::Env env) override {
    napi_remove_env_cleanup_hook(env, cleanUp, this);
    stop();
  }

 private:
  static void cleanUp(void* self) { static_cast<EngineObject*>(self)->stop(); }

  Napi::Value process(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (info.Length() < 3 || !info[2].IsTypedArray() || info[2].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
      throw Napi::TypeError::New(env, "request: a Uint8Array is needed");
    }
    const otlp::Signal signal = signalOf(info[0]);
    auto bytes = info[2].As<Napi::Uint8Array>();
    auto job = std::make_shared<Job>(env);
    job->buffer = Napi::Persistent(bytes);
    job->signal = signal;
    job->tenant = info[1].ToString();
    job->request = {bytes.Data(), bytes.ByteLength()};
    return submit(env, std::move(job));
  }

  Napi::Value submit(Napi::Env env, std::shared_ptr<Job> job) {
    if (!engine_ || closing_) throw Napi::Error::New(env, "the engine is closed");
    const Napi::Promise promise = job->deferred.Promise();
    submitted_ = true;
    if (pending_++ == 0) {
      wake_.Ref(env);
      Ref();
    }
    engine_->submit(std::move(job));
    return promise;
  }

  Napi::Value advance(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const double ms = info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : 0;
    if (!(ms >= 1 && ms <= kLongestAdvance)) throw Napi::RangeError::New(env, "ms: a number from 1 to 60000 is needed");
    if (!info[1].IsArray()) throw Napi::TypeError::New(env, "heard: an array of tenants is needed");
    auto job = std::make_shared<Job>(env);
    job->passed = static_cast<std::uint64_t>(ms * 1e6);
    const auto heard = info[1].As<Napi::Array>();
    for (std::uint32_t i = 0; i < heard.Length(); ++i) job->heard.push_back(heard.Get(i).ToString());
    auto* told = job.get();
    job->result = [told](Napi::Env env) { return anomaliesOf(env, *told); };
    return submit(env, std::move(job));
  }

  Napi::Value snapshot(const Napi::CallbackInfo& info) {
    auto job = std::make_shared<Job>(info.Env());
    auto parts = std::make_shared<Snapshot>();
    job->visit = [parts](std::uint32_t number, Shard& shard) { parts->take(number, shard); };
    job->visitOrdered = [parts](const Quota& quota, const Clocks& clocks) { parts->take(quota, clocks); };
    job->visitBudget = [parts](const ProcessBudget& budget) { parts->take(budget); };
    auto joined = std::make_shared<std::vector<std::uint8_t>>();
    job->complete = [parts, joined] { *joined = parts->join(); };
    job->result = [joined](Napi::Env env) { return bufferOf(env, std::move(*joined)); };
    return submit(info.Env(), std::move(job));
  }

  Napi::Value figures(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!info[0].IsNumber() || info[0].As<Napi::Number>().Uint32Value() < 1) throw Napi::TypeError::New(env, "most: a number from 1 on is needed");
    auto job = std::make_shared<Job>(env);
    auto page = std::make_shared<FiguresPage>(info[0].As<Napi::Number>().Uint32Value());
    job->visit = [page](std::uint32_t number, Shard& shard) { page->take(number, shard); };
    auto joined = std::make_shared<std::vector<std::uint8_t>>();
    job->complete = [page, joined] { *joined = page->join(); };
    job->result = [joined](Napi::Env env) { return bufferOf(env, std::move(*joined)); };
    return submit(env, std::move(job));
  }

  Napi::Value feedback(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const std::string kind = info[2].ToString();
    if (kind != "accept" && kind != "false") throw Napi::TypeError::New(env, "kind: \"" + kind + "\" is none of accept, false");
    auto word = std::make_shared<FeedbackVisit>(info[0].ToString(), info[1].ToString(),
                                                kind == "accept" ? Feedback::Accept : Feedback::FalseAlarm);
    auto job = std::make_shared<Job>(env);
    job->visit = [word](std::uint32_t, Shard& shard) { word->visit(shard); };
    job->result = [word](Napi::Env env) {
      auto result = Napi::Object::New(env);
      result.Set("found", word->found());
      result.Set("ended", word->ended().empty() ? env.Null() : copyOf(env, word->ended()));
      return result;
    };
    return submit(env, std::move(job));
  }

  Napi::Value restore(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!info[0].IsTypedArray() || info[0].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
      throw Napi::TypeError::New(env, "snapshot: a Uint8Array is needed");
    }
    if (!engine_ || submitted_) throw Napi::Error::New(env, "restore: only before the engine's first request");
    const auto bytes = info[0].As<Napi::Uint8Array>();
    try {
      return Napi::Boolean::New(env, engine_->restore({bytes.Data(), bytes.ByteLength()}));
    } catch (const std::bad_alloc&) {
      throw Napi::Error::New(env, "restore: out of memory");
    }
  }

  /// On an engine's thread.
  void ready(std::shared_ptr<Task> task) {
    if (auto& job = static_cast<Job&>(*task); job.complete && job.failure.empty()) {
      try {
        job.complete();
      } catch (const std::exception& error) {
        job.failure = error.what();
      }
    }
    bool first;
    {
      std::lock_guard lock(mutex_);
      first = done_.empty();
      done_.push_back(std::move(task));
    }
    if (first) wake_.NonBlockingCall([this](Napi::Env env, Napi::Function) { settle(env); });
  }

  void settle(Napi::Env env) {
    std::vector<std::shared_ptr<Task>> tasks;
    {
      std::lock_guard lock(mutex_);
      tasks.swap(done_);
    }
    for (auto& task : tasks) {
      const Napi::HandleScope scope(env);
      auto& job = static_cast<Job&>(*task);
      if (job.cancelled) {
        job.deferred.Reject(cancelled(env).Value());
      } else if (job.result && job.failure.empty()) {
        job.deferred.Resolve(job.result(env));
      } else if (job.malformed) {
        job.deferred.Reject(malformed(env, job.error).Value());
      } else if (!job.failure.empty()) {
        job.deferred.Reject(Napi::Error::New(env, "the engine failed: " + job.failure).Value());
      } else {
        job.deferred.Resolve(outcome(env, job));
      }
      job.buffer.Reset();
    }
    pending_ -= tasks.size();
    tasks.clear();
    if (pending_ > 0) return;
    wake_.Unref(env);
    Unref();
    if (closing_) finishClose();
  }

  Napi::Value outcome(Napi::Env env, Job& job) {
    auto result = Napi::Object::New(env);
    if (job.output.data) {
      std::uint8_t* data = job.output.data.release();
      result.Set("forward", Napi::Buffer<std::uint8_t>::NewOrCopy(env, data, job.output.size,
                                                                  [](Napi::Env, std::uint8_t* bytes) { delete[] bytes; }));
    } else if (flaggedOnly_) {
      result.Set("forward", env.Null());
    } else {
      result.Set("forward", job.buffer.Value());
    }
    result.Set("records", job.records);
    result.Set("flagged", job.flagged);
    result.Set("limited", job.limited);
    result.Set("anomalies", anomaliesOf(env, job));
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

  static Napi::Array anomaliesOf(Napi::Env env, const Task& task) {
    auto anomalies = Napi::Array::New(env, task.anomalies.size());
    for (std::uint32_t i = 0; i < task.anomalies.size(); ++i) anomalies.Set(i, copyOf(env, task.anomalies[i]));
    return anomalies;
  }

  static Napi::Object windowOf(Napi::Env env, const WindowReport& report) {
    auto window = Napi::Object::New(env);
    window.Set("record", report.record);
    window.Set("stream", report.stream);
    window.Set("score", report.verdict.score);
    window.Set("pValue", report.verdict.pValue);
    window.Set("flagged", report.verdict.flagged);
    window.Set("channel", static_cast<std::uint32_t>(shown(report.verdict.channel)));
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
    result.Set("withheldByProcess", static_cast<double>(stats.withheldByProcess));
    result.Set("pending", static_cast<double>(pending_));
    return result;
  }

  Napi::Value cancel(const Napi::CallbackInfo& info) {
    if (engine_) engine_->cancel();
    return info.Env().Undefined();
  }

  Napi::Value close(const Napi::CallbackInfo& info) {
    if (!closed_) closed_ = std::make_unique<Napi::Promise::Deferred>(Napi::Promise::Deferred::New(info.Env()));
    const Napi::Promise promise = closed_->Promise();
    closing_ = true;
    if (pending_ == 0) finishClose();
    return promise;
  }

  void finishClose() {
    stop();
    closed_->Resolve(Env().Undefined());
  }

  void stop() {
    if (!engine_) return;
    engine_->abandon();
    engine_.reset();
    // What is still here was never told: the process is ending.
    done_.clear();
    wake_.Release();
  }

  Napi::ThreadSafeFunction wake_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Task>> done_;
  std::size_t pending_ = 0;
  bool flaggedOnly_ = false;
  bool closing_ = false, submitted_ = false;
  std::unique_ptr<Napi::Promise::Deferred> closed_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace

void exportEngine(Napi::Env env, Napi::Object exports) { exports.Set("Engine", EngineObject::define(env)); }

}  // namespace driftlock::binding
