#include "codec/openzl_memory.hpp"

#include <cstdlib>
#include <limits>

namespace driftlock::codecs {
namespace {

constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();

thread_local std::size_t left = kUnlimited;
thread_local bool refused = false;

bool granted(std::size_t size) {
  if (left == kUnlimited) return true;
  if (size > left) {
    refused = true;
    return false;
  }
  left -= size;
  return true;
}

}  // namespace

OpenzlBudget::OpenzlBudget(std::size_t bytes) {
  left = bytes;
  refused = false;
}

OpenzlBudget::~OpenzlBudget() { left = kUnlimited; }

bool OpenzlBudget::exceeded() const { return refused; }

}  // namespace driftlock::codecs

extern "C" {

void* driftlock_openzl_malloc(std::size_t size) { return driftlock::codecs::granted(size) ? std::malloc(size) : nullptr; }

void* driftlock_openzl_calloc(std::size_t count, std::size_t size) {
  if (size != 0 && count > std::numeric_limits<std::size_t>::max() / size) return nullptr;
  return driftlock::codecs::granted(count * size) ? std::calloc(count, size) : nullptr;
}

void* driftlock_openzl_realloc(void* memory, std::size_t size) {
  return driftlock::codecs::granted(size) ? std::realloc(memory, size) : nullptr;
}

}  // extern "C"
