#pragma once

#include <napi.h>

#include <exception>
#include <string>

namespace driftlock::binding {

/// The stable codes of errors, which JavaScript finds in their property `code`. src/errors.ts explains each of them.
namespace error_code {
constexpr char kInvalidArgument[] = "ERR_DRIFTLOCK_INVALID_ARGUMENT";
constexpr char kOutOfRange[] = "ERR_DRIFTLOCK_OUT_OF_RANGE";
constexpr char kSizeLimit[] = "ERR_DRIFTLOCK_SIZE_LIMIT";
constexpr char kDamagedInput[] = "ERR_DRIFTLOCK_DAMAGED_INPUT";
constexpr char kOutOfMemory[] = "ERR_DRIFTLOCK_OUT_OF_MEMORY";
constexpr char kInvalidCall[] = "ERR_DRIFTLOCK_INVALID_CALL";
constexpr char kRecordingFormat[] = "ERR_DRIFTLOCK_RECORDING_FORMAT";
constexpr char kOtlpMalformed[] = "ERR_DRIFTLOCK_OTLP_MALFORMED";
constexpr char kEngineCancelled[] = "ERR_DRIFTLOCK_ENGINE_CANCELLED";
constexpr char kEngineClosed[] = "ERR_DRIFTLOCK_ENGINE_CLOSED";
constexpr char kEngineStarted[] = "ERR_DRIFTLOCK_ENGINE_STARTED";
constexpr char kInternal[] = "ERR_DRIFTLOCK_INTERNAL";
}  // namespace error_code

/// A JavaScript error of class `Error` (Napi::Error, Napi::TypeError or Napi::RangeError) with a code.
template <class Error>
Error coded(Napi::Env env, const std::string& message, const char* code) {
  Error error = Error::New(env, message);
  error.Set("code", code);
  return error;
}

/// The JavaScript error for a C++ exception: a TypeError for arguments of the wrong kind, a RangeError for values and sizes
/// that are out of range, an Error for everything else.
Napi::Error toError(Napi::Env env, const std::exception_ptr& exception);

}  // namespace driftlock::binding
