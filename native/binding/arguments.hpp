#pragma once

// JavaScript arguments to C++ and C++ exceptions to JavaScript errors. What is wrong is named.

#include <napi.h>

#include <cmath>
#include <cstdint>
#include <exception>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>

#include "bytes.hpp"
#include "codec/codec.hpp"

namespace driftlock::binding {

constexpr double maxSafeInteger = 9007199254740991;

/// The error that JavaScript gets for the exception in flight: RangeError for limits, TypeError for arguments of the wrong
/// kind, Error for damaged input and the like.
inline Napi::Error toError(Napi::Env env, std::exception_ptr exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const Napi::Error& error) {
    return error;
  } catch (const std::invalid_argument& error) {
    return Napi::TypeError::New(env, error.what());
  } catch (const std::out_of_range& error) {
    return Napi::RangeError::New(env, error.what());
  } catch (const std::length_error& error) {
    return Napi::RangeError::New(env, error.what());
  } catch (const std::bad_alloc&) {
    return Napi::RangeError::New(env, "out of memory");
  } catch (const std::exception& error) {
    return Napi::Error::New(env, error.what());
  } catch (...) {
    return Napi::Error::New(env, "unknown native error");
  }
}

/// Runs `call`, so that no C++ exception but Napi::Error leaves it.
template <class Call>
Napi::Value guarded(const Napi::CallbackInfo& info, Call&& call) {
  try {
    return call();
  } catch (...) {
    throw toError(info.Env(), std::current_exception());
  }
}

/// The bytes of a Uint8Array or Buffer, in place: valid during the call, while JavaScript does not run.
inline Bytes bytesArgument(Napi::Value value, const std::string& name) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array)
    throw std::invalid_argument(name + " must be a Uint8Array");
  const auto array = value.As<Napi::Uint8Array>();
  // Another thread could write to shared memory while it is read here.
  if (!Napi::Value(array.Env(), array.ArrayBuffer()).IsArrayBuffer())
    throw std::invalid_argument(name + " is on a SharedArrayBuffer: pass a copy");
  return {array.Data(), array.ElementLength()};
}

inline double integerArgument(Napi::Value value, const std::string& name, double lowest, double highest) {
  if (!value.IsNumber()) throw std::invalid_argument(name + " must be a number");
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!(number >= lowest && number <= highest) || number != std::floor(number)) {
    const auto shown = [](double x) { return std::to_string(static_cast<std::int64_t>(x)); };
    throw std::out_of_range(name + " must be a whole number from " + shown(lowest) + " to " + shown(highest));
  }
  return number;
}

inline CodecName codecArgument(Napi::Value value, const std::string& name) {
  if (value.IsString())
    if (const auto codec = codecNamed(value.As<Napi::String>().Utf8Value())) return *codec;
  throw std::invalid_argument(name + " must be \"openzl\", \"zstd\", \"lz4\" or \"gzip\"");
}

/// nullopt for undefined: the codec's usual level.
inline std::optional<int> levelArgument(Napi::Value value, const std::string& name) {
  if (value.IsUndefined()) return {};
  if (!value.IsNumber()) throw std::invalid_argument(name + " must be a number");
  return static_cast<int>(integerArgument(value, name, -1e6, 1e6));
}

/// A ColumnType; the lengths of strings are read in place.
inline Column columnArgument(Napi::Value value, const std::string& name) {
  if (value.IsUndefined()) return {};
  if (!value.IsObject()) throw std::invalid_argument(name + " must be an object with a kind");
  const auto object = value.As<Napi::Object>();
  const Napi::Value kind = object.Get("kind");
  const auto named = kind.IsString() ? kind.As<Napi::String>().Utf8Value() : std::string();
  const auto width = [&] { return static_cast<std::size_t>(integerArgument(object.Get("width"), name + ".width", 1, 1 << 20)); };
  if (named == "bytes") return {};
  if (named == "numeric") {
    const Napi::Value sorted = object.Get("sorted");
    if (!sorted.IsUndefined() && !sorted.IsBoolean()) throw std::invalid_argument(name + ".sorted must be a boolean");
    return {.kind = Column::Kind::numeric, .width = width(), .sorted = sorted.IsBoolean() && sorted.As<Napi::Boolean>()};
  }
  if (named == "struct") return {.kind = Column::Kind::fixed, .width = width()};
  if (named == "string") {
    const Napi::Value lengths = object.Get("lengths");
    if (!lengths.IsTypedArray() || lengths.As<Napi::TypedArray>().TypedArrayType() != napi_uint32_array)
      throw std::invalid_argument(name + ".lengths must be a Uint32Array");
    const auto array = lengths.As<Napi::Uint32Array>();
    if (!Napi::Value(array.Env(), array.ArrayBuffer()).IsArrayBuffer())
      throw std::invalid_argument(name + ".lengths is on a SharedArrayBuffer: pass a copy");
    return {.kind = Column::Kind::string, .lengths = {array.Data(), array.ElementLength()}};
  }
  throw std::invalid_argument(name + ".kind must be \"bytes\", \"numeric\", \"struct\" or \"string\"");
}

}  // namespace driftlock::binding
