#include "binding/engine_options.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

#include "binding/arguments.hpp"
#include "binding/llm.hpp"
#include "binding/policies.hpp"
#include "binding/pool.hpp"
#include "binding/privacy.hpp"

namespace driftlock::binding {
namespace {

constexpr std::uint32_t kMostKeyAttributes = 8, kMostChangeAttributes = 16;
constexpr std::size_t kLongestAttribute = 1024;
constexpr double kMostStreams = 1'000'000;
/// The limit of a window's records; its bytes are limited elsewhere.
constexpr double kAny = std::numeric_limits<std::uint32_t>::max();
/// The limit in milliseconds, some 300 years, which fits in 64 bits of nanoseconds.
constexpr double kLongestAcceptance = 1e13;

HashKey hashKey(Napi::Value value) {
  if (value.IsUndefined()) return kPublicHashKey;
  const Bytes bytes = bytesArgument(value, "options.hashKey");
  HashKey key;
  if (bytes.size() != key.size())
    throw std::out_of_range("options.hashKey must have 32 bytes, has " + std::to_string(bytes.size()));
  std::ranges::copy(bytes, key.begin());
  return key;
}

std::vector<std::string> attributeNames(Napi::Value value, const std::string& name, std::uint32_t most = kMostKeyAttributes) {
  if (!value.IsArray()) throw std::invalid_argument(name + " must be an array of strings");
  const auto attributes = value.As<Napi::Array>();
  const std::uint32_t count = attributes.Length();
  if (count > most) throw std::out_of_range(name + " must name at most " + std::to_string(most) + " attributes");
  std::vector<std::string> names;
  for (std::uint32_t i = 0; i < count; ++i)
    names.push_back(textArgument(attributes.Get(i), name + "[" + std::to_string(i) + "]", kLongestAttribute));
  return names;
}

}  // namespace

// The limits are those of the configuration (src/config/schema.ts) or wider: tests have smaller baselines and windows.
EngineOptions engineOptions(Napi::Value value) {
  OptionsArgument options(value, "options");
  const auto number = [&](const char* name, double lowest, double highest) {
    return numberArgument(options.required(name), options.nameOf(name), lowest, highest);
  };
  const auto whole = [&](const char* name, double lowest, double highest) {
    return static_cast<std::uint32_t>(integerArgument(options.required(name), options.nameOf(name), lowest, highest));
  };
  const auto flag = [&](const char* name) { return booleanArgument(options.required(name), options.nameOf(name)); };

  Settings settings{};
  settings.streamBy = attributeNames(options.required("streamBy"), options.nameOf("streamBy"));
  settings.groupBy = attributeNames(options.required("groupBy"), options.nameOf("groupBy"));
  settings.instanceBy = attributeNames(options.required("instanceBy"), options.nameOf("instanceBy"));
  if (const Napi::Value names = options.optional("changeAttributes"); !names.IsUndefined()) {
    settings.changeAttributes = attributeNames(names, options.nameOf("changeAttributes"), kMostChangeAttributes);
  }
  settings.baselineRecords = whole("baselineRecords", 2, 1'000'000);
  const Napi::Value exact = options.optional("exactBaseline");
  settings.exactBaseline = !exact.IsUndefined() && booleanArgument(exact, options.nameOf("exactBaseline"));
  if (const Napi::Value rate = options.optional("recordsPerSecond"); !rate.IsUndefined()) {
    settings.stepNanos = static_cast<std::uint64_t>(1e9 / numberArgument(rate, options.nameOf("recordsPerSecond"), 1e-5, 1e6));
  }
  settings.dictionarySize = whole("dictionarySize", 64, 65'536);
  settings.acceptAfterNanos = static_cast<std::uint64_t>(number("acceptAfterMs", 0, kLongestAcceptance) * 1e6);
  settings.windowRecords = whole("windowRecords", 1, kAny);
  settings.windowHop = whole("windowHop", 1, kAny);
  settings.alarmsPerStreamPerDay = number("alarmsPerStreamPerDay", 0, 1e6);
  if (settings.alarmsPerStreamPerDay == 0) throw std::out_of_range("options.alarmsPerStreamPerDay must be more than 0");
  settings.alarmsPerGroupPerDay = number("alarmsPerGroupPerDay", 0, 1e6);
  settings.alarmsPerTenantPerDay = number("alarmsPerTenantPerDay", 0, 1e9);
  settings.alarmsPerProcessPerDay = number("alarmsPerProcessPerDay", 0, 1e9);
  settings.codec = codecArgument(options.required("codec"), "options.codec");
  settings.permutations = whole("permutations", 0, 9'999);
  settings.seed = seedArgument(options.required("seed"), "options.seed");
  settings.hashKey = hashKey(options.optional("hashKey"));
  settings.threads = whole("threads", 1, 16);
  settings.maxStreams = whole("maxStreams", 1, kMostStreams);
  settings.streamsPerTenant = whole("streamsPerTenant", 0, kMostStreams);
  if (const Napi::Value policies = options.optional("policies"); !policies.IsUndefined()) {
    settings.policies = policiesArgument(policies, options.nameOf("policies"));
  }
  settings.flaggedOnly = flag("flaggedOnly");
  settings.scores = flag("scores");
  if (const Napi::Value privacy = options.optional("privacy"); !privacy.IsUndefined()) {
    settings.privacy = privacyArgument(privacy, options.nameOf("privacy"));
  }
  if (const Napi::Value recordings = options.optional("recordings"); !recordings.IsUndefined()) {
    settings.recordings = booleanArgument(recordings, options.nameOf("recordings"));
  }
  if (const Napi::Value graphs = options.optional("serviceGraphs"); !graphs.IsUndefined()) {
    settings.serviceGraphs = booleanArgument(graphs, options.nameOf("serviceGraphs"));
  }
  if (const Napi::Value llm = options.optional("llm"); !llm.IsUndefined()) settings.llm = llmArgument(llm, options.nameOf("llm"));
  const Napi::Value inPlace = options.optional("readInPlace");
  const bool readInPlace = !inPlace.IsUndefined() && booleanArgument(inPlace, options.nameOf("readInPlace"));
  std::shared_ptr<Pool> pool;
  if (const Napi::Value shared = options.optional("pool"); !shared.IsUndefined()) {
    pool = poolArgument(shared, options.nameOf("pool"));
  }
  options.refuseOthers();
  return {std::move(settings), readInPlace, std::move(pool)};
}

}  // namespace driftlock::binding
