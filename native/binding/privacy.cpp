#include "binding/privacy.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "binding/arguments.hpp"
#include "binding/binding.hpp"
#include "record/redact.hpp"

namespace driftlock::binding {
namespace {

constexpr std::uint32_t kMostRules = 1000, kMostAllowances = 100, kMostAllowed = 10'000;
constexpr std::size_t kLongestPattern = 1024, kLongestText = 16 << 20, kMostExamples = 64;
constexpr std::array<std::string_view, privacy::kPlaceCount> kPlaces{"scoring", "forwarded", "stored", "logs", "evidence"};
constexpr std::array<std::string_view, 4> kActions{"flag", "mask", "hash", "drop"};

template <std::size_t kSize>
std::size_t oneOf(const std::array<std::string_view, kSize>& names, Napi::Value value, const std::string& name) {
  const std::string text = textArgument(value, name, 64);
  const auto found = std::ranges::find(names, text);
  if (found == names.end()) throw std::invalid_argument(name + " must not be \"" + text + "\"");
  return static_cast<std::size_t>(found - names.begin());
}

/// Reads an array of at most so many elements, if there is one. `read` receives each of them, and its name.
template <class Read>
void readEach(OptionsArgument& options, const char* option, std::size_t most, Read&& read) {
  const Napi::Value own = options.optional(option);
  if (own.IsUndefined()) return;
  const std::string name = options.nameOf(option);
  if (!own.IsArray()) throw std::invalid_argument(name + " must be an array");
  const auto array = own.As<Napi::Array>();
  if (array.Length() > most) throw std::out_of_range(name + " must have at most " + std::to_string(most) + " elements");
  for (std::uint32_t i = 0; i < array.Length(); ++i) read(array.Get(i), name + "[" + std::to_string(i) + "]");
}

privacy::Pattern patternArgument(Napi::Value value, const std::string& name) {
  const std::string expression = textArgument(value, name, kLongestPattern);
  try {
    return privacy::Pattern(expression);
  } catch (const std::invalid_argument& fault) {
    throw std::invalid_argument(name + " " + fault.what());
  }
}

privacy::Detector detectorArgument(Napi::Value value, const std::string& name) {
  OptionsArgument options(value, name);
  std::string own = textArgument(options.required("name"), options.nameOf("name"), privacy::kLongestName);
  privacy::Pattern pattern = patternArgument(options.required("pattern"), options.nameOf("pattern"));
  options.refuseOthers();
  return {std::move(own), std::move(pattern)};
}

/// Reads names of detectors, users' own among them; all if there are none.
privacy::Kinds kindsOf(OptionsArgument& options, const std::vector<privacy::Detector>& detectors) {
  privacy::Kinds kinds = 0;
  readEach(options, "detectors", privacy::kKindCount, [&](Napi::Value value, const std::string& name) {
    const std::string kind = textArgument(value, name, 64);
    if (const auto builtIn = std::ranges::find(privacy::kKindInfos, kind, &privacy::KindInfo::name);
        builtIn != privacy::kKindInfos.end()) {
      kinds |= privacy::Kinds{1} << (builtIn - privacy::kKindInfos.begin());
    } else if (const auto own = std::ranges::find(detectors, kind, &privacy::Detector::name); own != detectors.end()) {
      kinds |= privacy::Kinds{1} << (privacy::kBuiltInCount + static_cast<std::size_t>(own - detectors.begin()));
    } else {
      throw std::invalid_argument(name + " names a detector that does not exist: \"" + kind + "\"");
    }
  });
  return kinds == 0 ? privacy::kAllKinds : kinds;
}

void readText(OptionsArgument& options, const char* option, std::string& out) {
  if (const Napi::Value own = options.optional(option); !own.IsUndefined())
    out = textArgument(own, options.nameOf(option), kLongestPattern);
}

privacy::Allowance allowanceArgument(Napi::Value value, const std::string& name,
                                     const std::vector<privacy::Detector>& detectors) {
  privacy::Allowance allowance;
  OptionsArgument options(value, name);
  allowance.kinds = kindsOf(options, detectors);
  readText(options, "attribute", allowance.attribute);
  readEach(options, "values", kMostAllowed,
           [&](Napi::Value each, const std::string& of) { allowance.values.push_back(textArgument(each, of, kLongestPattern)); });
  std::ranges::sort(allowance.values);
  if (const Napi::Value own = options.optional("pattern"); !own.IsUndefined())
    allowance.pattern.emplace(patternArgument(own, options.nameOf("pattern")));
  options.refuseOthers();
  return allowance;
}

privacy::Rule ruleArgument(Napi::Value value, const std::string& name, const std::vector<privacy::Detector>& detectors) {
  privacy::Rule rule;
  OptionsArgument options(value, name);
  readText(options, "tenant", rule.tenant);
  readText(options, "service", rule.service);
  readText(options, "stream", rule.stream);
  readText(options, "attribute", rule.attribute);
  if (const Napi::Value signal = options.optional("signal"); !signal.IsUndefined())
    rule.signal = static_cast<std::uint8_t>(signalArgument(signal, options.nameOf("signal")));
  rule.kinds = kindsOf(options, detectors);
  for (std::size_t place = 0; place < kPlaces.size(); ++place) {
    const char* const option = kPlaces[place].data();
    if (const Napi::Value action = options.optional(option); !action.IsUndefined())
      rule.actions[place] = static_cast<privacy::Action>(oneOf(kActions, action, options.nameOf(option)));
  }
  options.refuseOthers();
  return rule;
}

/// textMask(policy, place)
Napi::Value textMask(const Napi::CallbackInfo& info) {
  const auto policy = privacyArgument(info[0], "policy");
  const auto place = static_cast<privacy::Place>(oneOf(kPlaces, info[1], "place"));
  return Napi::Function::New(info.Env(), [policy, place](const Napi::CallbackInfo& call) -> Napi::Value {
    try {
      std::string text = textArgument(call[0], "text", kLongestText);
      privacy::Masking(*policy, place, {}).label(text);
      return Napi::String::New(call.Env(), text);
    } catch (...) {
      throw toError(call.Env(), std::current_exception());
    }
  });
}

/// redact(policy, place, signal, tenant, request)
Napi::Value redactRequest(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto policy = privacyArgument(info[0], "policy");
  const auto place = static_cast<privacy::Place>(oneOf(kPlaces, info[1], "place"));
  const otlp::Signal signal = signalArgument(info[2], "signal");
  const std::string tenant = textArgument(info[3], "tenant", kLongestPattern);
  const Bytes request = bytesArgument(info[4], "request");
  otlp::Index index;
  otlp::WireError error;
  if (!otlp::index(signal, request, index, error)) {
    throw std::invalid_argument("request is malformed at byte " + std::to_string(error.offset) + ": " + error.what);
  }
  std::vector<PrivacyExample> examples;
  examples.reserve(kMostExamples);
  auto changed = redact(index, {tenant, place}, *policy, &examples);
  auto result = Napi::Object::New(env);
  result.Set("records", static_cast<double>(index.records.size()));
  result.Set("request", changed ? bufferOf(env, std::move(changed->request)) : env.Null());
  result.Set("counts", countsOf(env, *policy));
  auto list = Napi::Array::New(env, examples.size());
  for (std::uint32_t i = 0; i < examples.size(); ++i) {
    auto example = Napi::Object::New(env);
    example.Set("detector", std::string(policy->nameOf(examples[i].kind)));
    example.Set("attribute", examples[i].attribute);
    example.Set("text", examples[i].text);
    list.Set(i, example);
  }
  result.Set("examples", list);
  return result;
}

}  // namespace

std::shared_ptr<const privacy::Policy> privacyArgument(Napi::Value value, const std::string& name) {
  OptionsArgument options(value, name);
  privacy::Actions actions = privacy::Policy::kDefault;
  for (std::size_t place = 0; place < kPlaces.size(); ++place) {
    const char* const option = kPlaces[place].data();
    if (const Napi::Value action = options.optional(option); !action.IsUndefined())
      actions[place] = static_cast<privacy::Action>(oneOf(kActions, action, options.nameOf(option)));
  }
  std::vector<privacy::Detector> detectors;
  readEach(options, "detectors", privacy::kMostCustom,
           [&](Napi::Value each, const std::string& of) { detectors.push_back(detectorArgument(each, of)); });
  std::vector<privacy::Allowance> allowances;
  readEach(options, "allow", kMostAllowances,
           [&](Napi::Value each, const std::string& of) { allowances.push_back(allowanceArgument(each, of, detectors)); });
  std::vector<privacy::Rule> rules;
  readEach(options, "rules", kMostRules,
           [&](Napi::Value each, const std::string& of) { rules.push_back(ruleArgument(each, of, detectors)); });
  std::vector<std::uint8_t> key;
  if (const Napi::Value own = options.optional("key"); !own.IsUndefined()) {
    const Bytes bytes = bytesArgument(own, options.nameOf("key"));
    key.assign(bytes.begin(), bytes.end());
  }
  options.refuseOthers();
  return std::make_shared<const privacy::Policy>(actions, std::move(rules), std::move(key), std::move(detectors),
                                                 std::move(allowances));
}

Napi::Object countsOf(Napi::Env env, const privacy::Policy& policy) {
  const privacy::Counts counts = policy.counts();
  auto result = Napi::Object::New(env);
  for (std::size_t place = 0; place < kPlaces.size(); ++place) {
    auto kinds = Napi::Object::New(env);
    bool any = false;
    for (std::size_t kind = 0; kind < privacy::kKindCount; ++kind) {
      if (counts[place][kind] == 0) continue;
      kinds.Set(std::string(policy.nameOf(static_cast<privacy::Kind>(kind))), static_cast<double>(counts[place][kind]));
      any = true;
    }
    if (any) result.Set(std::string(kPlaces[place]), kinds);
  }
  return result;
}

void exportPrivacy(Napi::Object exports) {
  exportFunction(exports, "textMask", entry<textMask>);
  exportFunction(exports, "redact", entry<redactRequest>);
}

}  // namespace driftlock::binding
