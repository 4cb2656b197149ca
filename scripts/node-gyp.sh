#!/usr/bin/env bash
# Stands in for node-gyp when prebuildify calls it: the one real build is CMake's.
exec cmake-js build --silent --out build --parallel 2
