#pragma once

#include <cstddef>
#include <string>
#include <string_view>

/// JSON text read in place: no tree is built, and each function is linear in the text. What is malformed, or nested too deep,
/// reads as if it were not there.
namespace driftlock::llm::json {

/// How deep arrays and objects may nest.
inline constexpr std::size_t kMaxDepth = 64;

enum class Type { None, String, Number, Literal, Array, Object };

/// Returns the type of the value that the text begins with, after white space.
Type typeOf(std::string_view text);

/// Returns the end of the value that begins at `at`, or npos if there is none. Of an array or object, only strings and brackets
/// are checked.
std::size_t skip(std::string_view text, std::size_t at);

/// Whether the text is one whole array or object.
bool isWhole(std::string_view text);

/// The elements of an array, or the members of an object, one after the other.
class Walk {
 public:
  explicit Walk(std::string_view container);
  /// Moves to the next one. Returns false at the end, and where the text is malformed.
  bool next();
  /// The member's name as written, with its escapes but without quotes; empty in an array.
  std::string_view name() const { return name_; }
  /// The text of the value.
  std::string_view value() const { return value_; }

 private:
  std::string_view text_, name_, value_;
  std::size_t at_ = 0;
  bool object_ = false, done_ = false;
};

/// Appends the content of a string, `text` being what is between its quotes.
void unescape(std::string_view text, std::string& out);
/// Appends a string with quotes and escapes.
void quote(std::string_view content, std::string& out);
/// Appends a value without white space, its strings escaped in one way, so that equal values read equally.
void compact(std::string_view value, std::string& out);

}  // namespace driftlock::llm::json
