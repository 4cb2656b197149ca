// AUC of session scores, and the time per id.
//   sequence_bench TRAIN NORMAL ABNORMAL   files of `id,e e e` or `e e e`, one session per line

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "channels/sequence/sequence.hpp"

using namespace driftlock;

namespace {

using Session = std::vector<std::uint32_t>;

std::vector<Session> read(const char* path) {
  std::ifstream file(path);
  std::vector<Session> sessions;
  for (std::string line; std::getline(file, line);) {
    std::istringstream ids(line.substr(line.find(',') == std::string::npos ? 0 : line.find(',') + 1));
    Session session;
    for (std::uint32_t id; ids >> id;) session.push_back(id);
    if (!session.empty()) sessions.push_back(session);
  }
  return sessions;
}

std::pair<double, std::vector<double>> score(const SequenceModel& model, const Session& session) {
  SequenceContext context;
  SequenceScore sum;
  std::vector<double> costs;
  for (const std::uint32_t id : session) {
    costs.push_back(model.cost(context, id));
    sum.add(costs.back(), model.meanCost());
    context.push(id);
  }
  costs.push_back(model.endCost(context));
  sum.add(costs.back(), model.meanCost());
  return {sum.value(), costs};
}

void learn(SequenceModel& model, const Session& session, const std::vector<double>& costs) {
  SequenceContext context;
  for (std::size_t i = 0; i < session.size(); ++i) model.learn(context, session[i], costs[i]);
  model.learnEnd(context, costs.back());
}

double auc(std::vector<std::pair<double, bool>> scores) {
  std::sort(scores.begin(), scores.end());
  double area = 0, below = 0, positive = 0;
  for (std::size_t i = 0; i < scores.size();) {
    double p = 0, n = 0;
    const double level = scores[i].first;
    for (; i < scores.size() && scores[i].first == level; ++i) (scores[i].second ? p : n) += 1;
    area += p * (below + n / 2);
    below += n;
    positive += p;
  }
  return area / (positive * below);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return std::fprintf(stderr, "usage: sequence_bench TRAIN NORMAL ABNORMAL\n"), 2;
  const std::vector<Session> train = read(argv[1]), normal = read(argv[2]), abnormal = read(argv[3]);
  for (const bool adapt : {false, true}) {
    SequenceModel model;
    std::vector<double> past;
    for (const Session& session : train) {
      const auto [value, costs] = score(model, session);
      past.push_back(value);
      learn(model, session, costs);
    }
    std::vector<std::pair<double, bool>> scores;
    std::size_t ids = 0, next = 0;
    const std::clock_t begin = std::clock();
    const auto judge = [&](const Session& session, bool label) {
      const auto [value, costs] = score(model, session);
      scores.push_back({value, label});
      ids += costs.size();
      if (!adapt) return;
      std::vector<double> recent(past.end() - std::min<std::ptrdiff_t>(500, std::ssize(past)), past.end());
      const auto limit = recent.begin() + std::ssize(recent) * 99 / 100;
      std::nth_element(recent.begin(), limit, recent.end());
      if (value > *limit) return;
      past.push_back(value);
      learn(model, session, costs);
    };
    for (std::size_t i = 0; i < normal.size(); ++i) {
      judge(normal[i], false);
      for (; next < abnormal.size() && (next + 1) * normal.size() <= (i + 1) * abnormal.size(); ++next)
        judge(abnormal[next], true);
    }
    for (; next < abnormal.size(); ++next) judge(abnormal[next], true);
    const double took = 1e9 * static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    std::printf("%-22s AUC %.4f, %.0f ns an id, %zu bytes\n", adapt ? "learning what is usual" : "trained once", auc(scores),
                took / static_cast<double>(ids), model.memory());
  }
  return 0;
}
