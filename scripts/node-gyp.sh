#!/usr/bin/env bash
# Replaces node-gyp when prebuildify calls it, since the only real build is that of CMake.
exec cmake-js build --silent --out build --parallel 2
