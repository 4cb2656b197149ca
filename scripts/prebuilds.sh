#!/usr/bin/env bash
# Cross-compiles the addon for Linux with zig, which brings both C libraries and a C++ library that is linked statically:
# prebuilds.sh [PLATFORM...], by default all four. The results are in prebuilds/, where node-gyp-build looks for them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The oldest glibc that Node.js 22 and 24 themselves run with.
declare -A targets=(
  [linux-x64.glibc]=x86_64-linux-gnu.2.28 [linux-x64.musl]=x86_64-linux-musl
  [linux-arm64.glibc]=aarch64-linux-gnu.2.28 [linux-arm64.musl]=aarch64-linux-musl)
[ $# -gt 0 ] || set -- linux-x64.glibc linux-x64.musl linux-arm64.glibc linux-arm64.musl

tools=$PWD/build/zig
if [ ! -e "$tools/bin/ranlib" ] || [ scripts/zig.txt -nt "$tools/bin/ranlib" ]; then
  rm -rf "$tools"
  python3 -m venv "$tools/python"
  "$tools/python/bin/pip" install --quiet --require-hashes --only-binary :all: --requirement scripts/zig.txt
  zig=$(echo "$tools"/python/lib/python*/site-packages/ziglang/zig)
  mkdir "$tools/bin"
  for tool in cc c++ ar ranlib; do
    printf '#!/bin/sh\nexec "%s" %s "$@"\n' "$zig" "$tool" >"$tools/bin/$tool"
    chmod +x "$tools/bin/$tool"
  done
fi

# The code for all targets is compiled for the profile that clang on this machine has recorded, as zig is a later clang.
profile=$PWD/build/profile-clang
[ -e "$profile/.stamp" ] || profile=

for platform in "$@"; do
  target=${targets[$platform]}
  build=build/$platform
  echo "$platform for $target"
  cmake -S . -B "$build" $(command -v ninja >/dev/null && echo -G Ninja) -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR="${target%%-*}" \
    -DCMAKE_C_COMPILER="$tools/bin/cc" -DCMAKE_C_COMPILER_TARGET="$target" \
    -DCMAKE_CXX_COMPILER="$tools/bin/c++" -DCMAKE_CXX_COMPILER_TARGET="$target" \
    -DCMAKE_AR="$tools/bin/ar" -DCMAKE_RANLIB="$tools/bin/ranlib" \
    -DCMAKE_C_COMPILER_AR="$tools/bin/ar" -DCMAKE_CXX_COMPILER_AR="$tools/bin/ar" \
    -DCMAKE_C_COMPILER_RANLIB="$tools/bin/ranlib" -DCMAKE_CXX_COMPILER_RANLIB="$tools/bin/ranlib" \
    -DDRIFTLOCK_PROFILE="$profile" -DCMAKE_MODULE_LINKER_FLAGS=-s >"$build.log" 2>&1 &&
    cmake --build "$build" --target driftlock --parallel 2 >>"$build.log" 2>&1 || { cat "$build.log"; exit 1; }
  mkdir -p "prebuilds/${platform%.*}"
  cp "$build/Release/driftlock.node" "prebuilds/${platform%.*}/driftlock.${platform#*.}.node"
done
