#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "arguments.hpp"
#include "binding.hpp"
#include "cbad/chacha20.hpp"
#include "cbad/entropy.hpp"
#include "cbad/ncd.hpp"
#include "cbad/permutation.hpp"
#include "cbad/ratio.hpp"
#include "cbad/window_metrics.hpp"

namespace driftlock::binding {
namespace {

Napi::Value entropyOf(const Napi::CallbackInfo& info) {
  return guarded(info, [&] { return Napi::Number::New(info.Env(), entropy(bytesArgument(info[0], "bytes"))); });
}

Napi::Value compressionRatioOf(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    const auto codec = makeCodec(codecArgument(info[1], "codec"), levelArgument(info[2], "level"));
    return Napi::Number::New(info.Env(), compressionRatio(bytesArgument(info[0], "bytes"), *codec));
  });
}

/// A function of two texts, a codec and a level.
template <double (*measure)(Bytes, Bytes, const Codec&)>
Napi::Value ofTwo(const Napi::CallbackInfo& info, const char* first, const char* second) {
  return guarded(info, [&] {
    const auto codec = makeCodec(codecArgument(info[2], "codec"), levelArgument(info[3], "level"));
    return Napi::Number::New(info.Env(), measure(bytesArgument(info[0], first), bytesArgument(info[1], second), *codec));
  });
}

Napi::Value deltaBitsOf(const Napi::CallbackInfo& info) { return ofTwo<deltaBits>(info, "baseline", "window"); }
Napi::Value ncdOf(const Napi::CallbackInfo& info) { return ofTwo<ncd>(info, "a", "b"); }
Napi::Value ncdSizeMatchedOf(const Napi::CallbackInfo& info) { return ofTwo<ncdSizeMatched>(info, "baseline", "window"); }

Napi::Value windowMetricsOf(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    const auto codec = makeCodec(codecArgument(info[2], "codec"), levelArgument(info[3], "level"));
    const auto metrics = windowMetrics(bytesArgument(info[0], "baseline"), bytesArgument(info[1], "window"), *codec);
    auto result = Napi::Object::New(info.Env());
    result.Set("compressionRatio", metrics.compressionRatio);
    result.Set("baselineRatio", metrics.baselineRatio);
    result.Set("deltaBits", metrics.deltaBits);
    result.Set("entropy", metrics.entropy);
    result.Set("ncd", metrics.ncd);
    result.Set("ncdSizeMatched", metrics.ncdSizeMatched);
    return result;
  });
}

/// Copies of records, end to end: JavaScript may change or detach the originals while a worker reads.
class Records {
 public:
  Records(Napi::Value value, const std::string& name) {
    if (!value.IsArray()) throw std::invalid_argument(name + " must be an array of Uint8Array");
    const auto array = value.As<Napi::Array>();
    std::vector<std::size_t> ends;
    for (std::uint32_t i = 0; i < array.Length(); ++i) {
      const Napi::HandleScope scope(array.Env());
      const auto record = bytesArgument(array.Get(i), name + "[" + std::to_string(i) + "]");
      bytes_.insert(bytes_.end(), record.begin(), record.end());
      ends.push_back(bytes_.size());
    }
    std::size_t start = 0;
    for (const auto end : ends) {
      views_.emplace_back(bytes_.data() + start, end - start);
      start = end;
    }
  }

  std::span<const Bytes> views() const { return views_; }

 private:
  std::vector<std::uint8_t> bytes_;
  std::vector<Bytes> views_;
};

class PermutationWorker : public Napi::AsyncWorker {
 public:
  PermutationWorker(Napi::Promise::Deferred deferred, std::unique_ptr<const Records> baseline,
                    std::unique_ptr<const Records> window, std::unique_ptr<const Codec> codec, const PermutationOptions& options)
      : Napi::AsyncWorker(deferred.Env(), "driftlock.permutationTest"),
        deferred_(deferred),
        baseline_(std::move(baseline)),
        window_(std::move(window)),
        codec_(std::move(codec)),
        options_(options) {}

 protected:
  void Execute() override {
    try {
      result_ = permutationTest(baseline_->views(), window_->views(), *codec_, options_);
    } catch (...) {
      failure_ = std::current_exception();
    }
  }

  void OnOK() override {
    if (failure_) {
      deferred_.Reject(toError(Env(), failure_).Value());
      return;
    }
    auto result = Napi::Object::New(Env());
    result.Set("pValue", result_.pValue);
    result.Set("permutations", result_.permutations);
    result.Set("exceeding", result_.exceeding);
    result.Set("observed", result_.observed);
    deferred_.Resolve(result);
  }

 private:
  Napi::Promise::Deferred deferred_;
  std::unique_ptr<const Records> baseline_;
  std::unique_ptr<const Records> window_;
  std::unique_ptr<const Codec> codec_;
  PermutationOptions options_;
  PermutationResult result_;
  std::exception_ptr failure_;
};

Napi::Value permutationTestOf(const Napi::CallbackInfo& info) {
  const auto deferred = Napi::Promise::Deferred::New(info.Env());
  try {
    if (!info[2].IsObject()) throw std::invalid_argument("options must be an object");
    const auto given = info[2].As<Napi::Object>();
    constexpr double most = 1'000'000;
    PermutationOptions options;
    const auto count = [&](const char* name, double lowest) {
      return static_cast<std::uint32_t>(integerArgument(given.Get(name), std::string("options.") + name, lowest, most));
    };
    options.permutations = count("permutations", 1);
    options.block = count("block", 1);
    options.stopAfter = count("stopAfter", 0);
    const Napi::Value seed = given.Get("seed");
    if (!seed.IsBigInt()) throw std::invalid_argument("options.seed must be a bigint");
    bool lossless = false;
    options.seed = seed.As<Napi::BigInt>().Uint64Value(&lossless);
    if (!lossless) throw std::out_of_range("options.seed must be from 0 to 2^64 - 1");
    const auto name = codecArgument(given.Get("codec"), "options.codec");
    auto codec = makeCodec(name, levelArgument(given.Get("level"), "options.level"));
    auto baseline = std::make_unique<const Records>(info[0], "baseline");
    auto window = std::make_unique<const Records>(info[1], "window");
    // Deletes itself once it has settled the promise.
    (new PermutationWorker(deferred, std::move(baseline), std::move(window), std::move(codec), options))->Queue();
  } catch (...) {
    deferred.Reject(toError(info.Env(), std::current_exception()).Value());
  }
  return deferred.Promise();
}

Napi::Value chacha20Of(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    const auto counter =
        static_cast<std::uint32_t>(integerArgument(info[1], "counter", 0, std::numeric_limits<std::uint32_t>::max()));
    const auto length =
        static_cast<std::size_t>(integerArgument(info[3], "length", 0, std::numeric_limits<std::int32_t>::max()));
    const auto key = bytesArgument(info[0], "key");
    const auto nonce = bytesArgument(info[2], "nonce");
    const auto require = [](Bytes bytes, const char* name, std::size_t size) {
      if (bytes.size() != size)
        throw std::out_of_range(std::string(name) + " is " + std::to_string(bytes.size()) + " bytes long: ChaCha20 takes " +
                                std::to_string(size));
    };
    require(key, "key", 32);
    require(nonce, "nonce", 12);
    auto stream = Napi::Buffer<std::uint8_t>::New(info.Env(), length);
    chacha20(key.first<32>(), counter, nonce.first<12>(), {stream.Data(), length});
    return stream;
  });
}

}  // namespace

void exportMetrics(Napi::Env env, Napi::Object exports) {
  const auto add = [&](const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  add("entropy", entropyOf);
  add("compressionRatio", compressionRatioOf);
  add("deltaBits", deltaBitsOf);
  add("ncd", ncdOf);
  add("ncdSizeMatched", ncdSizeMatchedOf);
  add("windowMetrics", windowMetricsOf);
  add("permutationTest", permutationTestOf);
  add("chacha20", chacha20Of);
}

}  // namespace driftlock::binding
