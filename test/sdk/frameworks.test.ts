import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import express, { type NextFunction, type Request, type Response } from "express";
import Fastify from "fastify";
import pino from "pino";
import { expect, test } from "vitest";
import winston from "winston";
import { driftlockMiddleware } from "../../src/sdk/express.ts";
import { driftlockPlugin } from "../../src/sdk/fastify.ts";
import { DriftlockTransport } from "../../src/sdk/winston.ts";
import { Telling } from "./telling.ts";

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const inTrace = { traceId: "0af7651916cd43dd8448eb211c80319c", parentSpanId: "b7ad6b7169203331" };

test("fastify: each answered request is a span", async () => {
  const driftlock = new Telling();
  const app = Fastify();
  app.register(driftlockPlugin, { driftlock });
  app.get("/cart/:id", async ({ params }) => params);
  app.get("/broken", async () => {
    throw new TypeError("ledger refused");
  });
  await app.inject({ url: "/cart/17?coupon=1", headers: { traceparent } });
  await app.inject("/broken");
  await app.inject("/nowhere");
  await app.close();
  expect(driftlock.stats()).toMatchObject({ judged: 3, errors: 0 });
  await driftlock.close();
  expect(driftlock.spans).toMatchObject([
    {
      name: "GET /cart/:id",
      kind: "server",
      duration: expect.any(Number),
      ...inTrace,
      attributes: {
        "http.request.method": "GET",
        "http.route": "/cart/:id",
        "url.path": "/cart/17",
        "http.response.status_code": 200,
      },
    },
    {
      name: "GET /broken",
      error: "TypeError",
      attributes: { "http.response.status_code": 500, "error.type": "TypeError" },
    },
    { name: "GET", attributes: { "http.response.status_code": 404 } },
  ]);
  expect(driftlock.spans[2]).not.toHaveProperty("error");
});

test("express: each answered request is a span, with its route below that of its router", async () => {
  const driftlock = new Telling();
  const app = express();
  app.use(driftlockMiddleware(driftlock));
  const router = express.Router();
  router.get("/:id", ({ params }: Request, response: Response) => response.json(params));
  app.use("/cart", router);
  app.get("/broken", () => {
    throw new TypeError("ledger refused");
  });
  let opened = () => {};
  const open = new Promise<void>((resolve) => {
    opened = resolve;
  });
  app.get("/slow", () => opened());
  app.use((_error: Error, _request: Request, response: Response, _next: NextFunction) => {
    response.status(500).end();
  });
  const server: Server = app.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await (await fetch(`${url}/cart/17?coupon=1`, { headers: { traceparent } })).text();
  await (await fetch(`${url}/broken`)).text();
  await (await fetch(`${url}/nowhere`)).text();
  const abort = new AbortController();
  const slow = fetch(`${url}/slow`, { signal: abort.signal });
  await open;
  abort.abort();
  await expect(slow).rejects.toThrow();
  while (driftlock.spans.length < 4) await sleep(5);
  server.close();
  server.closeAllConnections();
  await driftlock.close();
  expect(driftlock.spans).toMatchObject([
    {
      name: "GET /cart/:id",
      ...inTrace,
      attributes: { "http.route": "/cart/:id", "url.path": "/cart/17", "http.response.status_code": 200 },
    },
    { name: "GET /broken", error: "500" },
    { name: "GET", attributes: { "http.response.status_code": 404 } },
    { name: "GET /slow", error: "aborted" },
  ]);
});

test("winston: what is logged is judged", async () => {
  const driftlock = new Telling();
  const transport = new DriftlockTransport({ driftlock });
  const logger = winston.createLogger({
    format: winston.format.combine(winston.format.timestamp(), winston.format.json()),
    transports: [transport],
  });
  logger.info("order paid", { order: 17 });
  logger.debug("below the level");
  logger.error(new TypeError("ledger refused"));
  logger.end();
  await once(transport, "finish");
  expect(driftlock.stats()).toMatchObject({ judged: 2, errors: 0 });
  await driftlock.close();
  expect(driftlock.records).toMatchObject([
    { body: "order paid", severity: "info", attributes: { order: 17 }, time: expect.any(Number) },
    {
      body: "ledger refused",
      severity: "error",
      attributes: { stack: expect.stringContaining("TypeError") },
    },
  ]);
});

test("pino: a worker judges what is logged, and writes reports", async () => {
  const folder = mkdtempSync(join(tmpdir(), "driftlock-pino-"));
  const file = join(folder, "reports.log");
  const transport = pino.transport({
    target: fileURLToPath(new URL("../../dist/sdk/pino.js", import.meta.url)),
    options: { service: "shop", detect: { baseline: { records: 200 } }, destination: file },
  });
  await once(transport, "ready");
  const logger = pino(transport);
  for (let i = 0; i < 600; i++)
    logger.info({ thread: i % 4 }, `order ${(i * 7919) % 10_007} paid in ${(i * 31) % 97} ms`);
  logger.error("ledger refused: fencing token is stale, replay of mandate denied");
  transport.end();
  await once(transport, "close");
  const reports = readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  rmSync(folder, { recursive: true });
  expect(reports).toMatchObject([
    {
      level: 40,
      msg: expect.stringContaining("ledger refused"),
      anomaly: {
        stream: "logs service.name=shop",
        channel: "content",
        state: "open",
        severity: expect.any(String),
      },
    },
  ]);
});
