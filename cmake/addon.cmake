# The Node addon. Headers of the Node API and of node-addon-api come from npm packages, never from a download.

set(NODE_MODULES ${CMAKE_CURRENT_SOURCE_DIR}/node_modules CACHE PATH "Where node-api-headers and node-addon-api are")
# A user's install may have hoisted them above the package.
find_path(NODE_API_INCLUDE node_api.h PATHS ${NODE_MODULES}/node-api-headers/include
  ${CMAKE_CURRENT_SOURCE_DIR}/../node-api-headers/include NO_DEFAULT_PATH)
find_path(NODE_ADDON_API_INCLUDE napi.h PATHS ${NODE_MODULES}/node-addon-api
  ${CMAKE_CURRENT_SOURCE_DIR}/../node-addon-api NO_DEFAULT_PATH)
if(NOT NODE_API_INCLUDE OR NOT NODE_ADDON_API_INCLUDE)
  message(FATAL_ERROR "node-api-headers and node-addon-api are not installed: run `npm ci --ignore-scripts`, or configure with "
    "-DDRIFTLOCK_ADDON=OFF to build without the addon")
endif()

file(GLOB binding_sources CONFIGURE_DEPENDS native/binding/*.cpp)
add_library(driftlock MODULE ${binding_sources})
target_include_directories(driftlock SYSTEM PRIVATE ${NODE_API_INCLUDE} ${NODE_ADDON_API_INCLUDE})
# An error that nobody can see any more, since the environment is ending, must not end the process.
target_compile_definitions(driftlock PRIVATE NAPI_VERSION=9 NODE_ADDON_API_CPP_EXCEPTIONS NODE_ADDON_API_CPP_EXCEPTIONS_ALL
  NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS NODE_GYP_MODULE_NAME=driftlock)
target_link_libraries(driftlock PRIVATE driftlock_core)
# node-gyp-build looks in build/Release, whatever the generator.
set_target_properties(driftlock PROPERTIES PREFIX "" SUFFIX ".node"
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/Release LIBRARY_OUTPUT_DIRECTORY_RELEASE ${CMAKE_BINARY_DIR}/Release)
if(NOT MSVC)
  target_compile_options(driftlock PRIVATE -Wall -Wextra)
endif()
if(APPLE)
  target_link_options(driftlock PRIVATE -undefined dynamic_lookup)
elseif(WIN32)
  # Cmake-js hands over node.lib; node-api-headers carries the definitions to make one.
  target_sources(driftlock PRIVATE ${CMAKE_JS_SRC})
  target_link_libraries(driftlock PRIVATE ${CMAKE_JS_LIB})
elseif(NOT DRIFTLOCK_SANITIZE)
  # The codecs are ours alone: another addon's or Node's own zlib and zstd must not be taken instead.
  # Node unloads an addon with the last environment that uses it, when threads and the C library may still call into it.
  set(exports ${CMAKE_CURRENT_SOURCE_DIR}/native/binding/exports.map)
  target_link_options(driftlock PRIVATE -Wl,--version-script=${exports} -Wl,-Bsymbolic -Wl,--no-undefined-version
    -Wl,-z,nodelete)
  set_target_properties(driftlock PROPERTIES LINK_DEPENDS ${exports})
endif()
