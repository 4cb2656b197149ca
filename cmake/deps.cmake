# OpenZL, zstd, lz4, zlib and RE2 as one static library, driftlock_deps. The sources of OpenZL come from the first of
#   1. OPENZL_ROOT (a checkout or an unpacked release),  2. deps/openzl (a checkout, such as a submodule),
#   3. deps/vendor (`cargo vendor --locked` of deps/Cargo.toml, made here where cargo is found).
# zstd, lz4 and zlib always come from 3, whose Cargo.lock pins them. RE2's sources come from an npm package, which deps/re2.json pins.

set(OPENZL_ROOT "$ENV{OPENZL_ROOT}" CACHE PATH "Sources of OpenZL 0.3.0")
set(deps_dir ${CMAKE_CURRENT_SOURCE_DIR}/deps)
set(vendor_dir ${deps_dir}/vendor)
set(vendor_stamp ${vendor_dir}/.driftlock-lock)

# Vendored sources are as fresh as the lock file that they were made from.
file(SHA256 ${deps_dir}/Cargo.lock lock_hash)
set(stamped_hash "")
if(EXISTS ${vendor_stamp})
  file(READ ${vendor_stamp} stamped_hash)
endif()
if(NOT stamped_hash STREQUAL lock_hash)
  find_program(CARGO cargo HINTS $ENV{HOME}/.cargo/bin)
  if(CARGO)
    message(STATUS "Fetching the sources of OpenZL, zstd, lz4 and zlib (cargo vendor --locked)")
    execute_process(COMMAND ${CARGO} vendor --locked --quiet vendor
      WORKING_DIRECTORY ${deps_dir} RESULT_VARIABLE failed OUTPUT_QUIET)
    if(failed)
      message(FATAL_ERROR "`cargo vendor --locked` failed in deps/. Is the crates registry reachable?")
    endif()
    # Sources come with the times of their release. An object of the version before is newer, and would be kept.
    file(GLOB_RECURSE vendored ${vendor_dir}/*.c ${vendor_dir}/*.h)
    file(TOUCH ${vendored})
    file(WRITE ${vendor_stamp} ${lock_hash})
  endif()
endif()

if(OPENZL_ROOT)
  set(openzl ${OPENZL_ROOT})
elseif(EXISTS ${deps_dir}/openzl/include/openzl/openzl.h)
  set(openzl ${deps_dir}/openzl)
else()
  set(openzl ${vendor_dir}/openzl-sys/openzl)
endif()
if(NOT EXISTS ${openzl}/include/openzl/openzl.h OR NOT EXISTS ${vendor_dir}/zstd-sys/zstd/lib/zstd.h)
  message(FATAL_ERROR "OpenZL is not at '${openzl}', or zstd, lz4 and zlib are not in deps/vendor. Install cargo "
    "(https://rustup.rs) so that the pinned sources can be fetched; OpenZL alone may also come from "
    "OPENZL_ROOT=/path/to/openzl or from a checkout of OpenZL 0.3.0 at deps/openzl.")
endif()
# Compressed sizes are part of verdicts, and differ between versions of OpenZL.
set(openzl_version 0.3.0)
file(STRINGS ${openzl}/include/openzl/zl_version.h version_lines REGEX "#define ZL_LIBRARY_VERSION_(MAJOR|MINOR|PATCH) +[0-9]+")
string(REGEX REPLACE "#define ZL_LIBRARY_VERSION_[A-Z]+ +" "" version_lines "${version_lines}")
string(REPLACE ";" "." found_version "${version_lines}")
if(NOT found_version STREQUAL openzl_version)
  message(FATAL_ERROR "OpenZL at '${openzl}' has the version '${found_version}', but Driftlock needs ${openzl_version}. Check out "
    "v${openzl_version} there, or unset OPENZL_ROOT to use the pinned sources in deps/vendor.")
endif()
set(zstd ${vendor_dir}/zstd-sys/zstd/lib)
set(lz4 ${vendor_dir}/lz4-sys/liblz4/lib)
set(zlib ${vendor_dir}/libz-sys/src/zlib)
include(cmake/re2.cmake)

# Another build of the same tree has compiled them already: the sanitizer and fuzzer builds take that.
set(DRIFTLOCK_DEPS_LIBRARY "" CACHE FILEPATH "libdriftlock_deps.a of another build")
if(DRIFTLOCK_DEPS_LIBRARY)
  add_library(driftlock_deps STATIC IMPORTED)
  set_target_properties(driftlock_deps PROPERTIES IMPORTED_LOCATION ${DRIFTLOCK_DEPS_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES "${openzl}/include;${zstd};${lz4};${zlib};${re2}"
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${openzl}/include;${zstd};${lz4};${zlib};${re2}"
    INTERFACE_COMPILE_DEFINITIONS "LZ4_STATIC_LINKING_ONLY;ZSTD_STATIC_LINKING_ONLY"
    INTERFACE_LINK_LIBRARIES m)
  return()
endif()

file(GLOB_RECURSE openzl_sources ${openzl}/src/*.c)
file(GLOB zstd_sources ${zstd}/common/*.c ${zstd}/compress/*.c ${zstd}/decompress/*.c ${zstd}/dictBuilder/*.c)
file(GLOB zlib_sources ${zlib}/adler32.c ${zlib}/compress.c ${zlib}/crc32.c ${zlib}/deflate.c ${zlib}/inffast.c
  ${zlib}/inflate.c ${zlib}/inftrees.c ${zlib}/trees.c ${zlib}/uncompr.c ${zlib}/zutil.c)

add_library(driftlock_deps STATIC ${openzl_sources} ${zstd_sources} ${zlib_sources}
  ${lz4}/lz4.c ${lz4}/lz4hc.c ${lz4}/lz4frame.c ${lz4}/xxhash.c ${re2_sources})
target_include_directories(driftlock_deps SYSTEM PUBLIC ${openzl}/include ${zstd} ${lz4} ${zlib} ${re2} PRIVATE ${openzl}/src ${zstd}/common)
target_compile_definitions(driftlock_deps PRIVATE ZSTD_DISABLE_ASM=1 XXH_NAMESPACE=ZSTD_)
# The state-only and dictionary calls of LZ4 and zstd that a static link makes safe to use.
target_compile_definitions(driftlock_deps PUBLIC LZ4_STATIC_LINKING_ONLY ZSTD_STATIC_LINKING_ONLY)
target_link_libraries(driftlock_deps PRIVATE Threads::Threads)
if(NOT MSVC)
  # Warnings are not ours to mend. OpenZL chooses codecs by floating point, so that compressed sizes would differ between machines
  # if some fused a multiplication with an addition, which compilers do for ARM by default.
  target_compile_options(driftlock_deps PRIVATE -w -ffp-contract=off)
endif()
if(UNIX)
  target_link_libraries(driftlock_deps PUBLIC m)
endif()
# zstd has another version of xxhash.
set_source_files_properties(${lz4}/lz4frame.c ${lz4}/xxhash.c PROPERTIES COMPILE_OPTIONS "-UXXH_NAMESPACE;-DXXH_NAMESPACE=LZ4_")
# OpenZL allocates whatever a frame asks for; here it asks native/codec/openzl_memory.cpp, which keeps a budget.
set_source_files_properties(${openzl}/src/openzl/common/allocation.c PROPERTIES COMPILE_DEFINITIONS
  "malloc=driftlock_openzl_malloc;calloc=driftlock_openzl_calloc;realloc=driftlock_openzl_realloc")
