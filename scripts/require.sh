#!/usr/bin/env bash
# Reports what is missing to build Driftlock, one line each with the remedy.
set -u
missing=0
need() { # COMMAND WHAT REMEDY
  command -v "$1" >/dev/null 2>&1 && return
  echo "missing: $2 ($1). $3" >&2
  missing=1
}
need node "Node.js" "Install it from nodejs.org or your distribution; any release that its npm supports will do to start"
need npm "npm" "It comes with Node.js"
need c++ "a C++20 compiler" "Debian: apt-get install g++"
need cmake "CMake 3.21 or later" "Debian: apt-get install cmake"
if ! command -v cargo >/dev/null 2>&1 && [ ! -x "$HOME/.cargo/bin/cargo" ] && [ ! -e deps/vendor/.driftlock-lock ]; then
  echo "missing: cargo, which fetches the pinned sources of OpenZL, zstd, lz4 and zlib. Install it from rustup.rs" >&2
  missing=1
fi
if command -v cargo >/dev/null 2>&1; then
  # deps/Cargo.lock has version 4, which older versions of cargo cannot read.
  cargo --version | awk '{ split($2, v, "."); exit !(v[1] > 1 || v[2] >= 78) }' ||
    { echo "missing: cargo 1.78 or later; this is $(cargo --version). Install it from rustup.rs" >&2; missing=1; }
fi
exit $missing
