#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.hpp"
#include "base/work.hpp"
#include "privacy/byte_classes.hpp"
#include "privacy/checksums.hpp"
#include "privacy/national_ids.hpp"
#include "privacy/policy.hpp"
#include "privacy/scanner.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::privacy;

namespace {

Bytes bytes(std::string_view s) { return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()}; }

/// What is found, as `kind:value`, one after the other.
std::string foundIn(std::string_view text, std::string_view key = {}) {
  std::vector<Found> found;
  scan(bytes(text), bytes(key), found);
  std::string all;
  for (const Found& each : found) {
    if (!all.empty()) all += ' ';
    all += kKindInfos[static_cast<std::size_t>(each.kind)].name;
    all += ':';
    all += text.substr(each.begin, each.end - each.begin);
  }
  return all;
}

const Policy kPolicy;
const Masking kMasking(kPolicy, Place::Stored, {});

std::string labelled(std::string text) {
  kMasking.label(text);
  return text;
}

std::string blanked(std::string text) {
  kMasking.blank({reinterpret_cast<std::uint8_t*>(text.data()), text.size()}, {});
  return text;
}

void expect(std::string_view text, std::string_view expected, std::string_view key = {}) {
  const std::string found = foundIn(text, key);
  CHECK(found == expected);
  if (found != expected) std::fprintf(stderr, "  %s -> %s\n", std::string(text).c_str(), found.c_str());
}

/// A small generator with a fixed beginning.
class Random {
 public:
  std::uint32_t below(std::uint32_t n) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::uint32_t>(state_ >> 33) % n;
  }

 private:
  std::uint64_t state_ = 42;
};

struct Example {
  const char* text;
  const char* found;
};

TEST(findsWhatHasAFixedForm) {
  constexpr Example kExamples[] = {
      {"sent to anna.k+x@mail.shop.co.uk.", "email:anna.k+x@mail.shop.co.uk"},
      {"<j\xc3\xbcrgen@b\xc3\xbcro.de>", "email:j\xc3\xbcrgen@b\xc3\xbcro.de"},
      {"IBAN DE89 3704 0044 0532 0130 00 ok", "iban:DE89 3704 0044 0532 0130 00"},
      {"iban=GB29NWBK60161331926819", "iban:GB29NWBK60161331926819"},
      {"paid with 4111 1111 1111 1111 today", "card:4111 1111 1111 1111"},
      {"paid with 4111-1111-1111-1111.", "card:4111-1111-1111-1111"},
      {"card=378282246310005", "card:378282246310005"},
      {"3782 822463 10005", "card:3782 822463 10005"},
      {"my card 4131034282458809939 expires", "card:4131034282458809939"},
      {"ssn 123-45-6789", "ssn:123-45-6789"},
      {"from 86.121.97.248:443", "ip:86.121.97.248"},
      {"peer 2a00:1450:4001:81b::200e closed", "ip:2a00:1450:4001:81b::200e"},
      {"mac 3c:22:fb:0a:9d:11", "mac:3c:22:fb:0a:9d:11"},
      {"token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
       "jwt:eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N"},
      {"key AKIAIOSFODNN7EXAMPLE", "api_key:AKIAIOSFODNN7EXAMPLE"},
      {"ghp_16C7e42F292c6912E7710c838347Ae178B4a", "api_key:ghp_16C7e42F292c6912E7710c838347Ae178B4a"},
      {"Authorization: Bearer 8f14e45fceea167a5a36dedd4bea2543", "api_key:8f14e45fceea167a5a36dedd4bea2543"},
      {"used Bearer 8f14e45fceea167a5a36dedd4bea2543 there", "api_key:Bearer 8f14e45fceea167a5a36dedd4bea2543"},
      {"password=hunter2&user=x", "password:hunter2"},
      {"cvv=827 auth=uNUBkPIN6/pJrMfTuzIoZVOV", "password:827 api_key:uNUBkPIN6/pJrMfTuzIoZVOV"},
      {R"({"password": "tr0ub4dor & 3", "n": 1})", "password:tr0ub4dor & 3"},
      {"db postgres://app:s3cret@db:5432/x", "url_credentials:app:s3cret"},
      {"a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb",
       "private_key:-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"},
      {"call +46 (0)157 548 89 now", "phone:+46 (0)157 548 89"},
      {"fax 905-674-3793x12", "phone:905-674-3793x12"},
      {"phone: 0341 8387176", "phone:0341 8387176"},
      {"enduser.id=alice17 x", "person:alice17"},
  };
  for (const auto& [text, found] : kExamples) expect(text, found);
  // A secret is found to its end, however long it is.
  const std::string secret(3000, 'x');
  expect("secret=1" + secret + " ok", "password:1" + secret);
}

TEST(findsNationalIdentificationNumbers) {
  constexpr Example kExamples[] = {
      {"steuer-id 86095742719", "national_id:86095742719"},                // Germany
      {"nir 1 85 05 78 006 084 91", "national_id:1 85 05 78 006 084 91"},  // France
      {"cf RSSMRA85T10A562S", "national_id:RSSMRA85T10A562S"},             // Italy
      {"dni 12345678Z", "national_id:12345678Z"},                          // Spain
      {"nie X1234567L", "national_id:X1234567L"},                          // Spain, foreigners
      {"bsn 111222333", "national_id:111222333"},                          // Netherlands
      {"nr 85.07.30-033.28", "national_id:85.07.30-033.28"},               // Belgium
      {"pesel 44051401359", "national_id:44051401359"},                    // Poland
      {"personnummer 811228-9874", "national_id:811228-9874"},             // Sweden
      {"hetu 131052-308T", "national_id:131052-308T"},                     // Finland
      {"cpr 211062-5629", "national_id:211062-5629"},                      // Denmark
      {"nif 123456789", "national_id:123456789"},                          // Portugal
      {"cnp 1800101221144", "national_id:1800101221144"},                  // Romania
      {"egn 7523169263", "national_id:7523169263"},                        // Bulgaria
      {"oib 94577403194", "national_id:94577403194"},                      // Croatia
      {"rodne cislo 710319/2745", "national_id:710319/2745"},              // Czech Republic, Slovakia
      {"isikukood 37605030299", "national_id:37605030299"},                // Estonia
  };
  for (const auto& [text, found] : kExamples) expect(text, found);
}

TEST(leavesAloneWhatIsNotPersonal) {
  constexpr const char* kTexts[] = {
      "081109 203518 143 INFO dfs.DataNode$DataXceiver: Receiving block blk_-1608999687919862906 src: /10.250.19.102:54106",
      "2005-06-03-15.42.50.675872 R02-M1-N0-C:J12-U11 RAS KERNEL INFO",
      "GET /v1/orders/1234567890123456 200 12ms",
      "from 10.1.2.3, 127.0.0.1, 192.168.0.10, 172.16.0.1 and 203.0.113.7",
      "listening on [::1]:8080 and fe80::1%eth0",
      "std::vector<abc::def> a::b",
      "version 12.81.93.24 is out",
      "user@example.com and root@localhost, git@github.com:acme/shop.git, icon@2x.png",
      "trace 4bf92f3577b34da6a3ce929d0e0e4736 span 00f067aa0ba902b7",
      "id 550e8400-e29b-41d4-a716-446655440000",
      "Order db969dd4-3b25-4f52-ad56-add88a0b6e27 placed in 201 ms",
      "id 550e8400-e29b-41d4-ba54-89fd-095913dd68bf, span be30fea83537c7fe, object ad83d282853416d112fb3a14",
      "1117838570 2005.06.03 and 2003-08-28 12:13:52",
      "password=null, password: <redacted>, pwd=***, secret=${SECRET}, Invalid password: expired",
      "next_page_token=12",
      "https://shop.test:8443/a@b",
      "mac 00:00:00:00:00:00 and ff:ff:ff:ff:ff:ff",
      "took 1234567 ms for 7654321 rows",
      "4111 1111 1111 1112 and 4111111111111112",
      "gauge 3.14159265358979 +0.125 -42",
      "ssn 000-12-3456 and 666-12-3456",
  };
  for (const char* text : kTexts) expect(text, "");
}

TEST(namesOfAttributesAreContext) {
  expect("hunter two", "password:hunter two", "db.password");
  expect("alice", "person:alice", "enduser.id");
  expect("8f14e45fceea167a5a36dedd4bea2543", "api_key:8f14e45fceea167a5a36dedd4bea2543", "http.request.header.authorization");
  expect("030 123456", "phone:030 123456", "customer.phone");
  expect("030 123456", "", "customer.order");
  expect("30582693301054", "card:30582693301054", "paymentCard");
  expect("30582693301054", "", "block");
  expect("alice", "", "process.executable.name");
  expect("12", "", "gen_ai.usage.input_tokens");
}

/// Replaces one digit by another; none of the kinds below is found any more.
TEST(checkDigitsDecide) {
  constexpr const char* kNumbers[] = {"4111111111111111",       "378282246310005",
                                      "5555555555554444",       "DE89370400440532013000",
                                      "GB29NWBK60161331926819", "FR1420041010050500013M02606",
                                      "85.07.30-033.28",        "131052-308T"};
  for (const std::string_view number : kNumbers) {
    CHECK(!foundIn(number).empty());
    for (std::size_t i = 0; i < number.size(); ++i) {
      if (number[i] < '0' || number[i] > '9') continue;
      for (char digit = '0'; digit <= '9'; ++digit) {
        if (digit == number[i]) continue;
        std::string changed(number);
        changed[i] = digit;
        const std::string found = foundIn(changed);
        CHECK(found.empty());
        if (!found.empty()) std::fprintf(stderr, "  %s -> %s\n", changed.c_str(), found.c_str());
      }
    }
  }
}

TEST(generatedNumbersAreFound) {
  Random random;
  for (int n = 0; n < 2000; ++n) {
    std::string card = "4";
    while (card.size() < 15) card += static_cast<char>('0' + random.below(10));
    for (char check = '0'; check <= '9'; ++check) {
      CHECK((foundIn("paid " + card + check) == "card:" + card + check) == luhn(card + check));
    }
  }
}

/// The value that is found is masked, whatever stands around it; nothing is found in a masked text, which stays as long.
TEST(maskingIsIdempotent) {
  constexpr std::string_view kParts[] = {"anna@shop.eu",
                                         "4111 1111 1111 1111",
                                         "+49 30 123456789",
                                         "password=",
                                         "token=",
                                         "://a:b@",
                                         "DE89370400440532013000",
                                         "86.121.97.248",
                                         "3c:22:fb:0a:9d:11",
                                         "eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.x",
                                         "123-45-6789",
                                         "card",
                                         "phone",
                                         "-----BEGIN PRIVATE KEY-----",
                                         " ",
                                         ".",
                                         "-",
                                         ":",
                                         "=",
                                         "\"",
                                         "@",
                                         "x",
                                         "7",
                                         "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
                                         "hunter2",
                                         "bsn 111222333",
                                         "Bearer ",
                                         "2a00:1450:4001:81b::200e",
                                         "131052-308T",
                                         "RSSMRA85T10A562S",
                                         "(602)272-9781",
                                         "*",
                                         "["};
  Random random;
  for (int n = 0; n < 20'000; ++n) {
    std::string text;
    for (std::uint32_t parts = 1 + random.below(8); parts > 0; --parts) text += kParts[random.below(std::size(kParts))];
    const std::string once = blanked(text);
    CHECK(once.size() == text.size());
    const std::string twice = blanked(once);
    CHECK(twice == once);
    if (twice != once) std::fprintf(stderr, "  %s -> %s -> %s\n", text.c_str(), once.c_str(), twice.c_str());
  }
}

TEST(anyBytesAreRead) {
  Random random;
  constexpr std::string_view kAlphabet = "0123456789abcdefXZ@.:-=+()/ _\"\n\xc3\xa9%eyJB";
  std::vector<Found> found;
  for (int n = 0; n < 20'000; ++n) {
    std::string text;
    for (std::uint32_t size = random.below(120); size > 0; --size)
      text += n % 2 ? static_cast<char>(random.below(256)) : kAlphabet[random.below(kAlphabet.size())];
    scan(bytes(text), {}, found);
    std::uint32_t last = 0;
    for (const Found& each : found) {
      CHECK(each.begin >= last && each.end > each.begin && each.end <= text.size());
      last = each.end;
    }
  }
}

/// Sixteen bytes at once, with the instructions of the processor and without them, have the classes of each by itself.
TEST(classesAreThoseOfEachByte) {
  Random random;
  const auto isOneOf = [](char c, std::string_view set) { return set.find(c) != std::string_view::npos; };
  for (int n = 0; n < 2'000; ++n) {
    std::string text;
    for (std::uint32_t size = random.below(140); size > 0; --size) text += static_cast<char>(random.below(256));
    const std::size_t block = text.size() / ByteClasses::kBlock * random.below(2) * ByteClasses::kBlock;
    for (const ByteClasses& classes : {ByteClasses::of(text, block), ByteClasses::ofSixteens(text, block)}) {
      for (std::size_t i = 0; i < ByteClasses::kBlock; ++i) {
        const char c = block + i < text.size() ? text[block + i] : '\0';
        const auto has = [&](std::uint64_t bits) { return (bits >> i & 1) != 0; };
        const char lower = static_cast<char>(c | 0x20);
        CHECK(has(classes.digit) == (c >= '0' && c <= '9'));
        CHECK(has(classes.letter) == ((lower >= 'a' && lower <= 'z') || (c & 0x80) != 0));
        CHECK(has(classes.underscore) == (c == '_') && has(classes.joint) == isOneOf(c, "-."));
        CHECK(has(classes.separator) == isOneOf(c, " -./)") && has(classes.sign) == isOneOf(c, "@:=+("));
        CHECK(has(classes.b) == isOneOf(c, "bB"));
      }
    }
    Sixteen compared;
    for (int i = 0; i < 16; ++i) compared[i] = static_cast<std::uint8_t>(random.below(256));
    CHECK(bitsOf(compared) == portableBitsOf(compared));
  }
}

#if defined(__SSE2__) && defined(__linux__)
/// AVX-512 is used where the compiler's own library finds it.
TEST(wideInstructionsAreFound) { CHECK(ByteClasses::hasWide() == (__builtin_cpu_supports("avx512bw") != 0)); }
#endif

/// Detectors are started at the ends of blocks as anywhere else.
TEST(valuesAreFoundWhereverTheyStand) {
  constexpr std::string_view kValues[] = {"anna@shop.eu",
                                          "4111 1111 1111 1111",
                                          "DE89370400440532013000",
                                          "86.121.97.248",
                                          "3c:22:fb:0a:9d:11",
                                          "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
                                          "Bearer 8f14e45fceea167a5a36dedd4bea2543",
                                          "-----BEGIN PRIVATE KEY-----",
                                          "+46 (0)157 548 89",
                                          "(602)272-9781",
                                          "123-45-6789",
                                          "131052-308T",
                                          "X1234567L",
                                          "RSSMRA85T10A562S"};
  for (const std::string_view value : kValues) {
    for (std::size_t before = 0; before < 140; ++before) {
      std::vector<Found> found;
      const std::string text = std::string(before, before % 2 ? ',' : ' ') + std::string(value);
      scan(bytes(text), {}, found);
      CHECK(found.size() == 1 && found[0].begin == before && found[0].end == text.size());
    }
  }
}

TEST(workIsLinear) {
  constexpr std::string_view kHostile[] = {"@",           "a@",
                                           "a.b@",        "1 ",
                                           "1-",          "1.",
                                           "11:",         "::",
                                           "password=",   "eyJa.",
                                           "ghp_a",       "://a:",
                                           "(1)",         "+1",
                                           "A1",          "DE89 ",
                                           "-----BEGIN ", "-----BEGIN PRIVATE KEY",
                                           "card 4111 ",  "4111 1111 1111 ",
                                           "Bearer a",    "a=\"",
                                           "phone 123 "};
  std::vector<Found> found;
  for (const std::string_view piece : kHostile) {
    const auto workOf = [&](std::size_t size) {
      std::string text;
      while (text.size() < size) text += piece;
#ifdef DRIFTLOCK_COUNT_WORK
      countedWork = 0;
#endif
      scan(bytes(text), {}, found);
#ifdef DRIFTLOCK_COUNT_WORK
      return static_cast<double>(countedWork) / static_cast<double>(text.size());
#else
      return 1.0;
#endif
    };
    const double small = workOf(4096), large = workOf(65'536);
    CHECK(large < 200 && large < 1.1 * small + 1);
    if (large >= 200 || large >= 1.1 * small + 1)
      std::fprintf(stderr, "  %s: %.1f, %.1f\n", std::string(piece).c_str(), small, large);
  }
}

TEST(labelsMoveTheParts) {
  CHECK(labelled("to anna@shop.eu and 4111111111111111!") == "to [email] and [card]!");
  std::string text = "to anna@shop.eu and bob@shop.eu!";
  std::vector<LiteralRun> runs{{0, 2}, {5, 8}, {10, 22}, {31, 32}};
  kMasking.label(text, {}, &runs);
  CHECK(text == "to [email] and [email]!");
  CHECK(runs.size() == 3);
  CHECK(runs[0].start == 0 && runs[0].end == 2);
  CHECK(runs[1].start == 3 && runs[1].end == 22);
  CHECK(runs[2].start == 22 && runs[2].end == 23);
}

TEST(rulesDecideInTheirOrder) {
  std::vector<Rule> rules(2);
  rules[0].tenant = "ac*";
  rules[0].attribute = "contact.*";
  rules[0].kinds = bitOf(Kind::Email);
  rules[0].actions[static_cast<std::size_t>(Place::Stored)] = Action::Flag;
  rules[1].signal = 1;
  rules[1].actions[static_cast<std::size_t>(Place::Forwarded)] = Action::Mask;
  const Policy policy(Policy::kDefault, rules);
  CHECK(policy.action(Place::Stored, {.tenant = "acme"}, "contact.mail", Kind::Email) == Action::Flag);
  CHECK(policy.action(Place::Stored, {.tenant = "acme"}, "contact.mail", Kind::Card) == Action::Mask);
  CHECK(policy.action(Place::Stored, {.tenant = "other"}, "contact.mail", Kind::Email) == Action::Mask);
  CHECK(policy.action(Place::Forwarded, {.signal = 1}, "", Kind::Email) == Action::Mask);
  CHECK(policy.action(Place::Forwarded, {.signal = 0}, "", Kind::Email) == Action::Flag);
  CHECK(policy.acts(Place::Forwarded) && !policy.acts(Place::Scoring));

  const Masking masking(policy, Place::Stored, {.tenant = "acme"});
  std::string text = "anna@shop.eu 4111111111111111";
  masking.label(text, bytes("contact.mail"));
  CHECK(text == "anna@shop.eu [card]");
  CHECK(policy.counts()[static_cast<std::size_t>(Place::Stored)][static_cast<std::size_t>(Kind::Email)] == 1);
  CHECK(policy.counts()[static_cast<std::size_t>(Place::Stored)][static_cast<std::size_t>(Kind::Card)] == 1);
}

TEST(pseudonymsAreOfOneTenant) {
  Actions actions = Policy::kDefault;
  actions[static_cast<std::size_t>(Place::Stored)] = Action::Hash;
  const Policy policy(actions, {}, {1, 2, 3});
  const auto pseudonym = [&](std::string_view tenant, std::string text) {
    Masking(policy, Place::Stored, {.tenant = tenant}).label(text);
    return text;
  };
  const std::string one = pseudonym("a", "anna@shop.eu");
  CHECK(one.starts_with("[email:") && one.size() == std::string_view("[email:01234567:0123456789abcdef]").size());
  CHECK(pseudonym("a", "to anna@shop.eu!") == "to " + one + "!");
  CHECK(pseudonym("a", "bob@shop.eu") != one);
  CHECK(pseudonym("b", "anna@shop.eu").substr(0, 15) != one.substr(0, 15));
}

TEST(whatIsDroppedIsGone) {
  Actions actions = Policy::kDefault;
  actions[static_cast<std::size_t>(Place::Stored)] = Action::Drop;
  const Policy policy(actions);
  std::string text = "to anna@shop.eu!";
  const Masking::Change change = Masking(policy, Place::Stored, {}).label(text);
  CHECK(text == "to !" && change.kinds == bitOf(Kind::Email) && change.strongest == Action::Drop);
}

}  // namespace

namespace {

/// A policy that masks what is stored, with detectors and allow-lists of a user.
Policy policyWith(std::vector<std::pair<std::string, std::string>> patterns, std::vector<Allowance> allowances = {},
                  std::vector<Rule> rules = {}) {
  std::vector<Detector> detectors;
  for (const auto& [name, pattern] : patterns) detectors.push_back({name, Pattern(pattern)});
  return Policy(Policy::kDefault, std::move(rules), {}, std::move(detectors), std::move(allowances));
}

std::string labelled(const Policy& policy, std::string text, std::string_view attribute = {}) {
  Masking(policy, Place::Stored, {}).label(text, bytes(attribute));
  return text;
}

std::string blanked(const Policy& policy, std::string text, std::string_view attribute = {}) {
  Masking(policy, Place::Stored, {}).blank({reinterpret_cast<std::uint8_t*>(text.data()), text.size()}, bytes(attribute));
  return text;
}

std::string faultOf(const char* pattern) {
  try {
    Pattern{pattern};
    return "none";
  } catch (const std::invalid_argument& fault) {
    return fault.what();
  }
}

TEST(givesWhatCannotBeFoundAgain) {
  const KeyedHash hash({1, 2});
  const Policy policy(Policy::kDefault, {}, {}, {{"own", Pattern("id [0-9]+")}},
                      {{.kinds = kAllKinds, .attribute = {}, .values = {"a@b.eu"}, .pattern = {}}});
  const auto noted = std::make_shared<Findings>(hash);
  const auto blanks = [](const Policy& of, std::string text) {
    const Kinds kinds = Masking(of, Place::Stored, {}).blank({reinterpret_cast<std::uint8_t*>(text.data()), text.size()}, {});
    return std::pair(text, kinds);
  };
  const std::string text = "id 4711 of a@b.eu and c@d.eu";
  const auto [masked, kinds] = blanks(*policy.noting({}, noted), text);
  CHECK(masked == "[own**] of a@b.eu and ******");
  CHECK(kinds == (bitOf(Kind::Custom) | bitOf(Kind::Email)));

  // From the text as it was, and from the masked one, without patterns and allow-lists.
  for (const std::string& from : {text, masked}) {
    const auto given = noted->given();
    CHECK(blanks(*policy.of({}, given), from) == std::pair(masked, kinds));
    CHECK(given->takenFindings().size() == 1);
    CHECK(given->takenAllowed().size() == (from == text ? 1 : 0));
  }
  CHECK(blanks(*policy.of({}), text).first != masked);
  CHECK(blanks(*policy.of({}), masked).second != kinds);

  // Parts that a text does not have are not taken.
  Findings forged(hash, {{hash(bytes("id 4711"), hash(Bytes{}, 0)), {{3, 99, Kind::Custom}}}}, {});
  CHECK(!forged.take(Findings::Text::AsItIs, bytes("id 4711"), {}));
  // Nor are those too short for their kind trusted to be what it says.
  const std::uint64_t masks = hash(bytes("id 4711"), hash(Bytes{}, 1));
  const auto shorter = std::make_shared<Findings>(
      hash, std::vector<Findings::Finding>{{masks, {{3, 4, Kind::Iban}, {3, 5, Kind::Email}}}}, std::vector<Findings::Allowed>{});
  CHECK(blanks(*policy.of({}, shorter), "id 4711").first == "id **11");
}

}  // namespace

TEST(usersPatternsAreFound) {
  const Policy policy =
      policyWith({{"employee_id", "EMP-[0-9]{6}"}, {"customer", "(?i)customer (?:no|number)[ :]+([0-9-]{4,12})"}});
  CHECK(labelled(policy, "EMP-123456 mailed a@b.eu") == "[employee_id] mailed [email]");
  // The group is the value, and a number stays one where it is kept.
  CHECK(labelled(policy, "Customer number: 12-3456.") == "Customer number: [customer].");
  CHECK(blanked(policy, "Customer number: 12-3456.") == "Customer number: 00-0000.");
  CHECK(blanked(policy, "by EMP-123456") == "by **********");
  CHECK(blanked(policyWith({{"emp", "EMP-[0-9]{6}"}}), "by EMP-123456") == "by [emp*****]");
  const Counts counts = policy.counts();
  const auto stored = static_cast<std::size_t>(Place::Stored);
  CHECK(counts[stored][kBuiltInCount] == 2 && counts[stored][kBuiltInCount + 1] == 2);
  CHECK(policy.nameOf(Kind::Custom) == "employee_id" && policy.pluralOf(Kind::Custom) == "values of the kind \"employee_id\"");
}

TEST(partsThatOverlapAreMaskedAsAWhole) {
  const Policy policy = policyWith({{"ticket", "T-[a-z.@]+"}});
  CHECK(labelled(policy, "see T-jane.doe@mailshop.eu now") == "see [ticket] now");
  // What a rule lets stay hides nothing that is to be masked.
  Rule rule;
  rule.kinds = bitOf(Kind::Custom);
  rule.actions[static_cast<std::size_t>(Place::Stored)] = Action::Flag;
  CHECK(labelled(policyWith({{"ticket", "T-[a-z.@]+"}}, {}, {rule}), "see T-jane.doe@mailshop.eu now") == "see [email] now");
  Rule person = rule;
  person.kinds = bitOf(Kind::Person);
  CHECK(labelled(policyWith({}, {}, {person}), "jane@mailshop.eu", "user.id") == "[email]");
  CHECK(labelled(policyWith({}, {}, {person}), "jane", "user.id") == "jane");
}

TEST(masksOfUsersPatternsAreIdempotent) {
  for (const char* const pattern : {"\\w{3,}", ".+", "[a-z]+", "[0-9]{3,}", "[0-9a-f]{8}", "\\S+@?", "a|b|\\*", "\\[.*"}) {
    const Policy policy = policyWith({{"own", pattern}, {"second_kind", "x[0-9]+"}});
    for (const char* const text : {"user x12 abc 12345678", "[own] [email] a", "12-345", "[user:123456]", "anna@mailshop.eu"}) {
      const std::string once = labelled(policy, text), kept = blanked(policy, text);
      CHECK(labelled(policy, once) == once);
      CHECK(blanked(policy, kept) == kept);
      if (labelled(policy, once) != once || blanked(policy, kept) != kept)
        std::fprintf(stderr, "  %s: %s -> %s -> %s; %s\n", pattern, text, once.c_str(), labelled(policy, once).c_str(),
                     kept.c_str());
    }
  }
  // Only what has the form of a mask is one.
  CHECK(labelled(policyWith({{"user", "[0-9]{6}"}}), "[user:123456]") == "[user:[user]]");
}

TEST(patternsAreSearchedBehindTheirLiterals) {
  using Literals = std::vector<std::string>;
  CHECK(Pattern("EMP-[0-9]{6}").literals() == Literals{"emp-"});
  CHECK((Pattern("(?:acct|account)[:=]\\d+").literals() == Literals{"account:", "account=", "acct:", "acct="}));
  CHECK(Pattern("[0-9]{8}").literals().empty());
  CHECK(Pattern("[0-9]{8}").mayMatch("anything"));
  CHECK(Pattern("(?i)STRASSE [0-9]+").mayMatch("in Strasse 5") && !Pattern("(?i)STRASSE [0-9]+").mayMatch("in Gasse 5"));
  // Letters that are not ASCII have cases of their own.
  CHECK(Pattern("(?i)größe=[0-9]+").mayMatch("GRÖẞE=5"));
}

TEST(patternsThatCostTooMuchAreRefused) {
  CHECK(faultOf("EMP-[0-9]{6}") == "none" && faultOf("a{32}") == "none");
  CHECK(faultOf("a{33}").find("up to 33 times, and at most 32") != std::string::npos);
  CHECK(faultOf("(?:ab{1,40}c)+").find("up to 40 times") != std::string::npos);
  CHECK(faultOf("(a{0,1000}){2}").starts_with("is too large") || faultOf("(a{0,1000}){2}").starts_with("repeats"));
  CHECK(faultOf("(?:[\\pL\\pN]{1,32}-){30}").starts_with("is too large"));
  CHECK(faultOf("a*").find("must not match the empty text") != std::string::npos);
  CHECK(faultOf("(").starts_with("is not valid: missing )"));
  CHECK(faultOf("(?=a)b").starts_with("is not valid: invalid perl operator"));
}

TEST(aTextWithManyValuesIsMaskedToItsEnd) {
  const Policy policy = policyWith({{"own", "x[0-9]"}});
  std::string text;
  for (int i = 0; i < 300; ++i) text += "x1 and ";
  const std::string masked = labelled(policy, text);
  CHECK(masked.find("x1") == std::string::npos && masked.ends_with("[own] and [own]"));
}

TEST(allowListsSuppress) {
  Allowance values{.kinds = bitOf(Kind::Email), .values = {"help@mailshop.eu", "info@mailshop.eu"}};
  CHECK(labelled(policyWith({}, {values}), "info@mailshop.eu anna@mailshop.eu") == "info@mailshop.eu [email]");
  Allowance pattern{.attribute = "service.*", .pattern = Pattern(".*@mailshop\\.eu")};
  const Policy policy = policyWith({}, {pattern});
  CHECK(labelled(policy, "anna@mailshop.eu", "service.owner") == "anna@mailshop.eu");
  CHECK(labelled(policy, "anna@mailshop.eu", "who") == "[email]");
  CHECK(labelled(policy, "anna@mailshop.eu.evil.com", "service.owner") == "[email]");
  CHECK(policy.counts()[static_cast<std::size_t>(Place::Stored)][static_cast<std::size_t>(Kind::Email)] == 2);
  // The name of the attribute makes a secret of every value but these.
  Allowance changeme{.kinds = bitOf(Kind::Password), .values = {"changeme"}};
  CHECK(labelled(policyWith({}, {changeme}), "changeme", "db.password") == "changeme");
  CHECK(labelled(policyWith({}, {changeme}), "changeme2", "db.password") == "[password]");
  CHECK(labelled(policyWith({{"own", "E[0-9]+"}}, {{.values = {"E1"}}}), "E1 E2") == "E1 [own]");
}
