// Runs before `npm pack` and `npm publish`: a package without the compiled TypeScript, or with an old one, is refused.
const { existsSync, readdirSync, statSync } = require("node:fs");
const { join } = require("node:path");

const root = join(__dirname, "..");
const stamp = join(root, "dist", ".stamp");

function refuse(reason) {
  console.error(
    `driftlock: nothing is packed: ${reason}. Run \`make release\`, which builds the package and tries it.`,
  );
  process.exit(1);
}

if (!existsSync(stamp)) refuse("dist/ has not been built");
const built = statSync(stamp).mtimeMs;
const newer = readdirSync(join(root, "src"), { recursive: true })
  .filter((name) => name.endsWith(".ts"))
  .find((name) => statSync(join(root, "src", name)).mtimeMs > built);
if (newer !== undefined) refuse(`src/${newer} is newer than dist/`);
