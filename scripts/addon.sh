#!/usr/bin/env bash
# Builds the addon, for the profile that `make profile` has recorded if there is one. It also replaces node-gyp when prebuildify calls
# it, since the only real build is that of CMake.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
profile=$PWD/build/profile
[ -e "$profile/.stamp" ] || profile=
# Only the first time does cmake-js configure, since it insists on Ninja where Ninja has been installed since.
{ { [ -e build/CMakeCache.txt ] || cmake-js configure --out build; } &&
  cmake -S . -B build -DDRIFTLOCK_PROFILE="$profile" && cmake --build build --parallel 2; } >build.log 2>&1 ||
  { cat build.log; exit 1; }
