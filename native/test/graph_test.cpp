// The service graph: what operations take of their own, who calls whom, and what is usual.

#include "graph/service_graph.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "engine_bench.hpp"
#include "otlp/wire.hpp"
#include "requests.hpp"
#include "stream/hash_key.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

enum Kind : std::uint64_t { kInternal = 1, kServer = 2, kClient = 3, kProducer = 4, kConsumer = 5 };

struct SpanOf {
  std::string id, parent, name;
  Kind kind = kServer;
  /// In milliseconds.
  double start = 0, end = 0;
  bool failed = false;
  std::string peer{};
};

/// The parts of a driftlock.v1.GraphTick that tests read: figures by "service operation host" and by "caller > callee".
struct Told {
  std::uint64_t time = 0;
  std::map<std::string, Figures> now, usual;

  static Figures figures(Bytes message) {
    Figures out;
    otlp::Cursor cursor(message);
    while (const std::uint32_t tag = cursor.tag()) {
      double& each = tag >> 3 == 1 ? out.count : tag >> 3 == 2 ? out.seconds : out.failures;
      each = cursor.real();
    }
    return out;
  }
  explicit Told(Bytes message) {
    otlp::Cursor cursor(message);
    while (const std::uint32_t tag = cursor.tag()) {
      if (tag >> 3 == 2) {
        time = cursor.fixed64();
        continue;
      }
      const Bytes inner = cursor.payload();
      if (tag >> 3 == 1) continue;
      std::string parts[4];
      Figures own, past;
      otlp::Cursor field(inner);
      while (const std::uint32_t number = field.tag()) {
        if (number >> 3 >= 7) field.skip(number);
        else if (number >> 3 == 5) own = figures(field.payload());
        else if (number >> 3 == 6) past = figures(field.payload());
        else parts[(number >> 3) - 1] = textOf(field.payload());
      }
      const std::string key = tag >> 3 == 3 ? parts[0] + " " + parts[1] + (parts[2].empty() ? "" : " " + parts[2])
                                            : parts[0] + " " + parts[1] + " > " + parts[2] + " " + parts[3];
      now[key] = own;
      usual[key] = past;
    }
  }
};

/// Feeds a graph with requests, and reads what it tells.
struct Fed {
  ServiceGraph graph{streamHash(kPublicHashKey), std::make_shared<const privacy::Policy>(), "t"};
  std::uint64_t clock = kStart;
  std::vector<Told> told;
  std::string trace = "trace-0000000000";

  void advance(std::uint64_t nanos) {
    std::vector<std::uint8_t> page;
    graph.advance("default", clock += nanos, page);
    otlp::Cursor cursor(page);
    while (const std::uint32_t tag = cursor.tag()) {
      CHECK(tag == otlp::tag(2, otlp::Wire::Length));
      told.emplace_back(cursor.payload());
    }
  }
  Message requestOf(const std::string& service, const std::string& host, const std::vector<SpanOf>& spans) const {
    Message resource, scope;
    resource.add(1, attribute("service.name", service));
    if (!host.empty()) resource.add(1, attribute("host.name", host));
    const auto at = [&](double ms) { return clock + static_cast<std::uint64_t>(static_cast<std::int64_t>(ms * 1e6)); };
    for (const SpanOf& each : spans) {
      Message span;
      span.text(1, trace).text(2, each.id);
      if (!each.parent.empty()) span.text(4, each.parent);
      span.text(5, each.name).varint(6, each.kind).fixed(7, at(each.start)).fixed(8, at(each.end));
      if (!each.peer.empty()) span.add(9, attribute("http.request.method", "GET")).add(9, attribute("server.address", each.peer));
      if (each.failed) span.add(15, Message().varint(3, 2));
      scope.add(2, span);
    }
    return Message().add(1, Message().add(1, resource).add(2, scope));
  }
  void add(const std::string& service, const std::string& host, const std::vector<SpanOf>& spans) {
    if (told.empty()) advance(0);
    const Message message = requestOf(service, host, spans);
    otlp::Index index;
    otlp::WireError error;
    CHECK(otlp::index(otlp::Signal::Traces, message, index, error));
    graph.add(index, {});
  }
  /// Lets the tick of the clock be told, and returns it.
  const Told& tick() {
    const std::uint64_t time = clock - clock % kGraphTick;
    for (int i = 0; i < 4; ++i) advance(kGraphTick);
    const auto found = std::ranges::find(told, time, &Told::time);
    CHECK(found != told.end());
    return *found;
  }
};

bool near(double a, double b) { return std::abs(a - b) < 1e-6; }
bool is(const Told& told, const std::string& key, double count, double seconds, double failures) {
  const auto found = told.now.find(key);
  if (found == told.now.end()) return std::fprintf(stderr, "no %s\n", key.c_str()), false;
  const Figures& own = found->second;
  const bool ok = near(own.count, count) && near(own.seconds, seconds) && near(own.failures, failures);
  if (!ok) std::fprintf(stderr, "%s: %g spans, %g s, %g failures\n", key.c_str(), own.count, own.seconds, own.failures);
  return ok;
}

/// A shop whose front calls its cart twice at a time, and whose cart calls a database, which fails.
const std::vector<SpanOf> kFront = {{"front-01", "", "GET /", kServer, 0, 100, true},
                                    {"call-001", "front-01", "cart.Get", kClient, 10, 60, true, "cart"},
                                    {"call-002", "front-01", "cart.Get", kClient, 30, 80, false, "cart"}};
const std::vector<SpanOf> kCart = {{"cart-001", "call-001", "Get", kServer, 12, 58, true},
                                   {"query-01", "cart-001", "SELECT", kClient, 20, 50, true, "db"},
                                   {"cart-002", "call-002", "Get", kServer, 32, 78, false}};

void checkShop(const Told& told) {
  CHECK(is(told, "front GET / f1", 1, 0.030, 0));
  CHECK(is(told, "cart Get c1", 2, 0.062, 0));
  CHECK(is(told, "db SELECT", 1, 0.030, 1));
  CHECK(is(told, "front GET / > cart Get", 2, 0.100, 1));
  CHECK(is(told, "cart Get > db SELECT", 1, 0.030, 1));
  CHECK(told.now.size() == 5);
}

TEST(timeAndFailuresAreConserved) {
  Fed fed;
  fed.add("cart", "c1", kCart);
  fed.add("front", "f1", kFront);
  checkShop(fed.tick());
}

TEST(spansComeInAnyOrder) {
  std::vector<std::pair<std::string, SpanOf>> all;
  for (const SpanOf& span : kFront) all.emplace_back("front", span);
  for (const SpanOf& span : kCart) all.emplace_back("cart", span);
  Random random(3);
  for (int round = 0; round < 20; ++round) {
    for (std::size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[random.below(static_cast<std::uint32_t>(i))]);
    Fed fed;
    for (const auto& [service, span] : all) {
      fed.add(service, service == "cart" ? "c1" : "f1", {span});
      // One that is sent again counts once.
      fed.add(service, service == "cart" ? "c1" : "f1", {span});
    }
    checkShop(fed.tick());
  }
}

TEST(processesSendAtDifferentTimes) {
  Fed fed;
  fed.clock -= fed.clock % kGraphTick;
  const std::uint64_t begin = fed.clock;
  fed.add("front", "f1", kFront);
  fed.advance(4 * kSecond);
  fed.clock = begin;
  Message late = fed.requestOf("cart", "c1", kCart);
  fed.clock = begin + 4 * kSecond;
  otlp::Index index;
  otlp::WireError error;
  CHECK(otlp::index(otlp::Signal::Traces, late, index, error));
  fed.graph.add(index, {});
  checkShop(fed.tick());
}

TEST(messagesWaitForTheirReceiver) {
  Fed fed;
  fed.add("shop", "",
          {{"order-01", "", "POST /orders", kServer, 0, 20},
           {"send-001", "order-01", "orders publish", kProducer, 5, 10, false, "queue"}});
  // Long after the producer counted, the consumer takes a message that has waited for a minute.
  fed.add("shop", "", {});
  const std::uint64_t sent = fed.clock;
  const Told shop = fed.tick();
  CHECK(is(shop, "shop POST /orders", 1, 0.015, 0));
  CHECK(is(shop, "queue orders publish", 1, 0.005, 0));
  fed.clock = std::max(fed.clock, sent + 60 * kSecond);
  fed.advance(0);
  const double waited = static_cast<double>(fed.clock - sent) / 1e6;
  fed.add("mail", "", {{"take-001", "send-001", "orders process", kConsumer, 0, 30}});
  const Told& mail = fed.tick();
  CHECK(is(mail, "mail orders process", 1, (waited - 10 + 30) / 1000, 0));
  CHECK(is(mail, "shop POST /orders > mail orders process", 1, (waited - 10 + 30) / 1000, 0));
}

TEST(callsToServicesThatSendSpansAreTheirs) {
  Fed fed;
  fed.add("cart", "c1", {{"cart-001", "", "Get", kServer, 0, 5}});
  // The answer to the first call is lost, and the second call got none.
  fed.add("front", "f1",
          {{"front-01", "", "GET /", kServer, 0, 100},
           {"call-001", "front-01", "cart.Get", kClient, 10, 60, false, "cart"},
           {"call-002", "front-01", "cart.Get", kClient, 60, 90, true, "cart"},
           // Nobody knows whom this one calls.
           {"call-003", "front-01", "fetch", kClient, 90, 95}});
  const Told& told = fed.tick();
  CHECK(is(told, "front GET / f1", 1, 0.015, 0));
  CHECK(is(told, "cart cart.Get", 1, 0.030, 1));
  CHECK(is(told, "front fetch f1", 1, 0.005, 0));
}

TEST(faultsDoNotBecomeUsual) {
  Fed fed;
  Random random(1);
  const auto minutes = [&](int count, double ms) {
    for (int i = 0; i < 6 * count; ++i) {
      for (int k = 0; k < 10; ++k) {
        fed.trace = "trace-" + std::to_string(1'000'000'000 + fed.clock / kSecond * 10 + static_cast<std::uint64_t>(k));
        fed.add("cart", k % 2 ? "c1" : "c2", {{"cart-001", "", "Get", kServer, 0, ms * (0.9 + 0.2 * random.below(100) / 100.0)}});
      }
      fed.advance(kGraphTick);
    }
  };
  minutes(60, 20);
  CHECK(near(fed.told.back().usual.at("cart Get c1").count, 5));
  CHECK(std::abs(fed.told.back().usual.at("cart Get c1").seconds - 0.1) < 0.005);
  minutes(9, 200);
  CHECK(fed.told.back().now.at("cart Get c1").seconds > 0.9);
  CHECK(std::abs(fed.told.back().usual.at("cart Get c1").seconds - 0.1) < 0.005);
  // What is usual for the operation is expected of a new host.
  fed.trace = "trace-of-new-one";
  fed.add("cart", "c3", {{"cart-001", "", "Get", kServer, 0, 20}});
  CHECK(std::abs(fed.tick().usual.at("cart Get c3").seconds - 0.02) < 0.001);
}

TEST(ticksAreToldSoonAfterTheirEnd) {
  Fed fed;
  fed.clock -= fed.clock % kGraphTick;
  fed.advance(0);
  const std::uint64_t time = fed.clock;
  fed.add("cart", "c1", {{"cart-001", "", "Get", kServer, 0, 10}});
  fed.clock += kGraphTick - kSecond;
  fed.advance(0);
  fed.add("cart", "c1", {{"cart-002", "", "Get", kServer, 0, 10}});
  fed.advance(kSecond + ServiceGraph::kToldAfter - 1);
  CHECK(std::ranges::find(fed.told, time, &Told::time) == fed.told.end());
  fed.advance(1);
  CHECK(fed.told.back().time == time && is(fed.told.back(), "cart Get c1", 2, 0.020, 0));
  // What comes later is not lost.
  fed.clock -= ServiceGraph::kToldAfter;
  fed.add("cart", "c1", {{"cart-003", "", "Get", kServer, -8'000, -7'990}});
  fed.clock += ServiceGraph::kToldAfter;
  fed.advance(kGraphTick);
  CHECK(fed.told.back().time == time + kGraphTick && is(fed.told.back(), "cart Get c1", 1, 0.010, 0));
}

TEST(youngGraphsKnowWhatIsUsual) {
  Fed fed;
  const auto tick = [&](double ms) -> const Told& {
    fed.trace = "trace-" + std::to_string(1'000'000'000 + fed.clock / kSecond);
    fed.add("cart", "c1", {{"cart-001", "", "Get", kServer, 0, ms}});
    fed.advance(kGraphTick);
    return fed.told.back();
  };
  for (int i = 0; i < 6; ++i) tick(20);
  CHECK(near(tick(20).usual.at("cart Get c1").seconds, 0.020));
  // Short stretches become longer ones, of which nothing is lost.
  for (int i = 0; i < 600; ++i) CHECK(near(tick(20).usual.at("cart Get c1").seconds, 0.020));
}

TEST(graphsAreBounded) {
  Fed fed;
  for (std::size_t i = 0; i < 2 * ServiceGraph::kMostOperations; ++i) {
    if (i % 1000 == 0) fed.advance(kGraphTick);
    fed.trace = "trace-" + std::to_string(1'000'000'000 + i);
    std::string name;
    for (std::size_t rest = i + 1; rest > 0; rest /= 20) name += static_cast<char>('a' + rest % 20);
    fed.add("shop", "",
            {{"span-001", "", name, kServer, 0, 5}, {"span-002", "span-001", "call " + name, kClient, 1, 2, false, "db"}});
  }
  CHECK(fed.graph.places() == ServiceGraph::kMostOperations);
  CHECK(fed.graph.calls() <= ServiceGraph::kMostCalls);
  CHECK(fed.graph.gaveWay() > ServiceGraph::kMostOperations);
  // Of many spans, some traces are looked at, each of them as a whole.
  Fed busy;
  for (int i = 0; i < 40'000; ++i) {
    busy.trace = "trace-" + std::to_string(1'000'000'000 + i);
    busy.add("shop", "",
             {{"span-001", "", "GET /", kServer, 0, 5}, {"span-002", "span-001", "SELECT", kClient, 1, 2, false, "db"}});
  }
  CHECK(busy.graph.spans() < 4 * ServiceGraph::kMostPerTick);
  const Told& told = busy.tick();
  CHECK(told.now.at("shop GET /").count == told.now.at("db SELECT").count);
  CHECK(near(told.now.at("shop GET /").seconds, 0.004 * told.now.at("shop GET /").count));
}

TEST(clocksMayJump) {
  Fed fed;
  fed.add("cart", "c1", kCart);
  fed.add("front", "f1", kFront);
  const std::uint64_t time = fed.clock - fed.clock % kGraphTick;
  fed.advance(86'400 * kSecond);
  CHECK(fed.told.size() < 100);
  const auto found = std::ranges::find(fed.told, time, &Told::time);
  CHECK(found != fed.told.end());
  checkShop(*found);
  // A clock that was set back goes on from there.
  fed.told.clear();
  fed.clock -= 86'000 * kSecond;
  fed.advance(0);
  fed.add("cart", "c1", kCart);
  fed.add("front", "f1", kFront);
  fed.told.clear();
  checkShop(fed.tick());
}

TEST(restoredGraphsGoOn) {
  Bench one(settingsOf()), two(settingsOf(3));
  Fed fed;
  const auto step = [&](Bench& bench, int i) {
    fed.trace = "trace-" + std::to_string(1'000'000'000 + i / 2);
    return bench.process(otlp::Signal::Traces, i % 2 ? fed.requestOf("cart", "c1", kCart) : fed.requestOf("front", "f1", kFront));
  };
  for (int i = 0; i < 500; ++i, fed.clock += kSecond) step(one, i);
  CHECK(two.restore(one.snapshot()));
  CHECK(two.snapshot() == one.snapshot());
  CHECK(two.engine.stats().graphPlaces == one.engine.stats().graphPlaces && one.engine.stats().graphPlaces == 4);
  std::size_t pages = 0;
  for (int i = 500; i < 700; ++i, fed.clock += kSecond) {
    const auto a = step(one, i), b = step(two, i);
    CHECK(a->page == b->page);
    pages += !a->page.empty();
  }
  CHECK(pages >= 15);
  // Time passes without spans as well.
  CHECK(!one.advance(30 * kSecond)->page.empty());
}

TEST(whatARestoredGraphMayHoldCanBeRestoredAgain) {
  // A snapshot that was altered may hold the largest numbers; the sums of a history stay finite then.
  History history;
  constexpr double kMost = 1e308;
  for (std::uint64_t tick = 1; tick < 400; ++tick) history.close({kMost, kMost, kMost, kMost}, kMost, tick);
  CHECK(history.sound());
  CHECK(!(Figures{.count = -1}).sound());
  CHECK(!(Figures{.seconds = HUGE_VAL}).sound());

  // A span that has not come yet cannot have counted, and only those that have come and not counted are about to count.
  CHECK((OpenSpan{.known = true}).sound(kCounting));
  CHECK((OpenSpan{.known = true, .counted = true}).sound(kWaiting));
  CHECK((OpenSpan{}).sound(kWaiting));
  CHECK(!(OpenSpan{.counted = true}).sound(kWaiting));
  CHECK(!(OpenSpan{.known = true}).sound(kWaiting));
  CHECK(!(OpenSpan{}).sound(kCounting));
}

}  // namespace
