#include "llm/json.hpp"

#include <array>
#include <cstdint>

#include "base/work.hpp"

namespace driftlock::llm::json {
namespace {

constexpr std::size_t kNone = std::string_view::npos;

bool isSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::size_t skipSpace(std::string_view text, std::size_t at) {
  while (at < text.size() && isSpace(text[at])) ++at;
  return at;
}

/// Returns the end of the string whose quote is at `at`.
std::size_t skipString(std::string_view text, std::size_t at) {
  for (++at; at < text.size(); ++at) {
    if (text[at] == '"') return at + 1;
    if (text[at] == '\\') ++at;
  }
  return kNone;
}

std::size_t skipWord(std::string_view text, std::size_t at) {
  const std::size_t begin = at;
  while (at < text.size() && !isSpace(text[at]) && text[at] != ',' && text[at] != ']' && text[at] != '}' && text[at] != ':' &&
         text[at] != '"' && text[at] != '[' && text[at] != '{')
    ++at;
  return at == begin ? kNone : at;
}

std::size_t skipContainer(std::string_view text, std::size_t at) {
  std::array<char, kMaxDepth> closing;
  std::size_t depth = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"') {
      at = skipString(text, at);
      if (at == kNone) return kNone;
      continue;
    }
    ++at;
    if (c == '{' || c == '[') {
      if (depth == kMaxDepth) return kNone;
      closing[depth++] = c == '{' ? '}' : ']';
    } else if (c == '}' || c == ']') {
      if (closing[depth - 1] != c) return kNone;
      if (--depth == 0) return at;
    }
  }
  return kNone;
}

int hexOf(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Reads four hexadecimal digits; -1 if there are none.
int codeUnit(std::string_view text, std::size_t at) {
  if (at + 4 > text.size()) return -1;
  int unit = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const int digit = hexOf(text[at + i]);
    if (digit < 0) return -1;
    unit = unit << 4 | digit;
  }
  return unit;
}

void putCodePoint(std::uint32_t point, std::string& out) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xc0 | point >> 6);
    out += static_cast<char>(0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xe0 | point >> 12);
    out += static_cast<char>(0x80 | (point >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (point & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | point >> 18);
    out += static_cast<char>(0x80 | (point >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (point >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (point & 0x3f));
  }
}

/// Appends the character of the escape \u whose digits begin at `at`, and returns where the text goes on.
std::size_t putUnicode(std::string_view text, std::size_t at, std::string& out) {
  constexpr std::uint32_t kReplacement = 0xfffd;
  const int unit = codeUnit(text, at);
  if (unit < 0) return putCodePoint(kReplacement, out), at;
  at += 4;
  if (unit < 0xd800 || unit > 0xdfff) return putCodePoint(static_cast<std::uint32_t>(unit), out), at;
  const int low = unit < 0xdc00 && text.substr(at, 2) == "\\u" ? codeUnit(text, at + 2) : -1;
  if (low < 0xdc00 || low > 0xdfff) return putCodePoint(kReplacement, out), at;
  putCodePoint(0x10000u + ((static_cast<std::uint32_t>(unit) - 0xd800) << 10) + (static_cast<std::uint32_t>(low) - 0xdc00), out);
  return at + 6;
}

}  // namespace

Type typeOf(std::string_view text) {
  const std::size_t at = skipSpace(text, 0);
  if (at == text.size()) return Type::None;
  switch (text[at]) {
    case '"': return Type::String;
    case '[': return Type::Array;
    case '{': return Type::Object;
    case 't':
    case 'f':
    case 'n': return Type::Literal;
    default: return text[at] == '-' || (text[at] >= '0' && text[at] <= '9') ? Type::Number : Type::None;
  }
}

std::size_t skip(std::string_view text, std::size_t at) {
  at = skipSpace(text, at);
  if (at == text.size()) return kNone;
  std::size_t end;
  switch (text[at]) {
    case '"': end = skipString(text, at); break;
    case '[':
    case '{': end = skipContainer(text, at); break;
    default: end = skipWord(text, at);
  }
  countWork(end == kNone ? text.size() - at : end - at);
  return end;
}

bool isWhole(std::string_view text) {
  const Type type = typeOf(text);
  if (type != Type::Array && type != Type::Object) return false;
  const std::size_t end = skip(text, 0);
  return end != kNone && skipSpace(text, end) == text.size();
}

Walk::Walk(std::string_view container) : text_(container) {
  at_ = skipSpace(text_, 0);
  done_ = at_ == text_.size() || (text_[at_] != '[' && text_[at_] != '{');
  object_ = !done_ && text_[at_++] == '{';
}

bool Walk::next() {
  if (done_) return false;
  done_ = true;
  at_ = skipSpace(text_, at_);
  if (at_ < text_.size() && text_[at_] == ',') at_ = skipSpace(text_, at_ + 1);
  if (at_ == text_.size() || text_[at_] == ']' || text_[at_] == '}') return false;
  if (object_) {
    if (text_[at_] != '"') return false;
    const std::size_t end = skipString(text_, at_);
    if (end == kNone) return false;
    name_ = text_.substr(at_ + 1, end - at_ - 2);
    at_ = skipSpace(text_, end);
    if (at_ == text_.size() || text_[at_] != ':') return false;
    at_ = skipSpace(text_, at_ + 1);
  }
  const std::size_t end = skip(text_, at_);
  if (end == kNone) return false;
  value_ = text_.substr(at_, end - at_);
  at_ = end;
  done_ = false;
  return true;
}

void unescape(std::string_view text, std::string& out) {
  countWork(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t escape = text.find('\\', at);
    out.append(text.substr(at, escape - at));
    if (escape == kNone || escape + 1 == text.size()) return;
    at = escape + 2;
    switch (const char c = text[escape + 1]) {
      case 'b': out += '\b'; break;
      case 'f': out += '\f'; break;
      case 'n': out += '\n'; break;
      case 'r': out += '\r'; break;
      case 't': out += '\t'; break;
      case 'u': at = putUnicode(text, at, out); break;
      default: out += c;
    }
  }
}

void quote(std::string_view content, std::string& out) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  out += '"';
  for (const char c : content) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += "\\u00";
      out += kDigits[static_cast<std::size_t>(c) >> 4];
      out += kDigits[static_cast<std::size_t>(c) & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

void compact(std::string_view value, std::string& out) {
  countWork(value.size());
  std::string content;
  for (std::size_t at = 0; at < value.size();) {
    if (isSpace(value[at])) {
      ++at;
    } else if (value[at] != '"') {
      out += value[at++];
    } else {
      const std::size_t end = skipString(value, at);
      if (end == kNone) return;
      content.clear();
      unescape(value.substr(at + 1, end - at - 2), content);
      quote(content, out);
      at = end;
    }
  }
}

}  // namespace driftlock::llm::json
