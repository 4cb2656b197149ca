#include <openzl/openzl.h>
#include <openzl/zl_public_nodes.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <mutex>
#include <new>
#include <string>

#include "codec/implementations.hpp"
#include "codec/openzl_memory.hpp"
#include "codec/zstd.hpp"

namespace driftlock::codecs {
namespace {

static_assert(std::endian::native == std::endian::little, "columns are little-endian, OpenZL reads the machine's order");

constexpr Levels kLevels{1, 9, ZL_COMPRESSIONLEVEL_DEFAULT};

constexpr std::size_t kBudgetBase = 16 << 20;
constexpr std::size_t kBudgetTimes = 16;

struct Free {
  void operator()(ZL_Compressor* compressor) const { ZL_Compressor_free(compressor); }
  void operator()(ZL_CCtx* context) const { ZL_CCtx_free(context); }
  void operator()(ZL_DCtx* context) const { ZL_DCtx_free(context); }
  void operator()(ZL_TypedRef* ref) const { ZL_TypedRef_free(ref); }
  void operator()(ZL_TypedBuffer* buffer) const { ZL_TypedBuffer_free(buffer); }
  void operator()(ZL_FrameInfo* info) const { ZL_FrameInfo_free(info); }
};

template <class T>
using Owned = std::unique_ptr<T, Free>;

template <class T>
Owned<T> owned(T* object) {
  if (object == nullptr) throw std::bad_alloc();
  return Owned<T>(object);
}

/// Returns code and message of OpenZL's report, which goes on with values, nodes and a stack trace.
std::string shortly(const char* context, ZL_Report report) {
  const std::string code = ZL_ErrorCode_toString(ZL_errorCode(report));
  const std::string_view text = context ? context : "";
  constexpr std::string_view kLabel = "Message: ";
  const auto at = text.find(kLabel);
  if (at == text.npos) return code;
  auto message = text.substr(at + kLabel.size());
  message = message.substr(0, std::min(message.find('\n'), message.find(" where:")));
  return message.empty() ? code : code + " (" + std::string(message) + ")";
}

/// The graphs of one level, made once and read by all threads.
class Graphs {
 public:
  static const Graphs& at(int level) {
    static std::array<std::once_flag, kLevels.highest + 1> once;
    // Never freed: threads may still use them while the process exits.
    static std::array<const Graphs*, kLevels.highest + 1> made;
    const auto i = static_cast<std::size_t>(level);
    std::call_once(once[i], [&] { made[i] = new Graphs(level); });
    return *made[i];
  }

  const ZL_Compressor* compressor() const { return compressor_.get(); }

  ZL_GraphID of(const Column& column) const {
    switch (column.kind) {
      case Column::Kind::Bytes: break;
      case Column::Kind::Numeric: return column.sorted ? sorted_ : numeric_;
      case Column::Kind::Fixed:
        // Each lane costs some bytes of its own; very wide structs are rows with few repeats within a lane.
        return column.width <= 64 ? lanes_ : bytes_;
      case Column::Kind::String: return strings_;
    }
    return bytes_;
  }

 private:
  explicit Graphs(int level) : compressor_(owned(ZL_Compressor_create())) {
    auto* const c = compressor_.get();
    require(ZL_Compressor_setParameter(c, ZL_CParam_compressionLevel, level));
    require(ZL_Compressor_setParameter(c, ZL_CParam_formatVersion, ZL_MAX_FORMAT_VERSION));
    require(ZL_Compressor_setParameter(c, ZL_CParam_contentChecksum, ZL_TernaryParam_disable));
    require(ZL_Compressor_setParameter(c, ZL_CParam_compressedChecksum, ZL_TernaryParam_disable));
    const auto then = [c](ZL_NodeID node, std::initializer_list<ZL_GraphID> next) {
      return require(ZL_Compressor_registerStaticGraph_fromNode(c, node, next.begin(), next.size()));
    };
    // Bytes use zstd, as OpenZL's own generic graph chooses, but with parameters that do not depend on the size.
    bytes_ = zstd(level);
    // Sorted numbers are encoded as steps in units of their greatest common divisor (a clock's resolution), in as few bytes as
    // the largest needs, with each byte's place separate.
    const auto places = require(ZL_Compressor_registerTransposeSplitGraph(c, ZL_GRAPH_ENTROPY));
    sorted_ = then(ZL_NODE_DELTA_INT, {then(ZL_NODE_DIVIDE_BY, {then(ZL_NODE_RANGE_PACK, {places})})});
    // Other numbers are whole values that repeat.
    numeric_ = then(ZL_NODE_RANGE_PACK, {ZL_GRAPH_FIELD_LZ});
    // Structs have each byte's place separate.
    lanes_ = require(ZL_Compressor_registerTransposeSplitGraph(c, bytes_));
    // Strings use a sorted alphabet, in which neighbours share prefixes, and indices into it.
    const auto suffixes = then(ZL_NODE_SEPARATE_STRING_COMPONENTS, {bytes_, ZL_GRAPH_FIELD_LZ});
    const auto alphabet = then(ZL_NODE_PREFIX, {suffixes, ZL_GRAPH_FIELD_LZ});
    strings_ = require(ZL_Compressor_registerTokenizeGraph(c, ZL_Type_string, true, alphabet, ZL_GRAPH_FIELD_LZ));
    require(ZL_Compressor_selectStartingGraphID(c, bytes_));
  }

  ZL_GraphID zstd(int level) const {
    const auto chosen = zstdParameters(level);
    const auto integer = [](ZSTD_cParameter id, auto value) { return ZL_IntParam{id, static_cast<int>(value)}; };
    const ZL_IntParam parameters[] = {
        integer(ZSTD_c_windowLog, chosen.windowLog), integer(ZSTD_c_chainLog, chosen.chainLog),
        integer(ZSTD_c_hashLog, chosen.hashLog),     integer(ZSTD_c_searchLog, chosen.searchLog),
        integer(ZSTD_c_minMatch, chosen.minMatch),   integer(ZSTD_c_targetLength, chosen.targetLength),
        integer(ZSTD_c_strategy, chosen.strategy),
    };
    ZL_LocalParams local{};
    local.intParams = {parameters, std::size(parameters)};
    ZL_ParameterizedGraphDesc description{};
    description.graph = ZL_GRAPH_ZSTD;
    description.localParams = &local;
    return require(ZL_Compressor_registerParameterizedGraph(compressor_.get(), &description));
  }

  static ZL_GraphID require(ZL_GraphID graph) {
    if (!ZL_GraphID_isValid(graph)) throw std::runtime_error("openzl: a graph is invalid");
    return graph;
  }
  void require(ZL_Report report) const {
    if (ZL_isError(report))
      throw std::runtime_error("openzl: " + shortly(ZL_Compressor_getErrorContextString(compressor_.get(), report), report));
  }

  Owned<ZL_Compressor> compressor_;
  ZL_GraphID bytes_{}, sorted_{}, numeric_{}, lanes_{}, strings_{};
};

/// One frame of one typed input, in the newest format, without checksums, which would add 8 bytes without information.
class Openzl final : public Codec {
 public:
  explicit Openzl(int level) : Codec(CodecName::Openzl, level), graphs_(Graphs::at(level)) {}

  std::size_t reach() const override { return zstdReach(zstdParameters(level())); }

 private:
  Bytes encode(Bytes bytes, const Column& column) const override {
    thread_local Owned<ZL_CCtx> context;
    if (!context) context = owned(ZL_CCtx_create());
    const auto require = [](ZL_Report report) {
      if (!ZL_isError(report)) return ZL_validResult(report);
      const auto message = "openzl: " + shortly(ZL_CCtx_getErrorContextString(context.get(), report), report);
      context.reset();
      throw std::runtime_error(message);
    };
    require(ZL_CCtx_refCompressor(context.get(), graphs_.compressor()));
    require(ZL_CCtx_selectStartingGraphID(context.get(), graphs_.compressor(), graphs_.of(column), nullptr));

    std::unique_ptr<std::uint64_t[]> aligned;
    const auto input = typed(bytes, column, aligned);
    // What does not shrink is stored: lengths of strings then take 4 bytes each.
    const auto out = scratch(ZL_compressBound(bytes.size() + column.lengths.size_bytes()));
    return out.first(require(ZL_CCtx_compressTypedRef(context.get(), out.data(), out.size(), input.get())));
  }

  static Owned<ZL_TypedRef> typed(Bytes bytes, const Column& column, std::unique_ptr<std::uint64_t[]>& aligned) {
    const void* data = bytes.data();
    switch (column.kind) {
      case Column::Kind::Bytes: break;
      case Column::Kind::Numeric:
        if (reinterpret_cast<std::uintptr_t>(data) % column.width != 0) {
          aligned = std::make_unique_for_overwrite<std::uint64_t[]>(bytes.size() / sizeof(std::uint64_t) + 1);
          data = std::memcpy(aligned.get(), data, bytes.size());
        }
        return owned(ZL_TypedRef_createNumeric(data, column.width, bytes.size() / column.width));
      case Column::Kind::Fixed: return owned(ZL_TypedRef_createStruct(data, column.width, bytes.size() / column.width));
      case Column::Kind::String: {
        static constexpr std::uint32_t kNone = 0;
        const auto* lengths = column.lengths.empty() ? &kNone : column.lengths.data();
        return owned(ZL_TypedRef_createString(data, bytes.size(), lengths, column.lengths.size()));
      }
    }
    return owned(ZL_TypedRef_createSerial(data, bytes.size()));
  }

  const Graphs& graphs_;
};

}  // namespace

std::unique_ptr<const Codec> makeOpenzl(std::optional<int> level) {
  return std::make_unique<Openzl>(checkedLevel(CodecName::Openzl, level, kLevels));
}

OwnedBytes decompressOpenzl(Bytes bytes, std::size_t maxSize) {
  const auto ask = [](ZL_Report report) -> std::uint64_t {
    if (ZL_isError(report)) throw damaged(CodecName::Openzl, ZL_ErrorCode_toString(ZL_errorCode(report)));
    return ZL_validResult(report);
  };
  const Owned<ZL_FrameInfo> info(ZL_FrameInfo_create(bytes.data(), bytes.size()));
  if (!info) throw damaged(CodecName::Openzl, "no frame header");
  if (ask(ZL_FrameInfo_getNumOutputs(info.get())) != 1) throw damaged(CodecName::Openzl, "more than one column");
  const bool strings = ask(ZL_FrameInfo_getOutputType(info.get(), 0)) == ZL_Type_string;
  const auto size = ask(ZL_FrameInfo_getDecompressedSize(info.get(), 0));
  // Lengths take memory of their own. Strings may be empty, so that their number is not bounded by their bytes.
  const auto count = strings ? ask(ZL_FrameInfo_getNumElts(info.get(), 0)) : 0;
  constexpr std::size_t kEmptyStrings = 1 << 18;
  if (size > maxSize || (count > maxSize && count - maxSize > kEmptyStrings)) throw tooLarge(CodecName::Openzl, maxSize);

  thread_local Owned<ZL_DCtx> context;
  if (!context) context = owned(ZL_DCtx_create());
  auto out = allocate(size);
  const auto lengths = std::make_unique_for_overwrite<std::uint32_t[]>(count + 1);

  // Streams between the codecs of our graphs add up to a few times the output; more is a bomb.
  const OpenzlBudget budget(kBudgetBase + kBudgetTimes * (size + count * sizeof(std::uint32_t)));
  const auto require = [&](ZL_Report report) {
    if (!ZL_isError(report)) return ZL_validResult(report);
    const auto message = shortly(ZL_DCtx_getErrorContextString(context.get(), report), report);
    context.reset();
    if (budget.exceeded()) throw std::length_error("openzl: the frame asks for more memory than its output explains");
    throw damaged(CodecName::Openzl, message);
  };
  std::size_t written = 0;
  if (strings) {
    const auto buffer = owned(ZL_TypedBuffer_createWrapString(out.data.get(), out.size, lengths.get(), count));
    written = require(ZL_DCtx_decompressTBuffer(context.get(), buffer.get(), bytes.data(), bytes.size()));
  } else {
    ZL_OutputInfo output;
    require(ZL_DCtx_decompressTyped(context.get(), &output, out.data.get(), out.size, bytes.data(), bytes.size()));
    written = output.decompressedByteSize;
  }
  if (written != size) throw damaged(CodecName::Openzl, "its size is not what its header says");
  return out;
}

}  // namespace driftlock::codecs
