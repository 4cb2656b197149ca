/**
 * Packs what the command line loads into a few files: a start spends most of its time on finding, reading and linking some 1,400
 * small ones. dist/cli/start.js is written anew, and imports a file per command, and files that they share, from dist/packed. So is
 * the thread that makes evidence, which starts and ends while the sidecar is at work.
 */
import { rmSync } from "node:fs";
import { join, relative } from "node:path";
import { build } from "vite";

const root = join(import.meta.dirname, "..");
const source = join(root, "src");
const dist = join(root, "dist");

const entries = ["cli/start", "evidence/making-worker"];

/**
 * Packages that stay in node_modules: those that read files beside their own code or share objects with packages of the user, and
 * those that only some configurations and commands load.
 */
const external = [
  "@grpc/grpc-js",
  "@grpc/reflection",
  "@modelcontextprotocol/server",
  "@opentelemetry/api",
  "@opentelemetry/exporter-trace-otlp-grpc",
  "@opentelemetry/resources",
  "@opentelemetry/sdk-trace-node",
  "@platformatic/kafka",
  "@redis/client",
  "asn1js",
  "grpc-health-check",
  "nodemailer",
  "openid-client",
  "pdfkit",
  "pg",
  "pino",
  "pkijs",
  "stripe",
];

rmSync(join(dist, "packed"), { recursive: true, force: true });
for (const name of entries) rmSync(join(dist, `${name}.js.map`), { force: true });
await build({
  configFile: false,
  root,
  logLevel: "warn",
  publicDir: false,
  ssr: { noExternal: true, external },
  plugins: [
    {
      name: "keep-places",
      // A module finds its worker, its templates or the addon from where tsc has put it.
      transform(code, id) {
        if (!id.startsWith(source)) return undefined;
        const place = `../${relative(source, id).replace(/\.ts$/, ".js")}`;
        return code.replaceAll("import.meta.url", `new URL(${JSON.stringify(place)}, import.meta.url).href`);
      },
    },
  ],
  build: {
    ssr: true,
    outDir: dist,
    emptyOutDir: false,
    target: "node22",
    license: { fileName: "packed/licenses.md" },
    rolldownOptions: {
      input: Object.fromEntries(entries.map((name) => [name, join(source, `${name}.ts`)])),
      output: { entryFileNames: "[name].js", chunkFileNames: "packed/[name]-[hash].js" },
    },
  },
});
