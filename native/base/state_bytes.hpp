#pragma once

// Snapshots as bytes: little-endian, fixed widths, read with bounds.

#include <bit>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "base/bytes.hpp"

namespace driftlock {

/// Appends an integer.
template <class T>
void put(std::vector<std::uint8_t>& out, T value) {
  static_assert(std::is_unsigned_v<T>);
  for (std::size_t i = 0; i < sizeof value; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

inline void putDouble(std::vector<std::uint8_t>& out, double value) { put(out, std::bit_cast<std::uint64_t>(value)); }

/// Appends bytes with their length before them.
inline void putBytes(std::vector<std::uint8_t>& out, Bytes bytes) {
  put(out, static_cast<std::uint32_t>(bytes.size()));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

/// Appends the result of `state.snapshot` with its length before it; `getBytes` returns it for `restore`.
template <class State>
void putState(std::vector<std::uint8_t>& out, const State& state) {
  const std::size_t at = out.size();
  put<std::uint32_t>(out, 0);
  state.snapshot(out);
  const auto size = static_cast<std::uint32_t>(out.size() - at - 4);
  for (std::size_t i = 0; i < 4; ++i) out[at + i] = static_cast<std::uint8_t>(size >> (8 * i));
}

/// Writes the fields that a `visit(self, v)` lists, so that one list serves both directions; StateReader reads them.
class StateWriter {
 public:
  explicit StateWriter(std::vector<std::uint8_t>& out) : out_(out) {}

  template <class T>
    requires std::is_unsigned_v<T>
  void operator()(T value) {
    if constexpr (std::is_same_v<T, bool>) {
      put<std::uint8_t>(out_, value ? 1 : 0);
    } else {
      put(out_, value);
    }
  }
  void operator()(float value) { put(out_, std::bit_cast<std::uint32_t>(value)); }
  void operator()(double value) { putDouble(out_, value); }
  void operator()(const std::string& value) {
    putBytes(out_, {reinterpret_cast<const std::uint8_t*>(value.data()), value.size()});
  }

 private:
  std::vector<std::uint8_t>& out_;
};

/// Reads what `put` wrote. Past the end it returns zeros and `ok()` is false from then on.
class StateReader {
 public:
  explicit StateReader(Bytes in) : in_(in) {}

  template <class T>
  T get() {
    static_assert(std::is_unsigned_v<T>);
    if (in_.size() < sizeof(T)) ok_ = false;
    if (!ok_) return 0;
    T value = 0;
    for (std::size_t i = 0; i < sizeof value; ++i) value = static_cast<T>(value | static_cast<T>(in_[i]) << (8 * i));
    in_ = in_.subspan(sizeof(T));
    return value;
  }
  double getDouble() { return std::bit_cast<double>(get<std::uint64_t>()); }
  /// Returns what `putBytes` or `putState` wrote, in place.
  Bytes getBytes() {
    const std::size_t size = get<std::uint32_t>();
    if (size > in_.size()) ok_ = false;
    if (!ok_) return {};
    const Bytes bytes = in_.first(size);
    in_ = in_.subspan(size);
    return bytes;
  }

  /// Reads a field that StateWriter wrote. NaN is no valid state of anything.
  template <class T>
    requires std::is_unsigned_v<T>
  void operator()(T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      const auto byte = get<std::uint8_t>();
      ok_ = ok_ && byte <= 1;
      value = byte == 1;
    } else {
      value = get<T>();
    }
  }
  void operator()(float& value) {
    value = std::bit_cast<float>(get<std::uint32_t>());
    ok_ = ok_ && !std::isnan(value);
  }
  void operator()(double& value) {
    value = getDouble();
    ok_ = ok_ && !std::isnan(value);
  }
  void operator()(std::string& value) {
    const Bytes bytes = getBytes();
    value.assign(bytes.begin(), bytes.end());
  }

  /// Marks what was read as invalid.
  void fail() { ok_ = false; }
  bool ok() const { return ok_; }
  /// Whether everything was read successfully and nothing is left.
  bool done() const { return ok_ && in_.empty(); }
  std::size_t left() const { return in_.size(); }

 private:
  Bytes in_;
  bool ok_ = true;
};

/// Appends an optional state with a flag before it.
template <class State>
void putOptional(std::vector<std::uint8_t>& out, const std::unique_ptr<State>& state) {
  put<std::uint8_t>(out, state ? 1 : 0);
  if (state) putState(out, *state);
}

/// Reads what `putOptional` wrote into the state that `make` creates. Returns false if the bytes are no such state.
template <class State, class Make>
bool getOptional(StateReader& in, std::unique_ptr<State>& state, Make&& make) {
  bool there = false;
  in(there);
  state.reset();
  if (!there || !in.ok()) return in.ok();
  state = make();
  return state && state->restore(in.getBytes());
}

}  // namespace driftlock
