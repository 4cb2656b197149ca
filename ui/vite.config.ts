/** Builds the dashboard into dist/ui, and serves it for work on it beside a running sidecar (`make ui-dev`). */
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

/** The API that the development server passes requests on to. */
const api = process.env.DRIFTLOCK_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  root: import.meta.dirname,
  // Addresses are relative to <base href>, so that the pages work below any path.
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: fileURLToPath(new URL("../dist/ui", import.meta.url)),
    emptyOutDir: true,
    target: "es2024",
    // The content security policy permits neither scripts nor fonts in data: URLs.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: "licenses.md" },
  },
  server: {
    proxy: Object.fromEntries(
      ["/v1", "/readyz", "/metrics", "/openapi.json", "/docs"].map((path) => [
        path,
        { target: api, changeOrigin: true, headers: { origin: api } },
      ]),
    ),
  },
});
