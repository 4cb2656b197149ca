#!/usr/bin/env bash
# Records what the engine runs under the training load, for DRIFTLOCK_PROFILE (cmake/profile.cmake): profile.sh FOLDER [CMAKE ARGUMENT...]
# The arguments choose a compiler other than the one that CMake finds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rm -rf "$1"
mkdir -p "$1" "$1-build"
folder=$(realpath "$1")
build=$folder-build
shift

cmake -S . -B "$build" $(command -v ninja >/dev/null && echo -G Ninja) -DCMAKE_BUILD_TYPE=Release -DDRIFTLOCK_ADDON=OFF \
  -DDRIFTLOCK_BENCH=ON -DDRIFTLOCK_RECORD_PROFILE="$folder" "$@" >"$build.log" 2>&1 &&
  cmake --build "$build" --target engine_bench --parallel 2 >>"$build.log" 2>&1 || { cat "$build.log" >&2; exit 1; }

load=$(mktemp -d "${TMPDIR:-/tmp}/driftlock-profile.XXXXXX")
trap 'rm -rf "$load"' EXIT
node scripts/training-load.ts "$load"
# The second pass sees known records, as most are. The environment must not send the profile elsewhere.
for signal in logs traces metrics; do
  env -u LLVM_PROFILE_FILE "$build/engine_bench" "$load/$signal" "$signal" 2 recordings >>"$build.log"
done
if compgen -G "$folder/*.profraw" >/dev/null; then
  version=$(sed -n 's/^CMAKE_CXX_COMPILER_VERSION.*"\([0-9]*\)\..*/\1/p' "$build"/CMakeFiles/*/CMakeCXXCompiler.cmake)
  merge=$(command -v "llvm-profdata-$version" llvm-profdata | head -n 1) || true
  [ -n "$merge" ] || { echo "llvm-profdata is missing: install that of clang $version (Debian: apt-get install llvm)" >&2; exit 1; }
  "$merge" merge -o "$folder/merged.profdata" "$folder"/*.profraw
fi
