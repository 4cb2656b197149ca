import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import { beforeEach, describe, expect, it } from "vitest";
import { maxPipelined } from "../../src/base/connections.ts";
import { Code, ExportError } from "../../src/otlp/protocol.ts";
import { problemOf, type Running, start } from "./support.ts";

let running: Running;
let fail: boolean;

beforeEach(async () => {
  fail = false;
  running = await start(
    {},
    {
      readiness() {
        if (fail) throw new Error("a secret of the inside");
        return running.components;
      },
    },
  );
});

const get = (path: string, init?: RequestInit) => running.get(path, init);

/** Returns the server's response to bytes that `fetch` would not send. */
function raw(bytes: string, url = running.url("/")): Promise<string> {
  const { port } = new URL(url);
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
    const { components } = running;
    const shown = () => components.map((each) => ({ degraded: false, ...each }));
    expect(await (await get("/readyz")).json()).toEqual({ status: "ready", components: shown() });
    components.push({ name: "limits", ready: true, degraded: true, reason: "each by itself" });
    const degraded = await get("/readyz");
    expect(degraded.status).toBe(200);
    expect(await degraded.json()).toEqual({ status: "degraded", components: shown() });
    components.push({ name: "downstream", ready: false, reason: "connection refused" });
    const response = await get("/readyz");
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({ status: "not ready", components: shown() });
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
    const body = await problemOf(response);
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
    const body = JSON.stringify({ state: "resolved", note: "x".repeat(20_000) });
    const init = { method: "PATCH", body, headers: { "content-type": "application/json" } };
    const body413 = await expectProblem(await get("/v1/anomalies/1", init), 413, "Payload Too Large");
    expect(body413.detail).toBe("the body is larger than 16384 bytes");
  });

  it("answers what is no JSON, of another type, or not as the schema says", async () => {
    const patch = (body: string, type = "application/json") =>
      get("/v1/anomalies/1", { method: "PATCH", body, headers: { "content-type": type } });
    expect(await expectProblem(await patch("{"), 400, "Bad Request")).toMatchObject({
      detail: "the body is not JSON",
    });
    expect(await expectProblem(await patch(""), 400, "Bad Request")).toMatchObject({
      detail: "the body is empty; it must be JSON",
    });
    for (const type of ["text/plain", "json"]) {
      expect(await expectProblem(await patch("{}", type), 415, "Unsupported Media Type")).toMatchObject({
        detail: "content-type must be application/json",
      });
    }
    const body = await expectProblem(await patch('{"state":"gone","x":1}'), 400, "Bad Request");
    expect(body.errors).toEqual([
      { in: "body", field: "/state", detail: expect.stringContaining("acknowledged") },
      { in: "body", field: "/x", detail: "is unknown; there are state, note" },
    ]);
  });

  it("keeps the inside inside, and logs it", async () => {
    fail = true;
    const body = await expectProblem(await get("/readyz"), 500, "Internal Server Error");
    expect(JSON.stringify(body)).not.toMatch(/secret|\.ts|at /);
    expect(running.logged.join()).toContain("a secret of the inside");
  });

  it("answers what is no HTTP, and headers beyond the limit", async () => {
    const bad = await raw("hello\r\n\r\n");
    expect(bad).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(bad).toContain('"detail":"this is no well-formed request of HTTP/1.1"');
    const large = await raw(`GET /healthz HTTP/1.1\r\nhost: x\r\na: ${"x".repeat(17_000)}\r\n\r\n`);
    expect(large).toMatch(/^HTTP\/1\.1 431 /);
    expect(large).toContain("application/problem+json");
    expect(large).toContain("larger than 16384 bytes");
  });

  it("looks at no more requests of a connection than may wait for their answers", async () => {
    let asked = 0;
    const readiness = () => {
      asked += 1;
      return [];
    };
    const { api } = await start({}, { readiness });
    const [host, port] = api.address.split(":") as [string, string];
    const socket = connect(Number(port), host);
    socket.on("error", () => {}).resume();
    const closed = once(socket, "close");
    socket.write(`GET /readyz HTTP/1.1\r\nhost: ${api.address}\r\n\r\n`.repeat(2 * maxPipelined));
    await closed;
    expect(asked).toBe(maxPipelined);
  });

  it("answers a whole request though what follows it is none", async () => {
    const whole = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for (const rest of ["\0 this is none\r\n\r\n", "POST / HTTP/1.1\r\nhost : x\r\n\r\n"]) {
      const answer = await raw(whole + rest);
      expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200"]);
    }
  });

  it("waits for no body that does not come", async () => {
    const { url, logged } = await start({}, { requestMs: 50 });
    const answer = await raw(
      "PATCH /v1/anomalies/1 HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{",
      url("/"),
    );
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(answer).toContain("application/problem+json");
    expect(logged).toEqual([]);
  });

  it("waits for the downstream as long as it takes", async () => {
    const { get } = await start(
      {},
      {
        idleMs: 50,
        async take() {
          await new Promise((resolve) => setTimeout(resolve, 300));
          throw new ExportError(Code.UNAVAILABLE, "the downstream is away", 1_000);
        },
      },
    );
    const headers = { "content-type": "application/json" };
    const response = await get("/v1/events", { method: "POST", body: '{"body":1}', headers });
    await expectProblem(response, 503, "Service Unavailable");
  });

  it("answers a request that names no host, or two", async () => {
    for (const hosts of ["", "host: localhost\r\nhost: other\r\n"]) {
      const answer = await raw(`GET /healthz HTTP/1.1\r\n${hosts}connection: close\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1\.1 400 /);
      expect(answer).toContain('"detail":"header host must be there once"');
    }
  });

  it("heeds no expectation and no upgrade that it does not know", async () => {
    const headers = "host: localhost\r\nconnection: close\r\n";
    const expectation = await raw(`GET /healthz HTTP/1.1\r\n${headers}expect: the-unexpected\r\n\r\n`);
    expect(expectation).toMatch(/^HTTP\/1\.1 200 /);
    // HTTP/2 clients, Java's among them, begin this way without TLS.
    const upgrade =
      "connection: upgrade, http2-settings, close\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n";
    const answer = await raw(`GET /healthz HTTP/1.1\r\nhost: localhost\r\n${upgrade}\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    const socket = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n";
    const elsewhere = await raw(
      `GET /nothing HTTP/1.1\r\n${headers}${socket}sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
    );
    expect(elsewhere).toMatch(/^HTTP\/1\.1 404 /);
    const keyless = await raw(`GET /v1/stream/anomalies HTTP/1.1\r\nhost: localhost\r\n${socket}\r\n`);
    expect(keyless).toMatch(/^HTTP\/1\.1 400 .*application\/problem\+json.*Sec-WebSocket-Key/s);
  });
});

describe("browsers", () => {
  it("are told to be careful", async () => {
    const { headers } = await get("/healthz");
    expect(headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(headers.get("x-frame-options")).toBe("DENY");
    expect(headers.get("access-control-allow-origin")).toBeNull();
  });

  it("may show pages of other origins an answer only where those are named", async () => {
    const { get: ask } = await start({ api: { cors_origins: ["https://ops.example"] } });
    const from = (origin: string, init: RequestInit = {}) =>
      ask("/v1/version", { ...init, headers: { origin, "access-control-request-method": "GET" } });
    expect((await from("https://ops.example")).headers.get("access-control-allow-origin")).toBe(
      "https://ops.example",
    );
    const preflight = await from("https://ops.example", { method: "OPTIONS" });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-headers")).toContain("authorization");
    expect((await from("https://else.example")).headers.get("access-control-allow-origin")).toBeNull();
    expect((await from("https://else.example", { method: "OPTIONS" })).status).toBe(405);
  });

  it("do not reach an open API by a name that was made to point here", async () => {
    const answer = await raw("GET /v1/streams HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n");
    expect(answer).toMatch(/^HTTP\/1\.1 421 /);
    expect(answer).toContain("evil.example");
  });
});

describe("description", () => {
  it("is OpenAPI 3.1 with every route that is served", async () => {
    const document = (await (await get("/openapi.json")).json()) as {
      openapi: string;
      paths: Record<string, Record<string, { responses: object; security?: object }>>;
      components: { schemas: object };
    };
    expect(document.openapi).toBe("3.1.0");
    expect(Object.keys(document.paths).sort()).toEqual([
      "/healthz",
      "/metrics",
      "/readyz",
      "/v1/anomalies",
      "/v1/anomalies/summary",
      "/v1/anomalies/{id}",
      "/v1/anomalies/{id}/related",
      "/v1/audit",
      "/v1/changes",
      "/v1/events",
      "/v1/evidence",
      "/v1/evidence/{id}",
      "/v1/incidents",
      "/v1/incidents/{id}",
      "/v1/incidents/{id}/reports",
      "/v1/incidents/{id}/reports/{template}",
      "/v1/keys",
      "/v1/keys/{id}",
      "/v1/keys/{id}/rotate",
      "/v1/llm",
      "/v1/llm/conversations",
      "/v1/llm/conversations/{id}",
      "/v1/login",
      "/v1/notable",
      "/v1/notifications",
      "/v1/notifications/test",
      "/v1/plan",
      "/v1/policies",
      "/v1/services",
      "/v1/services/graph",
      "/v1/session",
      "/v1/silences",
      "/v1/silences/{id}",
      "/v1/stream/anomalies",
      "/v1/stream/incidents",
      "/v1/streams",
      "/v1/streams/{id}",
      "/v1/usage",
      "/v1/version",
    ]);
    const text = JSON.stringify(document);
    for (const description of [
      "Returns anomalies that started at this time or later",
      "Score in the channel's own unit; higher is more anomalous",
      "One report of an anomaly",
      "such as `logs service.name=checkout`",
      "RFC 3339; when the event is received where it is not set",
      "Number of rejected events; sending them again would not help",
    ]) {
      expect(text).toContain(description);
    }
    expect(text).not.toContain("Default Response");
    expect(document.paths["/v1/anomalies/{id}"]!.patch!.security).toEqual([{ bearer: [] }, { session: [] }]);
    expect(document.paths["/healthz"]!.get!.security).toEqual([]);
    const references = JSON.stringify(document).match(/#\/components\/schemas\/\w+/g)!;
    const names = references.map((reference) => reference.slice("#/components/schemas/".length));
    expect(Object.keys(document.components.schemas).sort()).toEqual([...new Set(names)].sort());
  });

  it("can be read as a page that needs nothing else", async () => {
    const response = await get("/docs");
    expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(response.headers.get("content-security-policy")).toMatch(
      /^default-src 'none'.* style-src 'sha256-/,
    );
    const page = await response.text();
    expect(page).toContain("/v1/anomalies/{id}");
    expect(page).toContain("Acknowledge or resolve an anomaly");
    expect(page).toContain("Returns anomalies that started at this time or later");
    expect(page).toMatch(/<code>traces<\/code> \| <code>metrics<\/code>, once or several times/);
    expect(page).not.toMatch(/<script|src=|href="http|undefined|\[object/);
  });
});

describe("close", () => {
  it("ends although a client keeps its connection open", async () => {
    await new Promise<void>((resolve, reject) => {
      const { hostname: host, port } = new URL(running.url("/"));
      request({ host, port, path: "/healthz", headers: { connection: "keep-alive" } }, (response) => {
        response.resume().on("end", resolve);
      })
        .on("error", reject)
        .end();
    });
    await running.api.close();
    await expect(get("/healthz")).rejects.toThrow();
  });

  it("ends although a client does not end its request", async () => {
    const { port } = new URL(running.url("/"));
    const socket = connect(Number(port), "127.0.0.1");
    const gone = new Promise((resolve) => socket.on("close", resolve));
    await new Promise<void>((resolve) =>
      socket.write("POST /healthz HTTP/1.1\r\nhost: x\r\n", () => resolve()),
    );
    await get("/healthz");
    await running.api.close();
    await gone;
  });

  it("names the address that it cannot bind", async () => {
    const endpoint = running.api.address;
    await expect(start({ api: { endpoint } }, { hub: running.hub })).rejects.toThrow(
      `api.endpoint: cannot listen on ${endpoint}: another process listens there; stop it or choose another port`,
    );
  });
});
