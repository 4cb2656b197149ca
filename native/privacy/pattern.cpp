#include "privacy/pattern.hpp"

#include <re2/prefilter.h>
#include <re2/re2.h>
#include <re2/regexp.h>

#include <algorithm>
#include <functional>
#include <stdexcept>

namespace driftlock::privacy {
namespace {

/// What RE2 may take for the program of a pattern and the states of its automata, in bytes.
constexpr std::int64_t kMemory = 1 << 20;
/// The most instructions of a program.
constexpr int kLargestProgram = 2000;
/// What is searched of a literal: more tells hardly more, and the time of a search depends on it. Shorter literals, and more of
/// them, are no quicker than the pattern.
constexpr std::size_t kLongestLiteral = 16, kShortestLiteral = 2, kMostLiterals = 16;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

re2::RE2::Options options() {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kMemory);
  return options;
}

re2::StringPiece pieceOf(std::string_view text) { return {text.data(), text.size()}; }

/// The largest count of a repetition in an expression.
int repeatsOf(re2::Regexp* expression) {
  int most = expression->op() == re2::kRegexpRepeat ? std::max(expression->min(), expression->max()) : 0;
  for (int i = 0; i < expression->nsub(); ++i) most = std::max(most, repeatsOf(expression->sub()[i]));
  return most;
}

/// The longest part of a literal that is ASCII, since others have several cases of different lengths.
std::string plainPart(std::string_view literal) {
  std::string_view longest;
  for (std::size_t begin = 0, i = 0; i <= literal.size(); ++i) {
    if (i < literal.size() && (literal[i] & 0x80) == 0) continue;
    if (i - begin > longest.size()) longest = literal.substr(begin, i - begin);
    begin = i + 1;
  }
  return std::string(longest.substr(0, kLongestLiteral));
}

/// Literals of which every match contains at least one; empty if there are none. Of several that are all needed, the longest.
std::vector<std::string> literalsOf(re2::Prefilter& filter) {
  using Op = re2::Prefilter::Op;
  if (filter.op() == Op::ATOM) {
    std::string literal = plainPart(filter.atom());
    return literal.size() < kShortestLiteral ? std::vector<std::string>{} : std::vector{std::move(literal)};
  }
  if (filter.op() != Op::AND && filter.op() != Op::OR) return {};
  const auto shortest = [](const std::vector<std::string>& of) { return std::ranges::min(of, {}, &std::string::size).size(); };
  std::vector<std::string> all;
  for (re2::Prefilter* const sub : *filter.subs()) {
    std::vector<std::string> own = literalsOf(*sub);
    if (filter.op() == Op::OR) {
      if (own.empty()) return {};
      std::ranges::move(own, std::back_inserter(all));
    } else if (!own.empty() && (all.empty() || shortest(own) > shortest(all))) {
      all = std::move(own);
    }
  }
  return all.size() > kMostLiterals ? std::vector<std::string>{} : all;
}

}  // namespace

struct Pattern::Program {
  explicit Program(std::string_view expression) : re(pieceOf(expression), options()) {}

  re2::RE2 re;
};

Pattern::Pattern(std::string_view expression) {
  auto program = std::make_shared<const Program>(expression);
  const re2::RE2& re = program->re;
  if (!re.ok()) {
    const bool large = re.error_code() == re2::RE2::ErrorPatternTooLarge || re.error_code() == re2::RE2::ErrorRepeatSize;
    throw std::invalid_argument(large ? "is too large: use smaller counts or fewer alternatives" : "is not valid: " + re.error());
  }
  if (const int repeats = repeatsOf(re.Regexp()); repeats > kMostRepeats) {
    throw std::invalid_argument("repeats something up to " + std::to_string(repeats) + " times, and at most " +
                                std::to_string(kMostRepeats) + " are allowed: use + or * instead");
  }
  if (const int size = re.ProgramSize(); size > kLargestProgram) {
    throw std::invalid_argument("is too large: its program has " + std::to_string(size) + " instructions, and at most " +
                                std::to_string(kLargestProgram) + " are allowed. Use smaller counts or fewer alternatives");
  }
  if (re2::RE2::FullMatch("", re)) throw std::invalid_argument("must not match the empty text");
  const std::unique_ptr<re2::Prefilter> filter(re2::Prefilter::FromRE2(&re));
  if (filter) literals_ = literalsOf(*filter);
  program_ = std::move(program);
}

bool Pattern::mayMatch(std::string_view text) const {
  const auto isIn = [&](const std::string& literal) {
    const auto equal = [](char c, char ofLiteral) { return lower(c) == ofLiteral; };
    return std::search(text.begin(), text.end(), literal.begin(), literal.end(), equal) != text.end();
  };
  return literals_.empty() || std::ranges::any_of(literals_, isIn);
}

Pattern::Part Pattern::find(std::string_view text, std::size_t from) const {
  re2::StringPiece groups[2];
  const int count = std::min(program_->re.NumberOfCapturingGroups(), 1) + 1;
  while (from < text.size() && program_->re.Match(pieceOf(text), from, text.size(), re2::RE2::UNANCHORED, groups, count)) {
    const re2::StringPiece& part = groups[count - 1];
    if (!part.empty()) {
      const auto begin = static_cast<std::size_t>(part.data() - text.data());
      return {begin, begin + part.size()};
    }
    // Its group has matched nothing.
    from = static_cast<std::size_t>(groups[0].data() - text.data()) + std::max<std::size_t>(groups[0].size(), 1);
  }
  return {text.size(), text.size()};
}

bool Pattern::matches(std::string_view text) const { return re2::RE2::FullMatch(pieceOf(text), program_->re); }

}  // namespace driftlock::privacy
