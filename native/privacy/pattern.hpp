#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace driftlock::privacy {

/// A regular expression of a user, as RE2 has them: its time is linear in the text. A pattern that needs some literal, such as
/// `EMP-[0-9]{6}`, is tried only on texts that contain it.
class Pattern {
 public:
  /// @throws std::invalid_argument, which says what is wrong, if RE2 refuses the pattern, if it matches the empty text, if it
  /// repeats something more often than kMostRepeats times, or if its program is too large
  explicit Pattern(std::string_view expression);

  static constexpr int kMostRepeats = 32;

  struct Part {
    std::size_t begin, end;
  };
  /// Returns the first part of the text that matches from an offset on; its first group, if it has one. An empty part at the end
  /// of the text if there is none.
  Part find(std::string_view text, std::size_t from) const;
  /// Whether the whole text matches.
  bool matches(std::string_view text) const;

  /// The literals of which a text must contain at least one, in lower case; empty if the pattern needs none.
  const std::vector<std::string>& literals() const { return literals_; }
  /// Whether a text may have a match, by its literals.
  bool mayMatch(std::string_view text) const;

 private:
  struct Program;
  std::shared_ptr<const Program> program_;
  std::vector<std::string> literals_;
};

}  // namespace driftlock::privacy
