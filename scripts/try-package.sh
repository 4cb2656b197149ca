#!/usr/bin/env bash
# Installs a package into an empty folder without a compiler on the PATH, and uses it as a consumer does, from ES modules and from
# CommonJS, on each line of Node.js that is supported: try-package.sh TARBALL
set -euo pipefail
tarball=$(realpath "$1")
work=$(mktemp -d "${TMPDIR:-/tmp}/driftlock-package.XXXXXX")
rm=$(command -v rm) size=$(command -v stat)
trap '"$rm" -rf "$work"' EXIT
tar -tzf "$tarball" >"$work/list"
grep -q '^package/prebuilds/.*\.node$' "$work/list" || { echo "no prebuild in the package: run make prebuild first" >&2; exit 1; }

# The npm package "node" has the programs.
versions="22 24"
mkdir "$work/bin" "$work/app"
for version in $versions; do
  mkdir "$work/node-$version"
  echo '{ "private": true, "allowScripts": { "node": true } }' >"$work/node-$version/package.json"
  npm install --prefix "$work/node-$version" --silent --no-audit --no-fund --prefer-offline "node@$version"
done

# The PATH has only Node.js and what npm needs.
for program in node npm sh env; do ln -s "$(command -v $program)" "$work/bin/$program"; done
cd "$work/app"
export PATH=$work/bin
unset SKIP_DRIFTLOCK_BUILD
npm init -y >/dev/null
npm install --silent --no-audit --no-fund "$tarball"

echo 'export { compress, decompress } from "driftlock/math"; export { Driftlock } from "driftlock";' >entrances.mjs
echo 'module.exports = { ...require("driftlock/math"), ...require("driftlock") };' >entrances.cjs
echo '
const { exports } = (await import("driftlock/package.json", { with: { type: "json" } })).default;
const { createRequire } = await import("node:module");
for (const path of Object.keys(exports)) {
  const name = path.replace(".", "driftlock");
  if (path.endsWith(".json")) continue;
  await import(name);
  createRequire(import.meta.url)(name);
}
for (const file of ["./entrances.mjs", "./entrances.cjs"]) {
  const { compress, decompress, Driftlock } = (await import(file)).default ?? (await import(file));
  const text = Buffer.from("the same words again and again, ".repeat(100));
  for (const codec of ["openzl", "zstd", "lz4", "gzip"]) {
    const packed = compress(codec, text);
    if (!decompress(codec, packed, text.length).equals(text)) throw new Error(`${codec}: no round trip`);
  }
  const found = [];
  const driftlock = new Driftlock({ detect: { baseline: { records: 200 } }, onAnomaly: ({ text }) => found.push(text) });
  for (let i = 0; i < 600; i++) driftlock.text("orders", `order ${(i * 7919) % 10007} paid in ${(i * 31) % 97} ms`);
  driftlock.text("orders", "ledger refused: fencing token is stale, replay of mandate denied");
  await driftlock.close();
  if (found.length !== 1) throw new Error(`${found.length} anomalies`);
}
console.log(`Node.js ${process.version}: works from ES modules and CommonJS`);' >consumer.mjs
for version in $versions; do "$work/node-$version/node_modules/node/bin/node" --no-warnings consumer.mjs; done
./node_modules/.bin/driftlock version
echo "package ${tarball##*/}: $("$size" -c %s "$tarball") bytes, works without a compiler"
