#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace driftlock::privacy {

/// What a detector finds. The order is part of the configuration and of snapshots: new kinds are added at the end.
enum class Kind : std::uint8_t {
  Email,
  Phone,
  Iban,
  Card,
  Ip,
  Mac,
  NationalId,
  Ssn,
  Jwt,
  ApiKey,
  PrivateKey,
  Password,
  UrlCredentials,
  Person,
  /// The first of a user's own detectors. The others follow in the order of the configuration.
  Custom,
};
inline constexpr std::size_t kBuiltInCount = 14, kMostCustom = 16, kKindCount = kBuiltInCount + kMostCustom;

/// A set of kinds, by the bits of their numbers.
using Kinds = std::uint32_t;
inline constexpr Kinds kAllKinds = (Kinds{1} << kKindCount) - 1;
constexpr Kinds bitOf(Kind kind) { return Kinds{1} << static_cast<unsigned>(kind); }

/// What is said of a built-in kind.
struct KindInfo {
  /// The name in configuration and statistics, and what a masked value shows.
  std::string_view name;
  /// What people call several of them, as in "e-mail addresses appear".
  std::string_view plural;
};

inline constexpr std::array<KindInfo, kBuiltInCount> kKindInfos{{
    {"email", "e-mail addresses"},
    {"phone", "telephone numbers"},
    {"iban", "bank account numbers (IBAN)"},
    {"card", "payment card numbers"},
    {"ip", "public IP addresses"},
    {"mac", "MAC addresses"},
    {"national_id", "national identification numbers"},
    {"ssn", "US social security numbers"},
    {"jwt", "JSON web tokens"},
    {"api_key", "API keys or tokens"},
    {"private_key", "private keys"},
    {"password", "passwords"},
    {"url_credentials", "URLs with credentials"},
    {"person", "identifiers of persons"},
}};

}  // namespace driftlock::privacy
