#include "engine/process_budget.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine_bench.hpp"
#include "requests.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

using Answer = ProcessBudget::Answer;
constexpr std::uint64_t kDay = 86'400 * kSecond;

/// Checks that half of the bank is for strange anomalies, nothing overdraws it, and time fills it.
TEST(theBank) {
  ProcessBudget budget(10, 0, 1, 100);
  budget.observe(kStart);
  int told = 0;
  for (int i = 0; i < 20; ++i) told += budget.judge("t", "a" + std::to_string(i), 1, 2) == Answer::Told;
  CHECK(told == 5);
  for (int i = 0; i < 20; ++i) told += budget.judge("t", "b" + std::to_string(i), 1, 200) == Answer::Told;
  CHECK(told == 10);
  CHECK(budget.withheld() == 30);

  // A reported anomaly continues to be reported, and a withheld one is judged again.
  CHECK(budget.judge("t", "a0", 2, 2) == Answer::Told);
  CHECK(budget.judge("t", "a19", 2, 2) == Answer::Withheld);
  CHECK(budget.withheld() == 30);
  budget.observe(kStart + kDay);
  CHECK(budget.judge("t", "a19", 3, 2) == Answer::ToldLate);
  CHECK(budget.judge("t", "a19", 4, 2) == Answer::Told);
  CHECK(budget.end("a19") && budget.end("a0") && budget.end("unknown"));
  CHECK(!budget.end("a18"));
  CHECK(budget.end("a18"));

  // A week fills it up to its capacity, and time that runs backwards adds nothing.
  budget.observe(kStart + 8 * kDay);
  budget.observe(kStart);
  budget.observe(0);
  told = 0;
  for (int i = 0; i < 40; ++i) told += budget.judge("t", "c" + std::to_string(i), 1, 1e9) == Answer::Told;
  CHECK(told == 10);
}

/// Counts the reports among `count` anomalies of a tenant with the same margin.
int tellings(ProcessBudget& budget, const std::string& tenant, int count, double margin) {
  static int number = 0;
  int told = 0;
  for (int i = 0; i < count; ++i) told += budget.judge(tenant, "n" + std::to_string(++number), 1, margin) == Answer::Told;
  return told;
}

/// Checks that each tenant has an allowance of its own, with or without a limit for all.
TEST(anAllowanceForEachTenant) {
  for (const double perDay : {0.0, 1'000.0}) {
    ProcessBudget budget(perDay, 10, 1, 1'000);
    budget.observe(kStart);
    for (const char* tenant : {"a", "b"}) {
      CHECK(tellings(budget, tenant, 30, 2) == 5);
      CHECK(tellings(budget, tenant, 30, 200) == 5);
    }
    CHECK(budget.withheldByTenants() == 100 && budget.withheld() == 0);
    std::vector<std::uint8_t> state;
    budget.snapshot(state);
    ProcessBudget restored(perDay, 10, 1, 1'000);
    CHECK(restored.restore(state));
    for (ProcessBudget* each : {&budget, &restored}) {
      each->observe(kStart + kDay / 2);
      CHECK(tellings(*each, "a", 30, 200) == 5);
    }
    CHECK(budget.end("n1"));
  }
}

/// Checks that a tenant's early anomalies, of however many groups, are paid from a budget of their own, which stranger ones
/// may overdraw, and that others are not.
TEST(earlyAnomalies) {
  ProcessBudget budget(0, 50, 1, 1'000);
  budget.observe(kStart);
  int number = 0;
  const auto told = [&](ProcessBudget& asked, int count, double early, bool ofCalls = false) {
    int told = 0;
    for (int i = 0; i < count; ++i) {
      told += asked.judge("t", "e" + std::to_string(++number), 1, 2, early, ofCalls) == Answer::Told;
    }
    return told;
  };
  CHECK(told(budget, 5, 1) == 3);
  CHECK(told(budget, 5, 100) == 3);
  CHECK(told(budget, 5, 1e9) == 3);
  CHECK(told(budget, 5, 0) == 5);
  CHECK(budget.withheldByTenants() == 6 && budget.withheld() == 0);
  // Those of what is derived from calls of language models have a budget of their own.
  CHECK(told(budget, 2, 1, true) == 2);
  // A late report costs as much as one at once.
  CHECK(budget.judge("t", "e4", 2, 2, 1) == Answer::Withheld);
  std::vector<std::uint8_t> state;
  budget.snapshot(state);
  ProcessBudget restored(0, 50, 1, 1'000);
  CHECK(restored.restore(state));
  for (ProcessBudget* each : {&budget, &restored}) {
    CHECK(told(*each, 2, 1, true) == 1);
    for (std::uint64_t day = 1; day <= 7; ++day) each->observe(kStart + day * kDay), each->hear("t");
    CHECK(each->judge("t", "e4", 3, 2, 1) == Answer::ToldLate);
    CHECK(told(*each, 5, 1) == 0);
    for (std::uint64_t day = 8; day <= 30; ++day) each->observe(kStart + day * kDay), each->hear("t");
    CHECK(told(*each, 5, 1) == 3);
  }
}

/// Checks that, whatever one tenant does, each other one has its share, and the half of it for strange anomalies.
TEST(shares) {
  ProcessBudget budget(120, 0, 1, 100'000);
  budget.observe(kStart);
  for (const char* tenant : {"evil", "quiet", "victim"}) budget.hear(tenant);
  // There are 120 in the bank: 40 for each tenant.
  CHECK(tellings(budget, "evil", 1'000, 2) == 20);
  CHECK(tellings(budget, "evil", 1'000, 1e9) == 20);
  CHECK(tellings(budget, "victim", 30, 2) == 20);
  CHECK(tellings(budget, "victim", 30, 1e9) == 20);

  // Half a day earns 60. The quiet one needs none of its third, which is lent to whoever needs it first.
  for (int hour = 1; hour <= 12; ++hour) {
    budget.observe(kStart + static_cast<std::uint64_t>(hour) * 3600 * kSecond);
    for (const char* tenant : {"evil", "quiet", "victim"}) budget.hear(tenant);
  }
  CHECK(tellings(budget, "evil", 1'000, 1e9) == 40);
  CHECK(tellings(budget, "victim", 1'000, 1e9) == 20);
  CHECK(tellings(budget, "quiet", 1'000, 1e9) == 40);
}

/// Checks that a new tenant gets its share although others have spent everything, at the expense of their later reports.
TEST(newcomers) {
  ProcessBudget budget(100, 0, 1, 100'000);
  budget.observe(kStart);
  budget.hear("evil");
  CHECK(tellings(budget, "evil", 1'000, 1e9) == 100);
  budget.hear("victim");
  CHECK(tellings(budget, "victim", 1'000, 1e9) == 50);
  CHECK(tellings(budget, "evil", 1'000, 1e9) == 0);
  // However many tenants come, at most one day's worth is on credit.
  int told = 0;
  for (int i = 0; i < 500; ++i) told += tellings(budget, "name-" + std::to_string(i), 5, 1e9);
  CHECK(told <= 50);
  // A day's earnings repay the credit and leave nothing.
  budget.observe(kStart + kDay);
  CHECK(tellings(budget, "evil", 10, 1e9) == 0);
  budget.observe(kStart + 2 * kDay);
  CHECK(tellings(budget, "victim", 10, 1e9) >= 1);
}

/// Checks that the limit holds over a month, whatever tenants do.
TEST(theLimitHolds) {
  ProcessBudget budget(50, 0, 1, 100'000);
  Random random(3);
  int told = 0;
  constexpr int kDays = 30;
  for (int hour = 0; hour < 24 * kDays; ++hour) {
    budget.observe(kStart + static_cast<std::uint64_t>(hour) * 3600 * kSecond);
    for (int i = 0; i < 8; ++i) {
      const std::string tenant = "t" + std::to_string(random.below(static_cast<std::uint32_t>(1 + hour / 10)));
      budget.hear(tenant);
      told += tellings(budget, tenant, 3, random.below(2) == 0 ? 2 : 1e9);
    }
  }
  CHECK(told <= 50 * (kDays + 2));
  CHECK(told >= 50 * (kDays - 1));
}

/// Checks that no tenant loses its share if there are more tenants than anomalies may be reported.
TEST(moreTenantsThanAlarms) {
  ProcessBudget budget(3, 0, 1, 1'000);
  budget.observe(kStart);
  for (int i = 0; i < 100; ++i) budget.hear("t" + std::to_string(i));
  int told = 0;
  for (int i = 0; i < 100; ++i) told += tellings(budget, "t" + std::to_string(i), 5, 1e9);
  CHECK(told == 6);
}

TEST(bounds) {
  ProcessBudget none(0, 0, 1, 4);
  for (int i = 0; i < 1'000; ++i) CHECK(none.judge("t", std::to_string(i), 1, 1) == Answer::Told);

  // With less than one per day, one at a time is reported, strange or not.
  ProcessBudget rare(0.5, 0, 1, 4);
  rare.observe(kStart);
  CHECK(rare.judge("t", "a", 1, 1) == Answer::Told);
  CHECK(rare.judge("t", "b", 1, 1e9) == Answer::Withheld);
  rare.observe(kStart + kDay);
  CHECK(rare.judge("t", "c", 1, 1e9) == Answer::Withheld);
  rare.observe(kStart + 2 * kDay);
  CHECK(rare.judge("t", "c", 2, 1) == Answer::ToldLate);

  // If there are more than can be remembered, the first are forgotten.
  for (int i = 0; i < 9; ++i) CHECK(rare.judge("t", "d" + std::to_string(i), 1, 1) == Answer::Withheld);
  CHECK(rare.end("d0"));
  CHECK(!rare.end("d8"));
}

TEST(snapshots) {
  ProcessBudget budget(4, 0, 1, 10);
  budget.observe(kStart);
  for (int i = 0; i < 8; ++i) budget.judge("t", "a" + std::to_string(i), 1, 1);
  std::vector<std::uint8_t> bytes, again;
  budget.snapshot(bytes);
  ProcessBudget same(4, 0, 1, 10);
  CHECK(same.restore(bytes));
  same.snapshot(again);
  CHECK(again == bytes);
  CHECK(!same.end("a7") && same.end("a0"));
  // A smaller limit reduces the savings, and without a limit nothing is withheld.
  ProcessBudget less(1, 0, 1, 2), none(0, 0, 1, 10);
  CHECK(less.restore(bytes) && none.restore(bytes));
  CHECK(less.judge("t", "b", 1, 1) == Answer::Told && less.judge("t", "c", 1, 1e9) == Answer::Withheld);
  CHECK(none.end("a7"));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto cut = bytes;
    cut.resize(i);
    CHECK(!ProcessBudget(4, 0, 1, 10).restore(cut));
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto odd = bytes;
    odd[i] ^= 0xff;
    ProcessBudget victim(4, 0, 1, 10);
    if (victim.restore(odd)) victim.judge("t", "x", 1, 1);
  }
}

struct Outcome {
  std::size_t flagged = 0, records = 0, limitedFlags = 0;
  std::set<std::string> ids;
  std::vector<std::uint8_t> snapshot;
  std::uint64_t withheld = 0;
};

/// Runs a day in which an outage makes many streams send strange records again and again.
Outcome outage(double perDay, std::uint32_t threads, bool restart) {
  Settings settings = settingsOf(threads);
  settings.alarmsPerProcessPerDay = perDay;
  settings.permutations = 0;
  auto bench = std::make_unique<Bench>(settings);
  Random random(11);
  Outcome outcome;
  std::set<std::string> ended;
  constexpr int kServices = 40;
  for (int i = 0; i < 120 * kServices; ++i) {
    const int service = i % kServices, round = i / kServices;
    const std::uint64_t time =
        kStart + static_cast<std::uint64_t>(round) * kDay / 120 + static_cast<std::uint64_t>(service) * kSecond;
    std::vector<Message> lines;
    for (std::uint32_t k = 0; k < 8; ++k) lines.push_back(logRecord(normalLine(random), {.time = time + k}));
    if (round >= 100 && round % 4 == 0) {
      const std::string news =
          "FATAL: shard " + std::string(1 + random.below(30), static_cast<char>('a' + round % 26)) + " lost quorum, giving up";
      lines.push_back(logRecord(news, {.time = time + 8, .severity = 21}));
    }
    const auto task = bench->process(otlp::Signal::Logs, request("service-" + std::to_string(service), lines));
    for (const Told& told : toldBy(*task)) {
      if (told.ended) {
        CHECK(outcome.ids.contains(told.id));
        continue;
      }
      // The first report of an anomaly is marked as such, unless it was withheld at first.
      outcome.ids.insert(told.id);
    }
    std::size_t flags = 0;
    for (std::uint32_t k = 0; k < task->records; ++k) flags += task->scores[kScoreWidth * k + 2] == 1;
    CHECK(flags == task->flagged);
    CHECK((task->output.data != nullptr) == (flags > 0));
    outcome.flagged += flags;
    if (restart && round == 110 && service == 7) {
      const auto snapshot = bench->snapshot();
      bench = std::make_unique<Bench>(settings);
      CHECK(bench->restore(snapshot));
    }
  }
  outcome.snapshot = bench->snapshot();
  outcome.withheld = bench->engine.stats().withheldByProcess;
  return outcome;
}

TEST(manyStreams) {
  const Outcome all = outage(0, 1, false);
  CHECK(all.ids.size() > 60 && all.withheld == 0);
  const Outcome few = outage(12, 1, false);
  // The limit is a day's worth, plus what a day adds.
  CHECK(few.ids.size() >= 12 && few.ids.size() <= 24);
  CHECK(few.withheld >= all.ids.size() - few.ids.size());
  CHECK(few.flagged < all.flagged && few.flagged > 0);
  for (const std::string& id : few.ids) CHECK(all.ids.contains(id));

  const Outcome threads = outage(12, 8, false);
  CHECK(threads.ids == few.ids && threads.flagged == few.flagged && threads.snapshot == few.snapshot);
  const Outcome restarted = outage(12, 2, true);
  CHECK(restarted.ids == few.ids && restarted.flagged == few.flagged && restarted.snapshot == few.snapshot);
}

}  // namespace
