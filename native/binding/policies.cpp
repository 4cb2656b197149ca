#include "binding/policies.hpp"

#include <algorithm>
#include <stdexcept>

#include "binding/arguments.hpp"

namespace driftlock::binding {
namespace {

/// The configuration and the API allow fewer.
constexpr std::uint32_t kMostPolicies = 100'000;
constexpr std::uint32_t kMostNames = 256;
constexpr std::size_t kLongestPattern = 1024;
constexpr double kLargest = 1e300;

/// Reads an array element by element.
template <class Read>
void forEach(Napi::Value value, const std::string& name, std::uint32_t most, Read&& read) {
  if (!value.IsArray()) throw std::invalid_argument(name + " must be an array");
  const auto array = value.As<Napi::Array>();
  const std::uint32_t length = array.Length();
  if (length > most) throw std::out_of_range(name + " must have at most " + std::to_string(most) + " elements");
  for (std::uint32_t i = 0; i < length; ++i) {
    const Napi::HandleScope scope(value.Env());
    read(array.Get(i), name + "[" + std::to_string(i) + "]");
  }
}

std::uint32_t channelsOf(const std::string& channel, const std::string& name) {
  std::uint32_t bits = 0;
  for (std::size_t c = 1; c < kChannelCount; ++c) {
    if (kChannels[c].name == channel) bits |= std::uint32_t{1} << c;
  }
  if (bits == 0) throw std::invalid_argument(name + " must be the name of a channel");
  return bits;
}

Policy::Direction directionArgument(Napi::Value value, const std::string& name) {
  const std::string direction = textArgument(value, name, 8);
  if (direction == "both") return Policy::Direction::Both;
  if (direction == "up") return Policy::Direction::Up;
  if (direction == "down") return Policy::Direction::Down;
  throw std::invalid_argument(name + " must be \"up\", \"down\" or \"both\"");
}

PolicyRule policyArgument(Napi::Value value, const std::string& name) {
  PolicyRule rule;
  OptionsArgument options(value, name);
  const auto given = [&](const char* option, auto&& read) {
    if (const Napi::Value own = options.optional(option); !own.IsUndefined()) read(own, options.nameOf(option));
  };
  const auto text = [](std::string& out) {
    return [&out](Napi::Value own, const std::string& of) { out = textArgument(own, of, kLongestPattern); };
  };
  const auto number = [](double& out) {
    return [&out](Napi::Value own, const std::string& of) { out = numberArgument(own, of, 0, kLargest); };
  };
  given("signal", [&](Napi::Value own, const std::string& of) { rule.signal = signalArgument(own, of); });
  given("tenant", text(rule.tenant));
  given("service", text(rule.service));
  given("stream", text(rule.stream));
  given("metric", text(rule.metric));
  Policy& policy = rule.policy;
  given("judge", [&](Napi::Value own, const std::string& of) { policy.judge = booleanArgument(own, of); });
  given("alarmsPerDay", number(policy.alarmsPerDay));
  given("channels", [&](Napi::Value own, const std::string& of) {
    policy.channels = 0;
    forEach(own, of, kMostNames, [&](Napi::Value channel, const std::string& at) {
      policy.channels |= channelsOf(textArgument(channel, at, kLongestPattern), at);
    });
  });
  given("ignoreFields", [&](Napi::Value own, const std::string& of) {
    forEach(own, of, kMostNames, [&](Napi::Value field, const std::string& at) {
      policy.ignoredFields.push_back(textArgument(field, at, kLongestPattern));
    });
  });
  given("direction", [&](Napi::Value own, const std::string& of) { policy.direction = directionArgument(own, of); });
  given("minDeviation", number(policy.leastDeviation));
  given("minDeviationShare", number(policy.leastShare));
  given("minCount", number(policy.leastCount));
  options.refuseOthers();
  return rule;
}

}  // namespace

std::shared_ptr<const Policies> policiesArgument(Napi::Value value, const std::string& name) {
  auto policies = std::make_shared<Policies>();
  forEach(value, name, kMostPolicies,
          [&](Napi::Value each, const std::string& at) { policies->push_back(policyArgument(each, at)); });
  return policies;
}

}  // namespace driftlock::binding
