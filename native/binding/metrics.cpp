#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "binding/arguments.hpp"
#include "binding/background.hpp"
#include "binding/binding.hpp"
#include "cbad/chacha20.hpp"
#include "cbad/entropy.hpp"
#include "cbad/ncd.hpp"
#include "cbad/permutation.hpp"
#include "cbad/ratio.hpp"
#include "cbad/window_metrics.hpp"

namespace driftlock::binding {
namespace {

Napi::Value entropyOf(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), entropy(bytesArgument(info[0], "bytes")));
}

Napi::Value compressionRatioOf(const Napi::CallbackInfo& info) {
  const auto codec = makeCodec(codecArgument(info[1], "codec"), levelArgument(info[2], "level"));
  return Napi::Number::New(info.Env(), compressionRatio(bytesArgument(info[0], "bytes"), *codec));
}

/// Calls a function of two texts, a codec and a level.
template <double (*measure)(Bytes, Bytes, const Codec&)>
Napi::Value ofTwo(const Napi::CallbackInfo& info, const char* first, const char* second) {
  const auto codec = makeCodec(codecArgument(info[2], "codec"), levelArgument(info[3], "level"));
  return Napi::Number::New(info.Env(), measure(bytesArgument(info[0], first), bytesArgument(info[1], second), *codec));
}

Napi::Value deltaBitsOf(const Napi::CallbackInfo& info) { return ofTwo<deltaBits>(info, "baseline", "window"); }
Napi::Value ncdOf(const Napi::CallbackInfo& info) { return ofTwo<ncd>(info, "a", "b"); }
Napi::Value ncdSizeMatchedOf(const Napi::CallbackInfo& info) { return ofTwo<ncdSizeMatched>(info, "baseline", "window"); }

Napi::Value windowMetricsOf(const Napi::CallbackInfo& info) {
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
}

/// The largest number of records in one part of a test.
constexpr std::uint32_t kMostRecords = 1 << 20;

/// Copies of records, end to end, because JavaScript may change or detach the originals while a worker reads.
class Records {
 public:
  /// @throws std::length_error if the records together exceed the codec's reach, before more is copied.
  Records(Napi::Value value, const char* name, const Codec& codec) {
    if (!value.IsArray()) throw std::invalid_argument(std::string(name) + " must be an array of Uint8Array");
    const auto array = value.As<Napi::Array>();
    const std::uint32_t count = array.Length();
    if (count > kMostRecords)
      throw std::out_of_range(std::string(name) + " has more than " + std::to_string(kMostRecords) + " records");
    std::vector<std::size_t> ends;
    for (std::uint32_t i = 0; i < count; ++i) {
      const Napi::HandleScope scope(array.Env());
      const auto record = bytesArgument(array.Get(i), std::string(name) + "[" + std::to_string(i) + "]");
      requireReach(codec, name, bytes_.size() + record.size());
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

class PermutationWork : public Background {
 public:
  PermutationWork(Napi::Value baseline, Napi::Value window, std::unique_ptr<const Codec> codec, const PermutationOptions& options)
      : codec_(std::move(codec)),
        baseline_(baseline, "baseline", *codec_),
        window_(window, "window", *codec_),
        options_(options) {}

 protected:
  bool run() override {
    if (!test_) test_.emplace(baseline_.views(), window_.views(), *codec_, options_);
    return test_->draw();
  }

  Napi::Value result(Napi::Env env) override {
    const PermutationResult& found = test_->result();
    auto result = Napi::Object::New(env);
    result.Set("pValue", found.pValue);
    result.Set("permutations", found.permutations);
    result.Set("exceeding", found.exceeding);
    result.Set("observed", found.observed);
    return result;
  }

 private:
  std::unique_ptr<const Codec> codec_;
  Records baseline_, window_;
  PermutationOptions options_;
  std::optional<PermutationTest> test_;
};

Napi::Value permutationTestOf(const Napi::CallbackInfo& info) {
  return Background::start(info.Env(), [&] {
    OptionsArgument given(info[2], "options");
    constexpr double kMost = 1'000'000;
    PermutationOptions options;
    const auto count = [&](const char* name, double lowest) {
      return static_cast<std::uint32_t>(integerArgument(given.required(name), given.nameOf(name), lowest, kMost));
    };
    options.permutations = count("permutations", 1);
    options.block = count("block", 1);
    options.stopAfter = count("stopAfter", 0);
    options.seed = seedArgument(given.required("seed"), "options.seed");
    const auto name = codecArgument(given.required("codec"), "options.codec");
    auto codec = makeCodec(name, levelArgument(given.optional("level"), "options.level"));
    given.refuseOthers();
    return std::make_unique<PermutationWork>(info[0], info[1], std::move(codec), options);
  });
}

Napi::Value chacha20Of(const Napi::CallbackInfo& info) {
  const auto counter =
      static_cast<std::uint32_t>(integerArgument(info[1], "counter", 0, std::numeric_limits<std::uint32_t>::max()));
  const auto length = static_cast<std::size_t>(integerArgument(info[3], "length", 0, std::numeric_limits<std::int32_t>::max()));
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
}

}  // namespace

void exportMetrics(Napi::Object exports) {
  exportFunction(exports, "entropy", entry<entropyOf>);
  exportFunction(exports, "compressionRatio", entry<compressionRatioOf>);
  exportFunction(exports, "deltaBits", entry<deltaBitsOf>);
  exportFunction(exports, "ncd", entry<ncdOf>);
  exportFunction(exports, "ncdSizeMatched", entry<ncdSizeMatchedOf>);
  exportFunction(exports, "windowMetrics", entry<windowMetricsOf>);
  exportFunction(exports, "permutationTest", entry<permutationTestOf>);
  exportFunction(exports, "chacha20", entry<chacha20Of>);
}

}  // namespace driftlock::binding
