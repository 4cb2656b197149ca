// Recomputes verdicts in WebAssembly, where nothing catches an exception: the first one ends the call with its reason. The loader
// (src/verify/wasm.ts) makes an instance per call.

#include <cstdint>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <typeinfo>
#include <vector>

#include "codec/implementations.hpp"
#include "recording/recompute.hpp"
#include "recording/recording.hpp"

namespace driftlock {
namespace {

/// What the call returns: a report, or the reason why there is none.
std::vector<std::uint8_t> result;
enum class Failure : std::uint32_t { None, Damaged, OtherFormat, Unavailable };
Failure failure = Failure::None;

[[noreturn]] void unavailable() {
  throw std::logic_error(
      "the verdict depends on a text compressed by OpenZL, which has no 32-bit build: compute it again with the driftlock "
      "command");
}

}  // namespace

namespace codecs {

std::unique_ptr<const Codec> makeOpenzl(std::optional<int>) { unavailable(); }
OwnedBytes decompressOpenzl(Bytes, std::size_t) { unavailable(); }

}  // namespace codecs
}  // namespace driftlock

extern "C" {

std::uint8_t* reserve(std::size_t size) { return static_cast<std::uint8_t*>(std::malloc(size == 0 ? 1 : size)); }

void recompute(const std::uint8_t* recording, std::size_t size) { driftlock::result = driftlock::recompute({recording, size}); }

const std::uint8_t* result() { return driftlock::result.data(); }
std::size_t size() { return driftlock::result.size(); }
driftlock::Failure failure() { return driftlock::failure; }

// The runtime of exceptions. All that are thrown derive from std::exception, and begin with it.
void* __cxa_allocate_exception(std::size_t size) noexcept { return std::malloc(size); }
void __cxa_free_exception(void* exception) noexcept { std::free(exception); }
[[noreturn]] void __cxa_throw(void* exception, std::type_info* type, void (*)(void*)) {
  using driftlock::Failure;
  const char* what = static_cast<std::exception*>(exception)->what();
  driftlock::result.assign(what, what + std::char_traits<char>::length(what));
  driftlock::failure = *type == typeid(driftlock::OtherFormat) ? Failure::OtherFormat
                       : *type == typeid(std::logic_error)     ? Failure::Unavailable
                                                               : Failure::Damaged;
  __builtin_trap();
}
// An instance ends with its only thread, which destroys nothing.
int __cxa_thread_atexit(void (*)(void*), void*, void*) { return 0; }
void* __cxa_begin_catch(void*) noexcept { __builtin_trap(); }
void __cxa_end_catch() { __builtin_trap(); }
[[noreturn]] void __cxa_rethrow() { __builtin_trap(); }
}
