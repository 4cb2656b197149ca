#include "channels/sequence/sequence.hpp"

#include <algorithm>
#include <vector>

#include "base/portable_math.hpp"
#include "test.hpp"

using namespace driftlock;

namespace {

double learnSession(SequenceModel& model, const std::vector<std::uint32_t>& ids) {
  SequenceContext context;
  double bits = 0;
  for (const std::uint32_t id : ids) {
    const double cost = model.cost(context, id);
    model.learn(context, id, cost);
    bits += cost;
  }
  const double cost = model.endCost(context);
  model.learnEnd(context, cost);
  return bits + cost;
}

double scoreSession(const SequenceModel& model, const std::vector<std::uint32_t>& ids) {
  SequenceContext context;
  SequenceScore score;
  for (const std::uint32_t id : ids) {
    score.add(model.cost(context, id), model.meanCost());
    context.push(id);
  }
  score.add(model.endCost(context), model.meanCost());
  return score.value();
}

/// Sums the probabilities of everything that can come next.
double totalProbability(const SequenceModel& model, const SequenceContext& context) {
  double sum = model.novelty(context);
  for (const ExpectedId& next : model.expected(context, 100000)) sum += next.probability;
  return sum;
}

/// A deterministic source of ids that repeat themselves.
struct Source {
  std::uint64_t state = 1;
  std::uint32_t below(std::uint32_t n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::uint32_t>((state >> 33) % n);
  }
};

TEST(knownValues) {
  SequenceModel model;
  SequenceContext start;
  CHECK(model.cost(start, 7) == 0);
  CHECK(model.novelty(start) == 1);
  learnSession(model, {1, 2});
  // Order 1 after the beginning: {1: 1}, so 1/2, escape 1/2. Order 0 without 1: {2: 1, end: 1}, both seen once, so
  // 1/5 each and 3/5 for a new id.
  CHECK_NEAR(model.cost(start, 1), 1, 1e-12);
  CHECK_NEAR(model.cost(start, 2), portableLog2(10), 1e-12);
  CHECK_NEAR(model.endCost(start), portableLog2(10), 1e-12);
  CHECK_NEAR(model.novelty(start), 0.3, 1e-12);
  // After a repetition: order 1 after the beginning {1: 2}: 2/3, escape 1/3. Order 0 without 1: {2: 2, end: 2}, none
  // seen once: 2/5 each and 1/5.
  learnSession(model, {1, 2});
  CHECK_NEAR(model.cost(start, 1), portableLog2(1.5), 1e-12);
  CHECK_NEAR(model.cost(start, 2), portableLog2(7.5), 1e-12);
  CHECK_NEAR(model.novelty(start), 1.0 / 15, 1e-12);
  const std::vector<ExpectedId> next = model.expected(start, 2);
  CHECK(next.size() == 2 && next[0].id == 1 && next[1].id == 2);
  CHECK_NEAR(next[0].probability, 2.0 / 3, 1e-12);
  CHECK_NEAR(next[1].probability, 2.0 / 15, 1e-12);
}

TEST(probabilitiesSumToOne) {
  SequenceModel model({128, 256, 64});
  Source source;
  SequenceContext context;
  for (int i = 0; i < 5000; ++i) {
    const std::uint32_t id = source.below(3) ? context.ids[0] % 17 + 1 : source.below(40);
    if (i % 50 == 0) CHECK_NEAR(totalProbability(model, context), 1, 1e-9);
    if (i % 50 == 0)
      for (const ExpectedId& next : model.expected(context, 5))
        if (next.id != kEndOfSession) CHECK_NEAR(model.cost(context, next.id), -portableLog2(next.probability), 1e-9);
    model.learn(context, id, model.cost(context, id));
    if (source.below(20) == 0) {
      model.learnEnd(context, model.endCost(context));
      context = {};
    }
  }
}

TEST(costsFallWithRepetition) {
  SequenceModel model;
  learnSession(model, {5, 6, 7, 8});
  double previous = learnSession(model, {5, 6, 7, 8});
  for (int i = 0; i < 50; ++i) {
    const double bits = learnSession(model, {5, 6, 7, 8});
    CHECK(bits < previous);
    previous = bits;
  }
  const double usual = scoreSession(model, {5, 6, 7, 8});
  CHECK(scoreSession(model, {5, 6, 8}) > usual + 2);     // an id is missing
  CHECK(scoreSession(model, {5, 7, 6, 8}) > usual + 2);  // out of order
  CHECK(scoreSession(model, {5, 6}) > usual + 2);        // cut short
  CHECK(scoreSession(model, {5, 6, 7, 8, 8}) > usual + 2);
  CHECK(scoreSession(model, {5, 6, 99, 7, 8}) > usual + 2);  // a new id
  CHECK(scoreSession(model, {5, 6, 5, 6, 5, 6, 7, 8}) > usual + 2);
}

TEST(anotherPlaceCostsWhatPlacesSay) {
  SequenceModel model;
  // 4 is rare after 2, and never came after 1.
  for (int i = 0; i < 80; ++i) learnSession(model, {1, 3});
  for (int i = 0; i < 240; ++i) learnSession(model, {2, i % 40 == 0 ? 4u : 3u});
  SequenceContext context;
  context.push(1);
  const double bits = model.cost(context, 4);
  CHECK(bits > 8 && bits < 11);
  // How often other sessions come says nothing about that.
  for (int i = 0; i < 5000; ++i) learnSession(model, {2, 3});
  CHECK(model.cost(context, 4) < bits + 0.5);
  CHECK(model.cost(context, 5) > bits + 5);
}

TEST(placesAreBounded) {
  SequenceModel model;
  Source source;
  SequenceContext context;
  // Two ids come in thousands of places.
  for (int i = 0; i < 20000; ++i) model.learn(context, i % 2 ? source.below(800) : i % 4, 1);
  CHECK_NEAR(totalProbability(model, context), 1, 1e-9);
  std::vector<std::uint8_t> bytes;
  model.snapshot(bytes);
  SequenceModel other;
  CHECK(other.restore(bytes));
  CHECK(other.cost(context, 7) == model.cost(context, 7));
}

TEST(scoreOfAStretch) {
  SequenceScore score;
  CHECK(score.value() < -1e300);
  for (int i = 0; i < 10; ++i) score.add(1, 1);
  for (const double bits : {9.0, 12.0, 8.0}) score.add(bits, 1);
  for (int i = 0; i < 10; ++i) score.add(1, 1);
  CHECK_NEAR(score.value(), 29 - 3 * 3 - portableLog2(23), 1e-12);
  CHECK(score.count() == 23);
}

TEST(memoryIsBounded) {
  SequenceModel model;
  CHECK(model.memory() <= 1024);
  Source source;
  SequenceContext context;
  for (int i = 0; i < 200000; ++i) model.learn(context, source.below(1u << 31), 1);  // every id is new
  for (int i = 0; i < 2000; ++i) {
    context = {};
    context.push(1);
    model.learn(context, static_cast<std::uint32_t>(i), 1);  // one context with ever more successors
  }
  CHECK(model.memory() <= 28 * 1024);
  CHECK_NEAR(totalProbability(model, context), 1, 1e-9);
  // The model still learns.
  for (int i = 0; i < 20; ++i) learnSession(model, {3, 4});
  context = {};
  CHECK(model.cost(context, 3) < 1);
  SequenceModel smallest({0, 0, 0});
  for (int i = 0; i < 20000; ++i) smallest.learn(context, source.below(500), 1);
  CHECK_NEAR(totalProbability(smallest, context), 1, 1e-9);
}

TEST(ageingKeepsWhatIsUsed) {
  SequenceModel model({256, 512, 128});
  Source source;
  for (int i = 0; i < 3000; ++i) {
    learnSession(model, {1, 2, 3, 4, 5});
    learnSession(model, {source.below(60) + 100, source.below(60) + 100, source.below(60) + 100});
  }
  SequenceContext context;
  for (const std::uint32_t id : {1u, 2u, 3u, 4u}) context.push(id);
  CHECK(model.cost(context, 5) < 0.1);
}

TEST(reservedIdsAreOne) {
  SequenceModel model;
  SequenceContext context;
  for (int i = 0; i < 3; ++i) {
    context = {};
    model.learn(context, 0xFFFFFFFFu, 0);
  }
  CHECK(context.ids[0] == kLargestId);
  const SequenceContext start;
  CHECK(model.cost(start, 0xFFFFFFFEu) == model.cost(start, kLargestId));
  CHECK(model.endCost(start) > model.cost(start, kLargestId));
}

TEST(snapshotsContinue) {
  Source source;
  SequenceModel model({256, 512, 128});
  SequenceContext context;
  for (int i = 0; i < 4000; ++i) model.learn(context, source.below(3) ? context.ids[0] % 11 : source.below(90), 2);
  std::vector<std::uint8_t> bytes;
  model.snapshot(bytes);
  SequenceModel other({256, 512, 128});
  CHECK(other.restore(bytes));
  SequenceContext otherContext = context;
  for (int i = 0; i < 4000; ++i) {
    const std::uint32_t id = source.below(3) ? context.ids[0] % 11 : source.below(90);
    const double cost = model.cost(context, id);
    CHECK(cost == other.cost(otherContext, id));
    model.learn(context, id, cost);
    other.learn(otherContext, id, cost);
  }
  std::vector<std::uint8_t> a, b;
  model.snapshot(a);
  other.snapshot(b);
  CHECK(a == b);

  SequenceModel wrongLimits;
  CHECK(!wrongLimits.restore(bytes));
  for (std::size_t cut = 0; cut < bytes.size(); cut += 7) CHECK(!other.restore(Bytes(bytes).first(cut)));
  bytes.push_back(0);
  CHECK(!other.restore(bytes));
  bytes.pop_back();
  // Hostile bytes are refused or make a model that works; they never break one.
  std::size_t refused = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::vector<std::uint8_t> hostile = bytes;
    hostile[i] ^= static_cast<std::uint8_t>(1u << (i % 8));
    SequenceModel victim({256, 512, 128});
    if (!victim.restore(hostile)) {
      ++refused;
      continue;
    }
    SequenceContext at;
    for (std::uint32_t id = 0; id < 20; ++id) victim.learn(at, id, victim.cost(at, id));
    if (i % 97 == 0) CHECK_NEAR(totalProbability(victim, at), 1, 1e-9);
  }
  CHECK(refused > bytes.size() / 4);
  b.clear();
  other.snapshot(b);
  CHECK(a == b);  // a refused restore changes nothing
}

}  // namespace
