#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "base/bytes.hpp"
#include "base/hash.hpp"
#include "base/work.hpp"
#include "record/record.hpp"

namespace driftlock {

/// Bytes of a limited length, kept for comparison with others.
template <std::size_t Longest>
class RecentBytes {
 public:
  bool operator==(Bytes bytes) const {
    return bytes.size() == size_ && (bytes.empty() || std::memcmp(bytes.data(), bytes_.data(), bytes.size()) == 0);
  }
  void assign(Bytes bytes) {
    size_ = bytes.size() <= Longest ? bytes.size() : kNone;
    if (size_ != kNone && size_ != 0) std::memcpy(bytes_.data(), bytes.data(), size_);
  }

 private:
  static constexpr std::size_t kNone = ~std::size_t{0};
  std::size_t size_ = kNone;
  std::array<std::uint8_t, Longest> bytes_;
};

/// A field as it was in the previous record.
class RecentField {
 public:
  const KeyedHash::Name& name() const { return name_; }

  /// The hash of the value, computed by `compute` unless the field had the same value before.
  template <class Compute>
  std::uint64_t value(Field::Kind kind, Bytes value, Compute&& compute) {
    if (kind_ == kind && value_ == value) return hash_;
    hash_ = compute();
    kind_ = kind;
    value_.assign(value);
    return hash_;
  }

 private:
  friend class RecentFields;

  std::array<std::uint64_t, 2> key_{};
  RecentBytes<48> text_;
  KeyedHash::Name name_;
  std::uint64_t hash_ = 0;
  RecentBytes<48> value_;
  Field::Kind kind_{};
};

/// The fields of recent records, each at its place. Most records of a stream repeat the names of the previous one, and
/// many of its values: comparing them takes a fraction of the time of masking and hashing. It has a fixed size and
/// serves one thread.
class RecentFields {
 public:
  /// The field at a place of the records that use this hash; without a value if its name has changed.
  RecentField& find(const KeyedHash& hash, std::size_t place, Bytes name) {
    countWork(name.size());
    const auto key = hash.identity();
    RecentField& field = fields_[(key[0] + place) % fields_.size()];
    if (field.key_ == key && field.text_ == name) return field;
    field.key_ = key;
    field.text_.assign(name);
    field.name_ = hash.name(name);
    field.value_ = {};
    return field;
  }

 private:
  std::array<RecentField, 512> fields_;
};

}  // namespace driftlock
