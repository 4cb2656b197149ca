#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "privacy/kind.hpp"

namespace driftlock::privacy {

/// A personal or secret value in a text, by offsets.
struct Found {
  std::uint32_t begin, end;
  Kind kind;

  bool operator==(const Found&) const = default;
};

/// What the name of an attribute says about its value.
enum class Naming : std::uint8_t { Nothing, Secret, Token, Person };
Naming namingOf(std::string_view name);

enum class Names : std::uint8_t { Decide, Ignored };

/// Finds personal and secret values in a text, in one pass: byte classes and required beginnings start the detectors, and check
/// digits, lengths and the words around a value decide. The parts that are found ascend and do not overlap.
///
/// The work is linear: what a detector reads before and after the byte that started it is bounded, and the words around are
/// looked up once.
/// @param key the name of the attribute whose value the text is; empty for other texts
/// @param names whether a name may decide that the whole value is one
void scan(Bytes text, Bytes key, std::vector<Found>& out, Names names = Names::Decide);

}  // namespace driftlock::privacy
