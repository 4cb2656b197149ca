#include "binding/errors.hpp"

#include <new>
#include <stdexcept>

#include "codec/codec.hpp"

namespace driftlock::binding {

Napi::Error toError(Napi::Env env, const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const Napi::Error& error) {
    return error;
  } catch (const std::invalid_argument& error) {
    return coded<Napi::TypeError>(env, error.what(), error_code::kInvalidArgument);
  } catch (const std::out_of_range& error) {
    return coded<Napi::RangeError>(env, error.what(), error_code::kOutOfRange);
  } catch (const std::length_error& error) {
    return coded<Napi::RangeError>(env, error.what(), error_code::kSizeLimit);
  } catch (const std::bad_alloc&) {
    return coded<Napi::RangeError>(env, "out of memory", error_code::kOutOfMemory);
  } catch (const DamagedInput& error) {
    return coded<Napi::Error>(env, error.what(), error_code::kDamagedInput);
  } catch (const std::exception& error) {
    return coded<Napi::Error>(env, error.what(), error_code::kInternal);
  } catch (...) {
    return coded<Napi::Error>(env, "unknown native error", error_code::kInternal);
  }
}

}  // namespace driftlock::binding
