import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import pino from "pino";
import { expect, it } from "vitest";
import { CheckpointPublisher } from "../../src/evidence/checkpoints.ts";
import { parseCheckpoints } from "../../src/evidence/note.ts";
import { folder, making } from "./made.ts";

it("appends checkpoints of logs that have grown to a file, and posts them", async () => {
  const posted: string[] = [];
  let status = 200;
  const server = createServer(async (request, response) => {
    posted.push(await text(request));
    response.writeHead(status).end("ignored");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const file = join(folder(), "checkpoints");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/log`;
  const { config, store, keys } = await making({ origin: "log.example", checkpoints: { file, url } });
  const logged: string[] = [];
  const log = pino({}, { write: (line: string) => void logged.push(line) });
  const publisher = new CheckpointPublisher({ evidence: config.evidence, store, keys, log });
  const entry = { actor: "ann", action: "test.made", target: "x" };
  for (const tenant of ["acme", "acme", "other"]) await store.audit.append(tenant, entry);
  await publisher.publish();
  await publisher.publish();
  await store.audit.append("acme", entry);
  status = 503;
  await publisher.publish();
  await publisher.publish();
  expect(logged.map((line) => JSON.parse(line).reason)).toEqual([
    "evidence.checkpoints.url: the answer is 503",
  ]);
  status = 200;
  await publisher.close();
  server.close();
  const named = (notes: string) => parseCheckpoints(notes).map(({ origin, size }) => `${origin} ${size}`);
  const [acme, other, later] = ["log.example/acme 2", "log.example/other 1", "log.example/acme 3"];
  expect(named(posted.join(""))).toEqual([acme, other, later, later, later]);
  expect(named(readFileSync(file, "utf8"))).toEqual([acme, other, later, later, later]);
});
