/**
 * Serves the built dashboard. Its files are read once, so that no path of a request ever reaches the file system; pages
 * refer to everything relative to their `<base href>`, so that they work below any path of a proxy.
 */
import { readdir, readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

/** `dist/ui`, from `src/api` as well as from `dist/api`. */
export const builtDashboard = fileURLToPath(new URL("../../dist/ui/", import.meta.url));

/** What the build writes into index.html, and each page replaces. */
const builtBase = '<base href="/">';

const types: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
  ".woff2": "font/woff2",
};

/** The build names files below this folder by their content. */
const immutable = /^assets\//;

/** The page that verifies evidence runs WebAssembly, and no other page may. */
const mayCompute = /^\/verify\/?$/;

const pageHeaders = (path: string) => ({
  "content-security-policy": [
    "default-src 'none'",
    mayCompute.test(path) ? "script-src 'self' 'wasm-unsafe-eval'" : "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "base-uri 'self'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; "),
  "cross-origin-opener-policy": "same-origin",
});

interface File {
  path: string;
  type: string;
  body: Buffer;
  /** Undefined if it is no smaller. */
  gzipped: Buffer | undefined;
}

export interface Dashboard {
  index: string;
  files: File[];
}

/** Returns the dashboard, or undefined if none was built. */
export async function readDashboard(folder: string): Promise<Dashboard | undefined> {
  const paths = await readdir(folder, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [] as string[];
    throw error;
  });
  if (!paths.includes("index.html")) return undefined;
  const served = paths.map((path) => path.replaceAll("\\", "/")).filter((path) => types[extname(path)]);
  const index = await readFile(join(folder, "index.html"), "utf8");
  return { index, files: await Promise.all(served.map((path) => readServed(folder, path))) };
}

async function readServed(folder: string, path: string): Promise<File> {
  const body = await readFile(join(folder, path));
  const gzipped = await promisify(gzip)(body);
  return {
    path,
    type: types[extname(path)]!,
    body,
    gzipped: gzipped.length < body.length ? gzipped : undefined,
  };
}

/** Returns the way from a page's address to the root, as in `../` for `/incidents/1`. */
function wayToRoot(path: string): string {
  return "../".repeat(path.split("/").length - 2) || "./";
}

/** Whether a browser opens a page. Addresses of pages are known to the dashboard alone. */
function opensPage({ method, url, headers }: FastifyRequest): boolean {
  return (
    (method === "GET" || method === "HEAD") &&
    !url.startsWith("/v1/") &&
    (headers.accept ?? "").includes("text/html")
  );
}

function sendPage({ index }: Dashboard, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const path = request.url.split("?", 1)[0]!;
  const base = wayToRoot(path);
  return reply
    .headers(pageHeaders(path))
    .type("text/html; charset=utf-8")
    .send(index.replace(builtBase, `<base href="${base}">`));
}

/** Returns what answers an unknown path if it is a page's; the answer is undefined if it is not. */
export function pageAnswerer(dashboard: Dashboard) {
  return (request: FastifyRequest, reply: FastifyReply): FastifyReply | undefined =>
    opensPage(request) ? sendPage(dashboard, request, reply) : undefined;
}

/** Adds a route for the first page and one for each file. */
export function serveDashboard(app: FastifyInstance, dashboard: Dashboard): void {
  const { files } = dashboard;
  app.get("/", { schema: { hide: true } }, (request, reply) => sendPage(dashboard, request, reply));
  for (const { path, type, body, gzipped } of files) {
    const lifetime = immutable.test(path) ? "public, max-age=31536000, immutable" : "public, max-age=3600";
    app.get(`/${path}`, { schema: { hide: true } }, (request, reply) => {
      const compressed =
        gzipped !== undefined && /\bgzip\b/.test(String(request.headers["accept-encoding"] ?? ""));
      const vary = reply.getHeader("vary");
      reply.headers({
        "cache-control": lifetime,
        vary: vary === undefined ? "accept-encoding" : `${vary}, accept-encoding`,
        ...(compressed && { "content-encoding": "gzip" }),
      });
      return reply.type(type).send(compressed ? gzipped : body);
    });
  }
}
