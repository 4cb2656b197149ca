// AUC of blocks in which one of ten fields is abnormal, against normal blocks of the same stream; how often that field is the one
// named; and the cost per record.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/hash.hpp"
#include "channels/fields/fields.hpp"

using namespace driftlock;

namespace {

/// No field is odd.
constexpr std::size_t kNone = 99;

std::mt19937_64 randomBits(7);

std::uint64_t hashOf(const std::string& word) { return KeyedHash({1, 2})(bytesOf(word)); }

double uniform() { return static_cast<double>(randomBits() >> 11) * 0x1p-53; }
double normal() { return std::sqrt(-2 * std::log(1 - uniform())) * std::cos(6.283185307179586 * uniform()); }

std::string letters(std::size_t size, const char* of) {
  std::string text;
  while (text.size() < size) text += of[randomBits() % std::strlen(of)];
  return text;
}
constexpr const char* kHex = "0123456789abcdef";
constexpr const char* kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

using Value = std::variant<std::monostate, std::string, std::int64_t, double>;
using Values = std::vector<Value>;
/// Fills a column; `how` is 0 for a normal window, or the number of an anomaly.
using Fill = std::function<void(Values&, int how)>;

std::size_t draw(const std::vector<double>& shares) {
  double sum = 0;
  for (double s : shares) sum += s;
  double at = uniform() * sum;
  std::size_t i = 0;
  while (i + 1 < shares.size() && (at -= shares[i]) >= 0) ++i;
  return i;
}

struct Field {
  const char* name;
  Fill fill;
  std::vector<const char*> anomalies;
};

/// Varies shares from window to window, as traffic does.
std::vector<double> wander(std::vector<double> shares) {
  for (double& s : shares) s *= std::exp(0.2 * normal());
  return shares;
}

std::vector<Field> fields() {
  std::vector<Field> all;
  all.push_back({"status",
                 [](Values& v, int how) {
                   const double p = std::min(0.9, (how == 1 ? 0.2 : how == 2 ? 0.08 : 0.02) * std::exp(0.4 * normal()));
                   for (Value& x : v) x = std::int64_t{uniform() < p ? 500 : uniform() < 0.07 ? 404 : 200};
                   if (how == 3)
                     for (Value& x : v)
                       if (uniform() < 0.03) x = std::int64_t{503};
                 },
                 {"500s from 2 to 20 %", "500s from 2 to 8 %", "3 % of a new status"}});
  all.push_back({"method",
                 [](Values& v, int how) {
                   static const char* const words[] = {"GET", "POST", "PUT", "DELETE"};
                   auto shares = wander({0.6, 0.25, 0.1, 0.05});
                   if (how == 4) std::swap(shares[0], shares[1]);
                   for (Value& x : v) {
                     x = words[how == 3 ? 0 : draw(shares)];
                     if (how == 1 || (how == 2 && uniform() < 0.1)) x = letters(12, kHex);
                     if (how == 5 && uniform() < 0.1) x = "PATCH";
                   }
                 },
                 {"random words", "10 % random words", "freezes", "two words swap shares", "10 % of a new word"}});
  all.push_back({"region",
                 [](Values& v, int how) {
                   for (Value& x : v) x = how == 2 || (how == 1 && uniform() < 0.1) ? "us-east-1" : "eu-west-1";
                   if (how == 3)
                     for (Value& x : v) x = {};
                 },
                 {"constant, 10 % another", "another constant", "vanishes"}});
  all.push_back({"latency",
                 [](Values& v, int how) {
                   const double shift = 0.1 * normal() + (how == 1 ? std::log(2) : how == 2 ? std::log(1.5) : 0);
                   for (Value& x : v)
                     x = how == 4 ? 30000.0 : 20 * std::exp(shift + 0.8 * normal()) * (how == 3 && uniform() < 0.1 ? 10 : 1);
                 },
                 {"x2", "x1.5", "10 % x10", "freezes"}});
  all.push_back({"gauge",
                 [](Values& v, int how) {
                   const double level = 1000 + 0.5 * normal() + (how == 1 ? 5 : 0);
                   for (Value& x : v) x = level + (how == 2 ? 10 : 5) * normal();
                 },
                 {"up one deviation", "twice the noise"}});
  all.push_back({"request.id",
                 [](Values& v, int how) {
                   const std::string one = letters(16, kHex);
                   for (Value& x : v) x = how == 2 && uniform() < 0.5 ? one : letters(16, how == 1 ? kBase64 : kHex);
                 },
                 {"other alphabet", "half of them the same"}});
  all.push_back({"time",
                 [clock = std::int64_t{1700000000000000000}](Values& v, int how) mutable {
                   for (Value& x : v) {
                     double step = 1e6 + 3e4 * normal();
                     if (how == 1) step = 1e6 - 2e5 * std::log(1 - uniform());
                     if (how == 2 && uniform() < 0.03) step = 5e6;
                     x = clock += static_cast<std::int64_t>(std::max(0.0, step));
                   }
                 },
                 {"jitter", "3 % gaps"}});
  all.push_back({"body",
                 [](Values& v, int how) {
                   std::vector<double> shares;
                   for (int i = 1; i <= 40; ++i) shares.push_back(1.0 / i);
                   shares = wander(shares);
                   for (Value& x : v) {
                     std::size_t i = draw(shares);
                     if (how == 1) i = 39 - i;
                     x = "template number " + std::to_string(i) + " of the service does <*> to <*>";
                     if (how == 2 && uniform() < 0.05) x = "cannot write to <*>: no space left on device";
                   }
                 },
                 {"rare templates common", "5 % of a new template"}});
  all.push_back({"user.agent",
                 [](Values& v, int how) {
                   const double p = how == 1 ? 0.9 : how == 2 ? 0 : 0.3;
                   for (Value& x : v)
                     if (uniform() < p) x = uniform() < 0.7 ? "curl" : "firefox";
                 },
                 {"optional, 30 to 90 %", "optional, 30 to 0 %"}});
  all.push_back({"retries",
                 [](Values& v, int how) {
                   for (Value& x : v) {
                     std::int64_t n = 0;
                     while (uniform() < (how == 1 ? 0.4 : 0.1)) ++n;
                     x = n;
                   }
                 },
                 {"four times as many"}});
  return all;
}

/// Judges a block of records.
FieldsVerdict judge(FieldsModel& channel, std::vector<Field>& all, std::size_t records, std::size_t odd, int how) {
  std::vector<Values> columns;
  for (std::size_t f = 0; f < all.size(); ++f) all[f].fill(columns.emplace_back(records), f == odd ? how : 0);
  for (std::size_t i = 0; i < records; ++i) {
    for (std::size_t f = 0; f < all.size(); ++f) {
      if (const auto* text = std::get_if<std::string>(&columns[f][i])) channel.word(f + 1, hashOf(*text), bytesOf(*text));
      else if (const auto* integer = std::get_if<std::int64_t>(&columns[f][i]))
        channel.number(f + 1, static_cast<double>(*integer));
      else if (const auto* real = std::get_if<double>(&columns[f][i])) channel.number(f + 1, *real);
    }
    channel.end();
  }
  return channel.judge();
}

double auc(const std::vector<double>& high, const std::vector<double>& low) {
  double area = 0;
  for (const double h : high)
    for (const double l : low) area += h > l ? 1 : h == l ? 0.5 : 0;
  return area / (static_cast<double>(high.size()) * static_cast<double>(low.size()));
}

}  // namespace

int main() {
  constexpr int kUsualBlocks = 60, kTrials = 200;
  for (const std::size_t records : {std::size_t{64}, std::size_t{128}, std::size_t{250}}) {
    auto all = fields();
    FieldsModel channel(static_cast<std::uint32_t>(records));
    for (int i = 0; i < kUsualBlocks; ++i) channel.learn(judge(channel, all, records, kNone, 0));
    std::vector<double> usual;
    for (int i = 0; i < 2 * kTrials; ++i) {
      const FieldsVerdict verdict = judge(channel, all, records, kNone, 0);
      usual.push_back(verdict.score);
      channel.learn(verdict);
    }
    auto sorted = usual;
    std::sort(sorted.begin(), sorted.end());
    const double limit = sorted[sorted.size() * 99 / 100];
    std::printf("%zu records a block; usual scores: median %.1f, 99 %% below %.1f\n%-12s%-28s%6s %8s %7s %8s\n", records,
                sorted[sorted.size() / 2], limit, "field", "anomaly", "AUC", "beyond", "named", "median");
    double sum = 0, count = 0;
    for (std::size_t f = 0; f < all.size(); ++f)
      for (std::size_t a = 0; a < all[f].anomalies.size(); ++a) {
        std::vector<double> odd;
        int named = 0, beyond = 0;
        for (int i = 0; i < kTrials; ++i) {
          const FieldsVerdict verdict = judge(channel, all, records, f, static_cast<int>(a) + 1);
          odd.push_back(verdict.score);
          named += channel.explain(verdict).key == f + 1;
          beyond += verdict.score > limit;
          channel.reject();
        }
        const double area = auc(odd, usual);
        sum += area, ++count;
        std::nth_element(odd.begin(), odd.begin() + kTrials / 2, odd.end());
        std::printf("%-12s%-28s%6.3f %7.0f%% %6.0f%% %8.1f\n", all[f].name, all[f].anomalies[a], area, 100.0 * beyond / kTrials,
                    100.0 * named / kTrials, odd[kTrials / 2]);
      }
    std::vector<Values> columns;
    for (auto& field : all) field.fill(columns.emplace_back(records), 0);
    std::vector<std::vector<std::uint64_t>> hashes(all.size());
    for (std::size_t f = 0; f < all.size(); ++f)
      for (const Value& value : columns[f]) {
        const auto* text = std::get_if<std::string>(&value);
        hashes[f].push_back(text ? hashOf(*text) : 0);
      }
    constexpr int kRounds = 2000;
    std::clock_t taking = 0, judging = 0;
    for (int round = 0; round < kRounds; ++round) {
      const std::clock_t begin = std::clock();
      for (std::size_t i = 0; i < records; ++i) {
        for (std::size_t f = 0; f < all.size(); ++f) {
          const Value& value = columns[f][i];
          if (const auto* text = std::get_if<std::string>(&value)) channel.word(f + 1, hashes[f][i], bytesOf(*text));
          else if (const auto* integer = std::get_if<std::int64_t>(&value)) channel.number(f + 1, static_cast<double>(*integer));
          else if (const auto* real = std::get_if<double>(&value)) channel.number(f + 1, *real);
        }
        channel.end();
      }
      const std::clock_t middle = std::clock();
      channel.learn(channel.judge());
      judging += std::clock() - middle;
      taking += middle - begin;
    }
    const auto nanos = [&](std::clock_t clocks) {
      return 1e9 * static_cast<double>(clocks) / CLOCKS_PER_SEC / kRounds / static_cast<double>(records);
    };
    std::printf("mean AUC %.3f; processor time %.0f ns a record of %zu fields to take, %.0f ns to judge; %zu bytes a stream\n\n",
                sum / count, nanos(taking), all.size(), nanos(judging), channel.memory());
  }
  return 0;
}
