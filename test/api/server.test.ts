import { request } from "node:http";
import { connect } from "node:net";
import pino from "pino";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Api, type Component, startApi } from "../../src/api/server.ts";

let api: Api;
let components: Component[];
let fail = false;
let logged: string[];

beforeEach(async () => {
  components = [{ name: "engine", ready: true, reason: "0 streams" }];
  logged = [];
  fail = false;
  api = await startApi({
    endpoint: "127.0.0.1:0",
    registry: new Registry(),
    versions: { version: "1.2.3", node: "24.0.0", codecs: { openzl: "0.3.0" } },
    readiness() {
      if (fail) throw new Error("a secret of the inside");
      return components;
    },
    log: pino({}, { write: (line) => logged.push(line) }),
  });
});
afterEach(() => api.close());

const get = (path: string, init?: RequestInit) => fetch(`http://${api.address}${path}`, init);

/** What the server answers to bytes that `fetch` would not send. */
function raw(bytes: string): Promise<string> {
  const { port } = new URL(`http://${api.address}`);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), "127.0.0.1");
    let answer = "";
    socket.setEncoding("utf8");
    socket.on("data", (text) => {
      answer += text;
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(answer));
    socket.write(bytes);
  });
}

describe("health and readiness", () => {
  it("is healthy while it answers", async () => {
    const response = await get("/healthz");
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status: "ok" });
  });

  it("is ready when every component is, and says why it is not", async () => {
    expect(await (await get("/readyz")).json()).toEqual({ status: "ready", components });
    components.push({ name: "downstream", ready: false, reason: "connection refused" });
    const response = await get("/readyz");
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({ status: "not ready", components });
  });
});

describe("versions", () => {
  it("names the package, Node and the codecs", async () => {
    const response = await get("/v1/version");
    expect(await response.json()).toEqual({ version: "1.2.3", node: "24.0.0", codecs: { openzl: "0.3.0" } });
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
  });
});

describe("errors", () => {
  async function expectProblem(response: Response, status: number, title: string) {
    expect(response.status).toBe(status);
    expect(response.headers.get("content-type")).toContain("application/problem+json");
    const body = (await response.json()) as Record<string, unknown>;
    expect(body).toMatchObject({ type: "about:blank", title, status });
    return body;
  }

  it("answers an unknown path and a wrong method", async () => {
    await expectProblem(await get("/nothing"), 404, "Not Found");
    const response = await get("/healthz?x=1", { method: "DELETE" });
    expect(response.headers.get("allow")).toBe("GET, HEAD");
    await expectProblem(response, 405, "Method Not Allowed");
    await expectProblem(await get("/%zz"), 400, "Bad Request");
  });

  it("refuses a large body", async () => {
    const init = { method: "POST", body: "x".repeat(20_000) };
    await expectProblem(await get("/healthz", init), 413, "Payload Too Large");
  });

  it("keeps the inside inside, and logs it", async () => {
    fail = true;
    const body = await expectProblem(await get("/readyz"), 500, "Internal Server Error");
    expect(JSON.stringify(body)).not.toMatch(/secret|\.ts|at /);
    expect(logged.join()).toContain("a secret of the inside");
  });

  it("answers what is no HTTP, and headers beyond the limit", async () => {
    const bad = await raw("hello\r\n\r\n");
    expect(bad).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(bad).toContain('{"type":"about:blank","title":"Bad Request","status":400}');
    const large = await raw(`GET /healthz HTTP/1.1\r\nhost: x\r\na: ${"x".repeat(17_000)}\r\n\r\n`);
    expect(large).toMatch(/^HTTP\/1\.1 431 /);
    expect(large).toContain("application/problem+json");
  });
});

describe("close", () => {
  it("ends although a client keeps its connection open", async () => {
    await new Promise<void>((resolve, reject) => {
      const { hostname: host, port } = new URL(`http://${api.address}`);
      request({ host, port, path: "/healthz", headers: { connection: "keep-alive" } }, (response) => {
        response.resume().on("end", resolve);
      })
        .on("error", reject)
        .end();
    });
    await api.close();
    await expect(get("/healthz")).rejects.toThrow();
  });

  it("ends although a client does not end its request", async () => {
    const { port } = new URL(`http://${api.address}`);
    const socket = connect(Number(port), "127.0.0.1");
    const gone = new Promise((resolve) => socket.on("close", resolve));
    await new Promise<void>((resolve) =>
      socket.write("POST /healthz HTTP/1.1\r\nhost: x\r\n", () => resolve()),
    );
    await get("/healthz");
    await api.close();
    await gone;
  });

  it("names the address that it cannot bind", async () => {
    const again = startApi({
      endpoint: api.address,
      registry: new Registry(),
      versions: { version: "", node: "", codecs: {} },
      readiness: () => [],
      log: pino({ level: "silent" }),
    });
    await expect(again).rejects.toThrow(
      `api.endpoint: cannot listen on ${api.address}: another process listens there; stop it or choose another port`,
    );
  });
});
