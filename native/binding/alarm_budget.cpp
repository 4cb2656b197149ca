#include <napi.h>

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "binding/arguments.hpp"
#include "binding/binding.hpp"
#include "engine/process_budget.hpp"

namespace driftlock::binding {
namespace {

constexpr std::size_t kLongestTenant = 65'536, kLongestAnomalyId = 256;
constexpr std::uint32_t kMostAlarms = 1 << 20;
/// In milliseconds since 1970: in the year 2286.
constexpr double kLatest = 1e13;
/// The caller knows which anomalies were reported, so that none has to be remembered.
constexpr std::size_t kMostWithheld = 1;

struct Alarm {
  std::string tenant, id;
  double margin = 0;
};

double perDay(OptionsArgument& options, const char* name) {
  return numberArgument(options.required(name), options.nameOf(name), 0, 1e9);
}

Alarm alarmArgument(Napi::Value value, const std::string& name) {
  const auto alarm = objectArgument(value, name);
  return {.tenant = textArgument(alarm.Get("tenant"), name + ".tenant", kLongestTenant),
          .id = textArgument(alarm.Get("id"), name + ".id", kLongestAnomalyId),
          .margin = numberArgument(alarm.Get("margin"), name + ".margin", 0, std::numeric_limits<double>::infinity())};
}

/// spendAlarms(budget, state, ms, alarms) returns the state that follows, and which of the alarms the budget pays for.
Napi::Value spendAlarms(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  OptionsArgument options(info[0], "budget");
  ProcessBudget budget(perDay(options, "perDay"), perDay(options, "perTenantPerDay"), 0, kMostWithheld);
  options.refuseOthers();
  const double ms = integerArgument(info[2], "ms", 1, kLatest);
  if (!info[3].IsArray()) throw std::invalid_argument("alarms must be an array");
  const auto given = info[3].As<Napi::Array>();
  if (given.Length() > kMostAlarms) throw std::out_of_range("alarms must be at most " + std::to_string(kMostAlarms));
  std::vector<Alarm> alarms;
  for (std::uint32_t i = 0; i < given.Length(); ++i) {
    const Napi::HandleScope scope(env);
    alarms.push_back(alarmArgument(given.Get(i), "alarms[" + std::to_string(i) + "]"));
  }
  const Bytes state = bytesArgument(info[1], "state");
  if (!state.empty() && !budget.restore(state)) throw std::invalid_argument("state is not one that spendAlarms returned");

  budget.observe(static_cast<std::uint64_t>(ms) * 1'000'000);
  auto paid = Napi::Array::New(env, alarms.size());
  for (std::uint32_t i = 0; i < alarms.size(); ++i) {
    const auto answer = budget.judge(alarms[i].tenant, alarms[i].id, 1, alarms[i].margin);
    paid.Set(i, Napi::Boolean::New(env, answer != ProcessBudget::Answer::Withheld));
  }
  std::vector<std::uint8_t> next;
  budget.snapshot(next);
  auto result = Napi::Object::New(env);
  result.Set("state", bufferOf(env, std::move(next)));
  result.Set("paid", paid);
  return result;
}

}  // namespace

void exportAlarmBudget(Napi::Object exports) { exportFunction(exports, "spendAlarms", entry<spendAlarms>); }

}  // namespace driftlock::binding
