#include "channels/policy.hpp"
#include "stream/policies.hpp"
#include "test.hpp"

namespace driftlock {
namespace {

TEST(patternsMatchWholeTexts) {
  const auto matches = [](const char* pattern, const char* text) { return matchesPattern(pattern, text); };
  CHECK(matches("checkout", "checkout"));
  CHECK(!matches("checkout", "checkout2"));
  CHECK(matches("check*", "checkout"));
  CHECK(matches("*", ""));
  CHECK(matches("**", "anything"));
  CHECK(matches("c*k*t", "checkout"));
  CHECK(!matches("c*k*t", "checkouts"));
  CHECK(matches("?heckout", "checkout"));
  CHECK(!matches("?", ""));
  CHECK(!matches("a*a", "a"));
  CHECK(matches("*a*b*", "xxaxxb"));
  CHECK(!matches("*a*b*", "xxbxxa"));
}

TEST(theFirstRuleThatMatchesDecides) {
  const StreamKey key{.signal = otlp::Signal::Metrics, .tenant = "t", .name = "metrics s=1 m", .service = "s", .metric = "m"};
  const auto rules = std::make_shared<const Policies>(Policies{{.signal = otlp::Signal::Logs, .policy = {.alarmsPerDay = 1}},
                                                               {.metric = "m*", .policy = {.alarmsPerDay = 2}},
                                                               {.policy = {.alarmsPerDay = 3}}});
  CHECK(policyOf(rules, key)->alarmsPerDay == 2);
  CHECK(policyOf(std::make_shared<const Policies>(), key)->judge);
}

TEST(aDeviationCountsBySideAndSize) {
  const auto admits = [](const Policy& policy, Deviation::Of of, double observed) {
    const Score score{.channel = ChannelId::Value, .deviation = Deviation{of, observed, 10, 20}};
    return policy.admits(score);
  };
  using Of = Deviation::Of;
  CHECK(admits({}, Of::Value, 21));
  CHECK(admits({.direction = Policy::Direction::Up}, Of::Value, 21));
  CHECK(!admits({.direction = Policy::Direction::Up}, Of::Value, 9));
  CHECK(admits({.direction = Policy::Direction::Down}, Of::Share, 9));
  CHECK(!admits({.leastDeviation = 5}, Of::Value, 24));
  CHECK(admits({.leastDeviation = 5}, Of::Value, 25));
  CHECK(admits({.leastDeviation = 5}, Of::Value, 5));
  CHECK(!admits({.leastShare = 0.5}, Of::Value, 29));
  CHECK(admits({.leastShare = 0.5}, Of::Value, 30));
  CHECK(admits({.leastShare = 0.5}, Of::Value, 5));
  CHECK(admits({.leastDeviation = 5}, Of::Share, 24));
  CHECK(!admits({.leastCount = 30}, Of::Records, 24));
  CHECK(admits({.leastCount = 15}, Of::Records, 2));
  CHECK(!(Policy{.channels = 0}.admits({.channel = ChannelId::Content})));
}

}  // namespace
}  // namespace driftlock
