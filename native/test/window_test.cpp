#include "base/window.hpp"

#include <deque>
#include <string>

#include "base/clock.hpp"
#include "codec/codec.hpp"
#include "engine/shelf.hpp"
#include "requests.hpp"
#include "stream/excerpt.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

Bytes bytes(const std::string& text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

std::deque<std::string> contents(const auto& window) {
  std::deque<std::string> out;
  window.forEach([&](Bytes record) { out.emplace_back(record.begin(), record.end()); });
  return out;
}

/// Checks that the window keeps the last records that fit, whatever their sizes: only its memory differs from that of a
/// list truncated at the front.
TEST(keepsTheLast) {
  Random random(1);
  for (const auto& [records, size] : {std::pair{1u, 100u}, {7u, 100u}, {1000u, 4096u}}) {
    Window window(records, size);
    std::deque<std::string> expected;
    std::size_t used = 0;
    for (int i = 0; i < 5'000; ++i) {
      const std::string record(random.below(i % 100 == 0 ? size + 50 : size / 6), static_cast<char>('a' + i % 26));
      window.push(bytes(record));
      if (record.size() <= size) {
        expected.push_back(record);
        used += record.size();
        while (expected.size() > records || used > size) {
          used -= expected.front().size();
          expected.pop_front();
        }
      }
      if (i % 499 == 0 && contents(window) != expected) CHECK(false);
      CHECK(window.records() == expected.size());
      CHECK(window.memory() <= size + 2 * (4 * records + 200));
    }
    CHECK(contents(window) == expected);
    window.compact();
    CHECK(contents(window) == expected);
    CHECK(window.memory() == used + 2 * expected.size());
    std::vector<std::uint8_t> saved;
    window.snapshot(saved);
    const Excerpt excerpt(window);
    std::vector<std::uint8_t> again;
    excerpt.snapshot(again);
    CHECK(contents(excerpt) == expected && again == saved);
    CHECK(records < 1000 || excerpt.memory() < saved.size() / 2);
    Window other(records, size), smaller(records, size / 2), fewer(records - 1, size);
    CHECK(other.restore(saved));
    CHECK(contents(other) == expected);
    CHECK(!smaller.restore(saved) || used <= size / 2);
    CHECK(!fewer.restore(saved) || expected.size() < records);
    for (std::size_t cut = 0; cut < saved.size(); cut += 31) CHECK(!Window(records, size).restore(Bytes(saved).first(cut)));
  }
}

TEST(anExcerptMayBeEmpty) {
  std::vector<std::uint8_t> saved, again;
  Window(7, 100).snapshot(saved);
  for (const Excerpt& excerpt : {Excerpt(), Excerpt(Window(7, 100))}) {
    again.clear();
    excerpt.snapshot(again);
    CHECK(contents(excerpt).empty() && again == saved);
  }
}

TEST(fitsSaysSo) {
  Window window(2, 10);
  CHECK(window.fits(bytes("0123456789")));
  CHECK(!window.fits(bytes("0123456789a")));
  window.push(bytes("012345"));
  CHECK(window.fits(bytes("6789")));
  CHECK(!window.fits(bytes("67890")));
  window.push(bytes(""));
  CHECK(!window.fits(bytes("")));
}

constexpr std::uint64_t kDay = 86'400 * kSecond;

TEST(clockRunsOn) {
  StreamClock clock;
  clock.observe(0);
  clock.observe(0);
  CHECK(clock.now() == 2 * kSecond);
  clock.observe(kStart);
  CHECK(clock.now() == kStart);
  clock.observe(kStart + 5);
  clock.observe(kStart + 2);
  clock.observe(0);
  CHECK(clock.now() == kStart + 5);
  // A gap of a minute is one.
  clock.observe(kStart + 60 * kSecond);
  CHECK(clock.now() == kStart + 60 * kSecond);
  CHECK(clock.eventAt(clock.now()) == kStart + 60 * kSecond);
}

constexpr std::uint64_t kHour = 3600 * kSecond;

/// Checks that a few requests with a wrong clock, however wrong in either direction, move nothing but show how time passes; eight
/// in a row do.
TEST(wrongClocks) {
  for (const std::uint64_t wrong : {2 * 60 * kSecond, kHour, 8 * kHour, 23 * kHour, 25 * kHour, 40 * kDay, 30'000 * kDay}) {
    for (const bool ahead : {false, true}) {
      for (int odd = 1; odd <= 9; ++odd) {
        StreamClock clock;
        std::uint64_t time = kStart + 30'000 * kDay;
        for (int i = 0; i < 100; ++i) CHECK(clock.observe(time += kSecond / 5));
        for (int i = 0; i < odd; ++i) {
          const std::uint64_t now = clock.now();
          time += kSecond / 5;
          CHECK(clock.observe(ahead ? time + wrong : time - wrong) == (i >= 8));
          CHECK(i >= 8 || clock.now() - now == (i == 0 ? 0 : kSecond / 5));
        }
        // The right ones move it again, at once or when they have set it back.
        const std::uint64_t before = clock.now();
        for (int i = 0; i < 40; ++i) clock.observe(time += kSecond / 5);
        CHECK(clock.eventAt(clock.now()) == time);
        CHECK(clock.now() - before >= 7 * kSecond && clock.now() - before <= 9 * kSecond);
      }
    }
  }
}

/// Checks that one request with a wrong clock moves nothing, however many records it has, and nor do some records of each
/// request.
TEST(wrongRequests) {
  for (const bool whole : {false, true}) {
    StreamClock clock;
    std::uint64_t time = kStart;
    for (int request = 0; request < 500; ++request) {
      for (int i = 0; i < 100; ++i) {
        const bool wrong = whole ? request > 100 && request % 50 < 7 : i % 10 < 9 && request > 100;
        clock.observe((time += kSecond / 100) + (wrong ? 5 * kHour : 0), i == 0);
      }
    }
    CHECK(clock.now() > kStart + 499 * kSecond && clock.now() <= kStart + 500 * kSecond);
    CHECK(clock.eventAt(clock.now()) <= kStart + 500 * kSecond);
  }
}

/// Checks that a sender whose clock is always wrong, among others, never moves the time by more than what has passed.
TEST(wrongForGood) {
  StreamClock clock;
  std::uint64_t time = kStart;
  for (int round = 0; round < 100; ++round) {
    for (int i = 0; i < 190; ++i) clock.observe(time += kSecond / 10);
    for (int i = 0; i < 10; ++i) clock.observe(time + 8 * kHour);
  }
  const std::uint64_t passed = time - kStart;
  // Ten requests in a row are believed once, and not again.
  CHECK(clock.now() - kStart > passed * 7 / 10 + 8 * kHour && clock.now() - kStart < passed * 13 / 10 + 8 * kHour);
}

/// Checks that a usual step of a stream with rare requests is not a jump, even if its steps vary and each request has many
/// records. When all have jumped, the time follows soon.
TEST(seldomAndResumed) {
  StreamClock clock;
  std::uint64_t time = kStart;
  clock.observe(time);
  for (int i = 0; i < 50; ++i) CHECK(clock.observe(time += 10 * 60 * kSecond));
  CHECK(clock.now() == time);
  CHECK(!clock.observe(time + 8 * kHour));
  CHECK(clock.observe(time += 10 * 60 * kSecond) && clock.now() == time);

  StreamClock batches;
  for (std::uint64_t i = 0, at = kStart; i < 50; ++i, at += (i % 3 + 1) * kHour) {
    for (std::uint64_t k = 0; k < 100; ++k) CHECK(batches.observe(at + k * kSecond / 10, k == 0));
  }

  StreamClock resumed;
  for (int i = 0; i < 50; ++i) resumed.observe(kStart + static_cast<std::uint64_t>(i) * kSecond);
  for (int i = 0; i < 9; ++i) CHECK(resumed.observe(kStart + 5 * kDay + static_cast<std::uint64_t>(i) * kSecond) == (i == 8));
  CHECK(resumed.now() == kStart + 5 * kDay + 8 * kSecond);
}

TEST(clockGoesBack) {
  StreamClock clock;
  clock.observe(kStart + 900 * kDay);
  for (int i = 0; i < 32; ++i) clock.observe(kStart + static_cast<std::uint64_t>(i) * kSecond);
  const std::uint64_t now = clock.now();
  CHECK(now == kStart + 900 * kDay + 31 * kSecond);
  CHECK(clock.eventAt(now) == kStart + 31 * kSecond);
  clock.observe(kStart + 60 * kSecond);
  CHECK(clock.now() == now + 29 * kSecond);
  CHECK(clock.eventAt(clock.now()) == kStart + 60 * kSecond);
  // However often it is set, `now` only advances, and by at most a month and the usual steps.
  Random random(1);
  std::uint64_t last = clock.now();
  for (int i = 0; i < 5'000; ++i) {
    const std::uint64_t time = static_cast<std::uint64_t>(random.next()) << 32 | random.next();
    for (int k = 0; k < 17; ++k) clock.observe(time);
    CHECK(clock.now() >= last);
    CHECK(clock.now() - last <= 130 * kDay);
    last = clock.now();
  }
}

/// A shelf, with what saves it.
struct SavedShelf {
  std::unique_ptr<const Codec> codec = makeCodec(CodecName::Lz4);
  Saves saves{KeyedHash({1, 2}), *codec};
  Shelf shelf{10'000, saves};
};

TEST(shelfIsBounded) {
  SavedShelf saved;
  Shelf& shelf = saved.shelf;
  std::size_t gone = 0;
  const auto put = [&](const StreamId& id, std::vector<std::uint8_t> packed) {
    return shelf.put(id, std::move(packed), [&](const StreamId&, Bytes) { ++gone; });
  };
  for (std::uint64_t i = 0; i < 100; ++i) {
    CHECK(put({i, "tenant"}, std::vector<std::uint8_t>(800, static_cast<std::uint8_t>(i))));
    CHECK(shelf.bytes() <= 10'000);
  }
  CHECK(shelf.size() == 10);
  CHECK(gone == 90);
  CHECK(!shelf.take({0, "tenant"}));
  CHECK(!shelf.take({99, "another"}));
  const auto packed = shelf.take({99, "tenant"});
  CHECK(packed && packed->size() == 800 && packed->front() == 99);
  CHECK(!shelf.take({99, "tenant"}));
  CHECK(put({98, "tenant"}, {1, 2, 3}));
  CHECK(shelf.size() == 9);
  CHECK(shelf.take({98, "tenant"})->size() == 3);
  CHECK(!put({7, "tenant"}, std::vector<std::uint8_t>(20'000)));
  CHECK(!shelf.take({7, "tenant"}));
  while (shelf.size() > 0) {
    std::uint64_t oldest = 0;
    shelf.forEach([&](const Savable& each) { oldest = each.savedKey().number; });
    CHECK(shelf.take({oldest, "tenant"}));
  }
  CHECK(shelf.bytes() == 0);
}

/// Checks that, whatever one tenant puts on the shelf, another keeps what it has there up to its share.
TEST(shelfIsShared) {
  SavedShelf saved;
  Shelf& shelf = saved.shelf;
  const auto put = [&](const StreamId& id) {
    shelf.put(id, std::vector<std::uint8_t>(800), [](const StreamId& dropped, Bytes) { CHECK(dropped.tenant != "quiet"); });
  };
  for (std::uint64_t i = 0; i < 20; ++i) put({i, "noisy"});
  for (std::uint64_t i = 0; i < 4; ++i) put({i, "quiet"});
  for (std::uint64_t i = 20; i < 200; ++i) put({i, i % 3 ? "noisy" : "other"});
  for (std::uint64_t i = 0; i < 3; ++i) CHECK(shelf.take({i, "quiet"}));
}

}  // namespace
