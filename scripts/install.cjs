// Runs when a user installs the package. It uses a prebuilt addon if there is one for the platform, or else compiles it.
const { execFileSync, spawnSync } = require("node:child_process");
const path = require("node:path");

const root = path.join(__dirname, "..");
if (process.env.SKIP_DRIFTLOCK_BUILD) process.exit(0);
try {
  require("node-gyp-build")(root);
  process.exit(0);
} catch {
  // There is no prebuilt addon for this platform.
}
if (spawnSync("cmake", ["--version"]).error) {
  console.error(
    `driftlock: there is no prebuilt addon for ${process.platform}-${process.arch}, and CMake, which compiles it, is not installed. ` +
      "Install CMake, a C++20 compiler and cargo, then install driftlock again.",
  );
  process.exit(1);
}
const run = (...args) => execFileSync("cmake", args, { cwd: root, stdio: "inherit" });
run("-S", ".", "-B", "build", "-DCMAKE_BUILD_TYPE=Release");
run("--build", "build", "--config", "Release", "--target", "driftlock", "--parallel");
