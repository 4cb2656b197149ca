#include "binding/llm.hpp"

#include <stdexcept>

#include "binding/arguments.hpp"

namespace driftlock::binding {
namespace {

constexpr std::uint32_t kMostPrices = 1000;
constexpr std::size_t kLongestPattern = 1024;
constexpr double kLargestPrice = 1e9;

llm::Capture captureArgument(Napi::Value value, const std::string& name) {
  const std::string text = textArgument(value, name, 16);
  if (text == "none") return llm::Capture::None;
  if (text == "masked") return llm::Capture::Masked;
  if (text == "full") return llm::Capture::Full;
  throw std::invalid_argument(name + R"( must be "none", "masked" or "full")");
}

llm::Price priceArgument(Napi::Value value, const std::string& name) {
  OptionsArgument options(value, name);
  const auto price = [&](const char* option, Napi::Value own) {
    return numberArgument(own, options.nameOf(option), 0, kLargestPrice);
  };
  llm::Price out;
  out.model = textArgument(options.required("model"), options.nameOf("model"), kLongestPattern);
  out.input = price("input", options.required("input"));
  out.output = price("output", options.required("output"));
  const Napi::Value cached = options.optional("cached");
  out.cached = cached.IsUndefined() ? out.input : price("cached", cached);
  options.refuseOthers();
  return out;
}

}  // namespace

llm::Options llmArgument(Napi::Value value, const std::string& name) {
  OptionsArgument options(value, name);
  llm::Options out{.enabled = true};
  out.capture = captureArgument(options.required("capture"), options.nameOf("capture"));
  if (const Napi::Value own = options.optional("prices"); !own.IsUndefined()) {
    if (!own.IsArray()) throw std::invalid_argument(options.nameOf("prices") + " must be an array");
    const auto prices = own.As<Napi::Array>();
    const std::uint32_t count = prices.Length();
    if (count > kMostPrices)
      throw std::out_of_range(options.nameOf("prices") + " must have at most " + std::to_string(kMostPrices) + " entries");
    for (std::uint32_t i = 0; i < count; ++i) {
      out.prices.push_back(priceArgument(prices.Get(i), options.nameOf("prices") + "[" + std::to_string(i) + "]"));
    }
  }
  options.refuseOthers();
  return out;
}

}  // namespace driftlock::binding
