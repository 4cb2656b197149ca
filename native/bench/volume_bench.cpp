// AUC of ticks with a planted burst or silence against the same ticks without, in normal log lines.
//   volume_bench FILE.tsv...   lines of: label (0 is normal), key, log line

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "channels/volume/mix.hpp"
#include "channels/volume/volume.hpp"

using namespace driftlock;

namespace {

constexpr std::uint32_t kTick = 50;
constexpr std::uint64_t kDay = std::uint64_t{86400} * 1000000000;
constexpr std::size_t kTraining = 400, kBurst = 15;

using Ids = std::vector<std::uint32_t>;

struct Source {
  std::uint64_t state = 1;
  std::size_t below(std::size_t n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::size_t>((state >> 33) % n);
  }
};

/// Reads the templates of the normal lines: words with a digit in them are variables.
Ids read(const char* path, std::size_t first, std::size_t count) {
  std::ifstream file(path);
  std::map<std::string, std::uint32_t> templates;
  Ids ids;
  for (std::string line; ids.size() < count && std::getline(file, line);) {
    if (line.empty() || line[0] != '0') continue;
    if (first > 0) {
      --first;
      continue;
    }
    std::istringstream words(line.substr(line.find('\t', 2) + 1));
    std::string masked;
    for (std::string word; words >> word;) masked += word.find_first_of("0123456789") == std::string::npos ? word + ' ' : "# ";
    ids.push_back(templates.emplace(masked, static_cast<std::uint32_t>(templates.size())).first->second);
  }
  return ids;
}

double feed(TemplateMix& mix, const std::uint32_t* ids) {
  for (std::size_t i = 0; i + 1 < kTick; ++i) mix.count(ids[i]);
  return mix.count(ids[kTick - 1])->score;
}

double auc(const std::vector<double>& high, const std::vector<double>& low) {
  double area = 0;
  for (const double h : high)
    for (const double l : low) area += h > l ? 1 : h == l ? 0.5 : 0;
  return area / (static_cast<double>(high.size()) * static_cast<double>(low.size()));
}

struct Result {
  double burst = 0, silence = 0;
};

Result plant(const Ids& ids, bool byFrequency, bool together) {
  TemplateMix mix(kTick);
  Source source;
  std::vector<double> normal, bursts, silences;
  std::size_t at = 0;
  for (; at < kTraining; at += kTick) feed(mix, &ids[at]);
  for (; at + 3 * kTick < ids.size(); at += kTick) {
    Ids known(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(at));
    if (!byFrequency) {
      std::sort(known.begin(), known.end());
      known.erase(std::unique(known.begin(), known.end()), known.end());
    }
    Ids window(ids.begin() + static_cast<std::ptrdiff_t>(at), ids.begin() + static_cast<std::ptrdiff_t>(at + kTick));
    Ids planted = window;
    const std::uint32_t id = known[source.below(known.size())];
    const std::size_t from = source.below(kTick - kBurst + 1);
    for (std::size_t i = 0; i < kBurst; ++i) planted[together ? from + i : i * kTick / kBurst] = id;
    TemplateMix copy = mix;
    bursts.push_back(feed(copy, planted.data()));

    std::map<std::uint32_t, std::size_t> recent;
    for (std::size_t i = at - 300; i < at; ++i) ++recent[ids[i]];
    Ids frequent;
    for (const auto& [other, n] : recent)
      if (n >= 30) frequent.push_back(other);
    if (!frequent.empty()) {
      const std::uint32_t stopped = frequent[source.below(frequent.size())];
      Ids rest;
      for (std::size_t i = at; i < ids.size() && rest.size() < kTick; ++i)
        if (ids[i] != stopped) rest.push_back(ids[i]);
      if (rest.size() == kTick) {
        copy = mix;
        silences.push_back(feed(copy, rest.data()));
      }
    }
    normal.push_back(feed(mix, window.data()));
  }
  return {auc(bursts, normal), auc(silences, normal)};
}

}  // namespace

int main(int argc, char** argv) {
  std::puts(
      "AUC of 50-line ticks                       burst of any template   burst, by frequency\n"
      "                                            together  apart         together  apart       silence");
  for (int i = 1; i < argc; ++i)
    for (const bool shuffled : {false, true})
      for (const std::size_t first : {std::size_t{0}, std::size_t{8000}}) {
        Ids ids = read(argv[i], first, 6000);
        if (ids.size() < 1000) continue;
        Source source;
        if (shuffled)
          for (std::size_t k = ids.size() - 1; k > 0; --k) std::swap(ids[k], ids[source.below(k + 1)]);
        const std::string name = std::string(argv[i]).substr(std::string(argv[i]).rfind('/') + 1);
        const Result a = plant(ids, false, true), b = plant(ids, false, false);
        const Result c = plant(ids, true, true), d = plant(ids, true, false);
        std::printf("%-14s from %5zu %-9s         %8.3f %8.3f     %8.3f %8.3f     %8.3f\n", name.c_str(), first,
                    shuffled ? "shuffled" : "", a.burst, b.burst, c.burst, d.burst,
                    (a.silence + b.silence + c.silence + d.silence) / 4);
      }
  for (const std::uint64_t records : {50u, 1000u}) {
    Source source;
    VolumeModel channel(records, kDay);
    constexpr std::uint64_t kN = 1000000;
    const std::clock_t begin = std::clock();
    for (std::uint64_t i = 0; i < kN; ++i) {
      channel.advance(i);
      channel.count(i, static_cast<std::uint32_t>(std::min(source.below(40), source.below(40))));
    }
    const double took = 1e9 * static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    std::printf("%.0f ns of processor time a record at %u a tick and 40 templates, %zu bytes\n", took / kN,
                static_cast<unsigned>(records), channel.memory());
  }
  return 0;
}
