#!/usr/bin/env bash
# coverage-native.sh BUILD PERCENT FOLDER...: prints which lines of the folders the native tests ran when they were last run
# in a build with DRIFTLOCK_COVERAGE, and fails if that is less than PERCENT of them.
set -euo pipefail
build=$1 least=$2
shift 2
compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' "$build/CMakeCache.txt")
# The tools must have the version of the compiler, since others cannot read its files.
tool() {
  local path
  path=$("$compiler" -print-prog-name="$1")
  command -v "$path" || { echo "$1 is missing: install the llvm package of $compiler" >&2; return 1; }
}
profdata=$(tool llvm-profdata)
cov=$(tool llvm-cov)

"$profdata" merge -sparse -o "$build/tests.profdata" "$build"/*.profraw

tests=("$build"/*_test)
objects=("${tests[0]}")
for test in "${tests[@]:1}"; do objects+=(-object "$test"); done
# Paths may be relative to the build, so they are selected by their ends.
"$cov" export "${objects[@]}" -instr-profile="$build/tests.profdata" -summary-only > "$build/coverage.json"
node -e '
  const [file, least, ...folders] = process.argv.slice(1);
  const { files } = JSON.parse(require("node:fs").readFileSync(file, "utf8")).data[0];
  const total = { count: 0, covered: 0 };
  const percent = ({ count, covered }) => ((100 * covered) / count).toFixed(1).padStart(6);
  for (const { filename, summary } of files) {
    const at = Math.max(...folders.map((folder) => filename.lastIndexOf(`${folder}/`)));
    if (at < 0 || summary.lines.count === 0) continue;
    total.count += summary.lines.count;
    total.covered += summary.lines.covered;
    console.log(`${percent(summary.lines)} % of ${String(summary.lines.count).padStart(5)} lines  ${filename.slice(at)}`);
  }
  console.log(`${percent(total)} % of ${String(total.count).padStart(5)} lines  ${folders.join(", ")}; at least ${least} % is required`);
  process.exit(total.covered / total.count >= least / 100 ? 0 : 1);
' "$build/coverage.json" "$least" "$@"
