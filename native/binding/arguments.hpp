#pragma once

// JavaScript arguments as C++ values. Every error names the argument.

#include <napi.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "binding/errors.hpp"
#include "codec/codec.hpp"
#include "otlp/reader.hpp"

namespace driftlock::binding {

constexpr double kMaxSafeInteger = 9007199254740991;

/// The function that JavaScript calls: it runs `call` and turns whatever that throws into a JavaScript exception. No C++
/// exception escapes.
template <Napi::Value (*call)(const Napi::CallbackInfo&)>
napi_value entry(napi_env env, napi_callback_info info) noexcept {
  try {
    return call(Napi::CallbackInfo(env, info));
  } catch (...) {
    try {
      // The status does not matter: it fails if the environment is ending, and nobody sees the error then.
      napi_throw(env, toError(env, std::current_exception()).Value());
    } catch (...) {
      napi_throw_range_error(env, error_code::kOutOfMemory, "out of memory");
    }
    return nullptr;
  }
}

/// Returns a Buffer of the bytes without a copy; Node frees them with the Buffer.
inline Napi::Value bufferOf(Napi::Env env, OwnedBytes bytes) {
  // Node.js detaches an empty Buffer on memory that it does not own.
  if (bytes.size == 0) return Napi::Buffer<std::uint8_t>::New(env, 0);
  return Napi::Buffer<std::uint8_t>::NewOrCopy(env, bytes.data.release(), bytes.size,
                                               [](Napi::Env, std::uint8_t* data) { delete[] data; });
}
inline Napi::Value bufferOf(Napi::Env env, std::vector<std::uint8_t> bytes) {
  if (bytes.empty()) return bufferOf(env, OwnedBytes{});
  auto owner = std::make_unique<std::vector<std::uint8_t>>(std::move(bytes));
  auto* held = owner.release();
  return Napi::Buffer<std::uint8_t>::NewOrCopy(
      env, held->data(), held->size(), [](Napi::Env, std::uint8_t*, std::vector<std::uint8_t>* owned) { delete owned; }, held);
}

inline void exportFunction(Napi::Object exports, const char* name, napi_callback function) {
  napi_value value;
  const napi_status status = napi_create_function(exports.Env(), name, NAPI_AUTO_LENGTH, function, nullptr, &value);
  if (status != napi_ok) throw Napi::Error::New(exports.Env());
  exports.Set(name, value);
}

/// The bytes of a typed array of that type, in place: valid during the call, while JavaScript does not run. Arguments whose
/// reading may run JavaScript, such as properties of objects, must therefore be read before.
template <class Element>
std::span<const Element> elementsArgument(Napi::Value value, const std::string& name, napi_typedarray_type type,
                                          const char* typeName) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type)
    throw std::invalid_argument(name + " must be a " + typeName);
  const auto array = value.As<Napi::TypedArrayOf<Element>>();
  // Another thread could write to shared memory while it is read here.
  if (!Napi::Value(array.Env(), array.ArrayBuffer()).IsArrayBuffer())
    throw std::invalid_argument(name + " is on a SharedArrayBuffer: pass a copy");
  return {array.Data(), array.ElementLength()};
}

inline Bytes bytesArgument(Napi::Value value, const std::string& name) {
  return elementsArgument<std::uint8_t>(value, name, napi_uint8_array, "Uint8Array");
}

/// A string of at most `longest` bytes in UTF-8. A longer one is rejected before it is copied.
inline std::string textArgument(Napi::Value value, const std::string& name, std::size_t longest) {
  if (!value.IsString()) throw std::invalid_argument(name + " must be a string");
  std::size_t size = 0;
  if (napi_get_value_string_utf8(value.Env(), value, nullptr, 0, &size) != napi_ok) throw Napi::Error::New(value.Env());
  if (size > longest)
    throw std::out_of_range(name + " is " + std::to_string(size) + " bytes long: at most " + std::to_string(longest) +
                            " are allowed");
  return value.As<Napi::String>().Utf8Value();
}

inline double numberArgument(Napi::Value value, const std::string& name, double lowest, double highest) {
  if (!value.IsNumber()) throw std::invalid_argument(name + " must be a number");
  const double number = value.As<Napi::Number>().DoubleValue();
  const auto shown = [](double x) { return std::to_string(static_cast<std::int64_t>(x)); };
  if (!(number >= lowest && number <= highest))
    throw std::out_of_range(name + " must be a number from " + shown(lowest) + " to " + shown(highest));
  return number;
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

inline bool booleanArgument(Napi::Value value, const std::string& name) {
  if (!value.IsBoolean()) throw std::invalid_argument(name + " must be a boolean");
  return value.As<Napi::Boolean>();
}

inline std::uint64_t seedArgument(Napi::Value value, const std::string& name) {
  if (!value.IsBigInt()) throw std::invalid_argument(name + " must be a bigint");
  bool lossless = false;
  const std::uint64_t seed = value.As<Napi::BigInt>().Uint64Value(&lossless);
  if (!lossless) throw std::out_of_range(name + " must be from 0 to 2^64 - 1");
  return seed;
}

/// Converts nanoseconds since 1970.
inline std::uint64_t timeArgument(Napi::Value value, const std::string& name) {
  const std::uint64_t time = seedArgument(value, name);
  if (time == 0) throw std::out_of_range(name + " must be more than 0");
  return time;
}

inline Napi::Object objectArgument(Napi::Value value, const std::string& name) {
  if (!value.IsObject()) throw std::invalid_argument(name + " must be an object");
  return value.As<Napi::Object>();
}

/// An argument that is an object of options. Options are read by their names; names that were not read are rejected, so that a
/// misspelt option is an error.
class OptionsArgument {
 public:
  OptionsArgument(Napi::Value value, std::string name) : name_(std::move(name)), object_(objectArgument(value, name_)) {}

  /// Returns the option's name in error messages.
  std::string nameOf(const char* option) const { return name_ + "." + option; }

  Napi::Value optional(const char* option) {
    read_.push_back(option);
    return object_.Get(option);
  }

  Napi::Value required(const char* option) {
    const Napi::Value value = optional(option);
    if (value.IsUndefined()) throw std::invalid_argument(nameOf(option) + " is missing");
    return value;
  }

  /// Rejects unknown options, after all others were read.
  void refuseOthers() const {
    const Napi::Env env = object_.Env();
    napi_value own = nullptr;
    if (napi_get_all_property_names(env, object_, napi_key_own_only,
                                    static_cast<napi_key_filter>(napi_key_enumerable | napi_key_skip_symbols),
                                    napi_key_numbers_to_strings, &own) != napi_ok)
      throw Napi::Error::New(env);
    const Napi::Array names(env, own);
    for (std::uint32_t i = 0; i < names.Length(); ++i) {
      const Napi::HandleScope scope(env);
      const std::string given = textArgument(names.Get(i), name_ + "'s names", 1024);
      if (std::ranges::find(read_, given) == read_.end())
        throw std::invalid_argument(nameOf(given.c_str()) + " is not an option");
    }
  }

 private:
  std::string name_;
  Napi::Object object_;
  std::vector<std::string_view> read_;
};

constexpr std::pair<otlp::Signal, const char*> kSignalNames[] = {
    {otlp::Signal::Logs, "logs"}, {otlp::Signal::Traces, "traces"}, {otlp::Signal::Metrics, "metrics"}};

inline const char* signalName(otlp::Signal signal) {
  return std::ranges::find(kSignalNames, signal, &std::pair<otlp::Signal, const char*>::first)->second;
}

inline otlp::Signal signalArgument(Napi::Value value, const std::string& name) {
  const std::string given = textArgument(value, name, 16);
  for (const auto& [signal, known] : kSignalNames)
    if (given == known) return signal;
  throw std::invalid_argument(name + " must be \"logs\", \"traces\" or \"metrics\"");
}

inline CodecName codecArgument(Napi::Value value, const std::string& name) {
  // The text is one of the names, or longer than any: truncation does not matter.
  char text[16] = "";
  if (value.IsString()) {
    napi_get_value_string_utf8(value.Env(), value, text, sizeof text, nullptr);
    if (const auto codec = codecNamed(text)) return *codec;
  }
  throw std::invalid_argument(name + " must be \"openzl\", \"zstd\", \"lz4\" or \"gzip\"");
}

/// Returns nullopt for undefined, which selects the codec's default level.
inline std::optional<int> levelArgument(Napi::Value value, const std::string& name) {
  if (value.IsUndefined()) return {};
  return static_cast<int>(integerArgument(value, name, -1e6, 1e6));
}

/// Reads a ColumnType; the lengths of strings are read in place.
inline Column columnArgument(Napi::Value value, const std::string& name) {
  if (value.IsUndefined()) return {};
  if (!value.IsObject()) throw std::invalid_argument(name + " must be an object with a kind");
  const auto object = value.As<Napi::Object>();
  const Napi::Value kind = object.Get("kind");
  const auto named = kind.IsString() ? textArgument(kind, name + ".kind", 16) : std::string();
  const auto width = [&] { return static_cast<std::size_t>(integerArgument(object.Get("width"), name + ".width", 1, 1 << 20)); };
  if (named == "bytes") return {};
  if (named == "numeric") {
    const Napi::Value sorted = object.Get("sorted");
    return {.kind = Column::Kind::Numeric,
            .width = width(),
            .sorted = !sorted.IsUndefined() && booleanArgument(sorted, name + ".sorted")};
  }
  if (named == "struct") return {.kind = Column::Kind::Fixed, .width = width()};
  if (named == "string")
    return {
        .kind = Column::Kind::String,
        .lengths = elementsArgument<std::uint32_t>(object.Get("lengths"), name + ".lengths", napi_uint32_array, "Uint32Array")};
  throw std::invalid_argument(name + ".kind must be \"bytes\", \"numeric\", \"struct\" or \"string\"");
}

}  // namespace driftlock::binding
