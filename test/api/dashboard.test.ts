import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { forFile, problemOf, type Running, start } from "./support.ts";

const script = 'document.title = "x";\n'.repeat(100);
const page = { accept: "text/html,application/xhtml+xml,*/*;q=0.8" };

let folder: string;
let api: Running;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "driftlock-ui-"));
  mkdirSync(join(folder, "assets"));
  writeFileSync(
    join(folder, "index.html"),
    '<!doctype html><html><head><base href="/"><script type="module" src="./assets/main-1a2b.js"></script></head></html>',
  );
  writeFileSync(join(folder, "assets/main-1a2b.js"), script);
  writeFileSync(join(folder, "favicon.svg"), "<svg/>");
  writeFileSync(join(folder, ".stamp"), "");
  api = await forFile(() => start({ auth: { enabled: true } }, { dashboard: folder }));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("the dashboard", () => {
  it.each([
    ["/", "./"],
    ["/?range=now-1h", "./"],
    ["/incidents", "./"],
    ["/incidents/0f3c", "../"],
    ["/anomalies/0f3c?tab=record/x", "../"],
    ["/a/b/c", "../../"],
  ])("is served at %s without a key, relative to %s", async (path, base) => {
    const response = await api.get(path, { headers: page });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(response.headers.get("cache-control")).toBe("no-store");
    const text = await response.text();
    expect(text).toContain(`<base href="${base}">`);
    const shown = new URL(`http://proxy.example/any/prefix${path}`);
    expect(new URL("./assets/main-1a2b.js", new URL(base, shown)).pathname).toBe(
      "/any/prefix/assets/main-1a2b.js",
    );
  });

  it("has a content security policy that permits its own files alone", async () => {
    const { headers } = await api.get("/incidents", { headers: page });
    const policy = headers.get("content-security-policy")!.split("; ");
    expect(policy).toEqual(
      expect.arrayContaining(["default-src 'none'", "script-src 'self'", "trusted-types 'none'"]),
    );
    expect(policy.join()).not.toContain("unsafe");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
  });

  it("lets browsers keep what is named by its content", async () => {
    const response = await api.get("/assets/main-1a2b.js");
    expect(response.headers.get("content-type")).toBe("text/javascript; charset=utf-8");
    expect(response.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
    expect(response.headers.get("content-encoding")).toBe("gzip");
    expect(await response.text()).toBe(script);
    const icon = await api.get("/favicon.svg");
    expect(icon.headers.get("cache-control")).toBe("public, max-age=3600");
    expect(icon.headers.get("content-type")).toBe("image/svg+xml");
  });

  it("compresses for those alone who accept it", async () => {
    const plain = await api.get("/assets/main-1a2b.js", { headers: { "accept-encoding": "identity" } });
    expect(plain.headers.get("content-encoding")).toBeNull();
    expect(plain.headers.get("content-length")).toBe(String(script.length));
    expect(plain.headers.get("vary")).toContain("accept-encoding");
    const compressed = await api.get("/assets/main-1a2b.js", { method: "HEAD" });
    expect(Number(compressed.headers.get("content-length"))).toBeLessThan(script.length);
  });

  it.each([
    ["/assets/other.js", "*/*"],
    ["/nothing", "application/json"],
    ["/v1/nothing", "text/html"],
    ["/.stamp", "*/*"],
    ["/index.html", "*/*"],
    ["/assets/%2e%2e/%2e%2e/package.json", "*/*"],
  ])("has no file %s for %s", async (path, accept) => {
    const response = await api.get(path, { headers: { accept } });
    expect(response.status).toBe(404);
    await problemOf(response);
  });

  it("takes no other methods", async () => {
    const response = await api.get("/", { method: "POST", headers: page });
    expect(response.status).toBe(405);
    expect((await api.get("/incidents", { method: "POST", headers: page })).status).toBe(404);
  });

  it("does not stand in for the API", async () => {
    expect((await api.get("/v1/anomalies", { headers: page })).status).toBe(401);
    expect((await api.get("/healthz", { headers: page })).headers.get("content-type")).toContain("json");
  });

  it("is not served by a name of a page's own", async () => {
    const open = await start({}, { dashboard: folder });
    const [host, port] = open.api.address.split(":");
    const { request } = await import("node:http");
    const status = await new Promise((resolve) => {
      request({ host, port, path: "/", headers: { host: "evil.example", ...page } }, (answer) => {
        resolve(answer.statusCode);
        answer.resume();
      }).end();
    });
    expect(status).toBe(421);
  });
});

it("leaves / unknown if no dashboard was built", async () => {
  const none = await start({}, { dashboard: join(folder, "none") });
  const response = await none.get("/", { headers: page });
  expect(response.status).toBe(404);
});
