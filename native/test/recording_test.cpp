// Checks that a recording is enough to compute the verdict again that began an anomaly.

#include "recording/recompute.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "codec/codec.hpp"
#include "engine_bench.hpp"
#include "otlp/wire.hpp"
#include "recording/recording.hpp"
#include "test.hpp"
#include "traffic.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

constexpr std::uint32_t kExcerpts = 25, kRecording = 36;

/// A report without its excerpts, and its recording.
struct First {
  std::vector<std::uint8_t> report, recording;
  bool news = false;
  std::uint64_t occurrence = 0, state = 0, channel = 0;
  bool silence = true;
};

First read(Bytes message) {
  First first;
  otlp::Cursor in(message);
  while (const std::uint32_t tag = in.tag()) {
    const std::uint8_t* const start = in.start();
    const std::uint32_t number = tag >> 3;
    if (number == kRecording) {
      const Bytes bytes = in.payload();
      first.recording.assign(bytes.begin(), bytes.end());
      continue;
    }
    if (number == 14) first.occurrence = in.varint();
    else if (number == 20) first.state = in.varint();
    else if (number == 27) first.news = in.varint() != 0;
    else if (number == 5) first.channel = in.varint();
    else in.skip(tag);
    if (number == 15) first.silence = false;
    // Its excerpts are compressed.
    if (number == kExcerpts) continue;
    first.report.insert(first.report.end(), start, in.at());
  }
  CHECK(!in.failure());
  return first;
}

/// Whether a later report has a recording only if it is news, and is computed again from it.
bool isRecordedIfNews(const First& later) {
  if (later.recording.empty()) return true;
  return later.news && later.state == 0 && read(recompute(later.recording)).occurrence == later.occurrence;
}

/// The first reports of some traffic, by an engine that records.
std::vector<First> firstReports(std::uint32_t threads, int steps = 3000) {
  Settings settings = settingsOf(threads);
  settings.recordings = true;
  auto bench = std::make_unique<Bench>(settings);
  Traffic traffic;
  std::vector<First> all;
  const auto keep = [&](const Task& task) {
    for (const auto& message : task.anomalies) {
      First first = read(message);
      if (first.occurrence == 1 && first.state == 0) all.push_back(std::move(first));
      else CHECK(isRecordedIfNews(first));
    }
  };
  for (int i = 0; i < steps; ++i) {
    const auto step = traffic.next();
    keep(*bench->process(step.signal, step.bytes));
    if (i % 500 == 499) {
      for (int k = 0; k < 20; ++k) keep(*bench->advance(30 * kSecond));
    }
    if (i % 1000 == 700) {
      const auto snapshot = bench->snapshot();
      bench = std::make_unique<Bench>(settings);
      CHECK(bench->restore(snapshot));
    }
  }
  return all;
}

TEST(recomputesFirstReports) {
  std::map<std::uint64_t, int> recorded;
  int missing = 0;
  for (const First& first : firstReports(1)) {
    if (first.recording.empty()) {
      ++missing;
      continue;
    }
    ++recorded[first.channel];
    CHECK(read(recompute(first.recording)).report == first.report);
  }
  CHECK(recorded.size() >= 2);
  CHECK(missing == 0);
}

TEST(readsTheFormatsThatItNames) {
  const auto isRefused = [](auto&& read) {
    try {
      read();
      return false;
    } catch (const OtherFormat& refused) {
      const std::string text = refused.what(), oldest = std::to_string(kOldestRecordingFormat);
      return text.find("from format " + oldest + " on") != std::string::npos ||
             text.find("formats " + oldest + " to " + std::to_string(kRecordingFormat)) != std::string::npos;
    }
  };
  for (const First& first : firstReports(1, 1500)) {
    if (first.recording.empty()) continue;
    Recording recording = readRecording(first.recording);
    CHECK(recording.format == kRecordingFormat);
    if (recording.group) continue;
    recording.format = kOldestRecordingFormat;
    judgeAgain(recording);
    // As if a channel of the stream had changed since.
    --recording.format;
    CHECK(isRefused([&] { judgeAgain(recording); }));
    // The first field is a byte.
    for (const std::uint32_t format : {kOldestRecordingFormat - 1, kRecordingFormat + 1}) {
      std::vector<std::uint8_t> other = first.recording;
      other[1] = static_cast<std::uint8_t>(format);
      CHECK(isRefused([&] { readRecording(other); }));
    }
  }
}

TEST(recordsTheSameOnAnyNumberOfThreads) {
  const auto one = firstReports(1, 800), four = firstReports(4, 800);
  CHECK(one.size() == four.size() && !one.empty());
  for (std::size_t i = 0; i < one.size(); ++i) CHECK(one[i].recording == four[i].recording);
}

}  // namespace
