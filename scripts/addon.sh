#!/usr/bin/env bash
# Builds the addon, for the profile that `make profile` has recorded if there is one. It also replaces node-gyp when prebuildify calls
# it, since the only real build is that of CMake.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
profile=$PWD/build/profile
[ -e "$profile/.stamp" ] || profile=
{ cmake-js configure --out build --CDDRIFTLOCK_PROFILE="$profile" && cmake-js build --out build --parallel 2; } >build.log 2>&1 ||
  { cat build.log; exit 1; }
