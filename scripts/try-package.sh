#!/usr/bin/env bash
# Installs a package into an empty folder without a compiler on the PATH, and uses it: try-package.sh TARBALL
set -euo pipefail
tarball=$(realpath "$1")
work=$(mktemp -d "${TMPDIR:-/tmp}/driftlock-package.XXXXXX")
rm=$(command -v rm) size=$(command -v stat)
trap '"$rm" -rf "$work"' EXIT
tar -tzf "$tarball" >"$work/list"
grep -q '^package/prebuilds/.*\.node$' "$work/list" || { echo "no prebuild in the package: run make prebuild first" >&2; exit 1; }

# The PATH has only Node.js and what npm needs.
mkdir "$work/bin" "$work/app"
for program in node npm sh env; do ln -s "$(command -v $program)" "$work/bin/$program"; done
cd "$work/app"
export PATH=$work/bin
unset SKIP_DRIFTLOCK_BUILD
npm init -y >/dev/null
npm install --silent --no-audit --no-fund "$tarball"
node --input-type=module -e '
import { compress, decompress } from "driftlock";
const text = Buffer.from("the same words again and again, ".repeat(100));
for (const codec of ["openzl", "zstd", "lz4", "gzip"]) {
  const packed = compress(codec, text);
  if (!decompress(codec, packed, text.length).equals(text)) throw new Error(`${codec}: no round trip`);
  console.log(`${codec}: ${text.length} -> ${packed.length} bytes`);
}'
./node_modules/.bin/driftlock version
echo "package ${tarball##*/}: $("$size" -c %s "$tarball") bytes, works without a compiler"
