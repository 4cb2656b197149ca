#include <string>
#include <vector>

#include "test.hpp"
#include "text/mask.hpp"

namespace {

driftlock::Bytes bytes(const std::string& s) { return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()}; }

std::string masked(const std::string& s) {
  std::string out(s.size(), '\0');
  out.resize(driftlock::text::mask(bytes(s), reinterpret_cast<std::uint8_t*>(out.data())));
  return out;
}

void checkOrigins(const std::string& s) {
  std::vector<std::uint8_t> out(s.size() + 1);
  std::vector<std::uint32_t> origin(s.size() + 1);
  const std::size_t n = driftlock::text::mask(bytes(s), out.data(), origin.data());
  CHECK(std::string(out.begin(), out.begin() + n) == masked(s));
  for (std::size_t i = 0; i < n; ++i) {
    CHECK(i == 0 || origin[i] > origin[i - 1]);
    CHECK(out[i] == '0' || out[i] == static_cast<std::uint8_t>(s[origin[i]]));
  }
}

TEST(masksWhatVaries) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", ""},
      {"no variable here", "no variable here"},
      {"took 12ms, 3.5e7", "took 0ms, 0.0e0"},
      {"10.1.2.3:8080 -> 10.1.2.4:80", "0.0.0.0:0 -> 0.0.0.0:0"},
      {"2005-06-03-15.42.50.675872", "0-0-0-0.0.0.0"},
      {"id 123e4567-e89b-12d3-a456-426614174000.", "id 0."},
      {"id deadbeef-cafe-babe-face-feedfeedfeed", "id 0"},
      {"deadbeef-cafe", "0-cafe"},
      {"event EafffCfa, defaced facade", "event 0, defaced facade"},
      {"ptr=0xDEADBEEF sha 9f86d081884c", "ptr=0 sha 0"},
      {"R02-M1-N0-C:J12-U11", "R0-M0-N0-C:J0-U0"},
      {"blk_-1608999687919862906", "blk_-0"},
      {"token a1B2c3D4e5F6g7", "token 0"},
      {"user [email*****] paid", "user [email*] paid"},
      {"beside facefeed, facefee@facade", "beside 0, facefee@facade"},
      {"a@@@@b `````` gg", "a@@@@b `````` gg"},
      {"utf8 \xc3\xa9t\xc3\xa9 2", "utf0 \xc3\xa9t\xc3\xa9 0"},
  };
  for (const auto& [text, expected] : cases) {
    CHECK(masked(text) == expected);
    if (masked(text) != expected) std::fprintf(stderr, "  %s -> %s\n", text.c_str(), masked(text).c_str());
    CHECK(masked(masked(text)) == masked(text));
    checkOrigins(text);
  }
}

// Eight bytes are read at a time: what a place has before and after it must not matter.
TEST(masksWhereverItStands) {
  const std::vector<std::pair<std::string, std::string>> parts = {
      {"7", "0"},    {"feedface", "0"},   {"feedfac", "feedfac"}, {"v1", "v0"},
      {"****", "*"}, {"x1y22z", "x0y0z"}, {"1a2b", "0"},          {"123e4567-e89b-12d3-a456-426614174000", "0"},
  };
  const std::string words = "plain words with no variable at all, ";
  for (const auto& [part, expected] : parts) {
    for (std::size_t before = 0; before <= 17; ++before) {
      for (std::size_t after = 0; after <= 17; ++after) {
        const std::string head = words.substr(words.size() - before),
                          tail = std::string(", plain words with none").substr(0, after);
        CHECK(masked(head + part + tail) == head + expected + tail);
        checkOrigins(head + part + tail);
      }
    }
  }
}

}  // namespace
