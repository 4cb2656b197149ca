/** Annotations, against a server that keeps them and accepts what Grafana's HTTP API documents. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { ChangeSchema } from "../../src/gen/driftlock/v1/incidents_pb.js";
import { changeNoticeOf } from "../../src/notify/index.ts";
import { openStore, type Store } from "../../src/store/index.ts";
import { options, storeConfig } from "../store/fixtures.ts";
import { notice, notifierOf } from "./support.ts";

const token = "glsa_test";
const patch = z.strictObject({
  time: z.int().positive().optional(),
  timeEnd: z.int().positive().optional(),
  tags: z.array(z.string().max(100)).optional(),
  text: z.string().optional(),
});
const annotationSchema = z.strictObject({
  ...patch.shape,
  dashboardUID: z.string().optional(),
  panelId: z.int().optional(),
  text: z.string().min(1),
});

async function startGrafana() {
  const annotations: (z.output<typeof annotationSchema> & { id: number })[] = [];
  let fails = 0;
  const answer = async (request: IncomingMessage): Promise<[number, object]> => {
    const text = Buffer.concat(await request.toArray()).toString();
    if (request.headers.authorization !== `Bearer ${token}`) return [401, { message: "Unauthorized" }];
    const { pathname, searchParams } = new URL(request.url!, "http://grafana");
    const id = /^\/api\/annotations\/(\d+)$/.exec(pathname)?.[1];
    if (request.method === "GET" && pathname === "/api/annotations") {
      const wanted = searchParams.getAll("tags");
      const found = annotations.filter(({ tags }) => wanted.every((tag) => tags?.includes(tag)));
      return [200, found.slice(0, Number(searchParams.get("limit") ?? 100))];
    }
    if (request.method === "POST" && pathname === "/api/annotations") {
      const made = { ...annotationSchema.parse(JSON.parse(text)), id: annotations.length + 1 };
      annotations.push(made);
      // The message has arrived, and the sender does not know it.
      if (fails > 0) return [500, { message: `${fails--} more` }];
      return [200, { message: "Annotation added", id: made.id }];
    }
    if (request.method === "PATCH" && id !== undefined) {
      Object.assign(annotations[Number(id) - 1]!, patch.parse(JSON.parse(text)));
      return [200, { message: "Annotation patched" }];
    }
    return [404, { message: "Not found" }];
  };
  const server = createServer((request, response) => {
    answer(request).then(
      ([status, body]) => response.writeHead(status).end(JSON.stringify(body)),
      (error) => response.writeHead(400).end(JSON.stringify({ message: String(error) })),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    annotations,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    failOnce() {
      fails = 1;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe("Grafana", () => {
  const folder = mkdtempSync(join(tmpdir(), "driftlock-grafana-"));
  let grafana: Awaited<ReturnType<typeof startGrafana>>;
  let store: Store;
  let ahead = 0;
  let n = 0;

  beforeAll(async () => {
    process.env.TEST_GRAFANA_TOKEN = token;
    grafana = await startGrafana();
    store = await openStore(storeConfig(folder), options({ now: () => Date.now() + ahead }));
  });
  beforeEach(() => {
    grafana.annotations.length = 0;
    n += 1;
  });
  afterAll(async () => {
    await store?.close();
    await grafana?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const notifier = (more: object = {}) =>
    notifierOf(store, {
      grafana: [{ name: `g${n}`, url: `${grafana.url}/`, token: { env: "TEST_GRAFANA_TOKEN" }, ...more }],
    });
  const startsAt = Date.parse("2026-01-31T12:00:00Z");

  it("marks an incident from its start to its end", async () => {
    const { notifier: running, results } = notifier({ dashboard: "driftlock", tags: ["team-a"] });
    const incident = notice({ incident: `i${n}`, title: "<b>checkout</b> is slow" });
    running.offer(incident);
    await running.tick();
    expect(results).toEqual({ sent: 1 });
    expect(grafana.annotations).toEqual([
      {
        id: 1,
        dashboardUID: "driftlock",
        time: startsAt,
        tags: [
          "driftlock",
          "incident",
          "high",
          "tenant:acme",
          "checkout",
          "payments",
          "team-a",
          expect.stringMatching(/^driftlock:[0-9a-f]{32}$/),
        ],
        text: expect.stringContaining("&#60;b&#62;checkout&#60;/b&#62; is slow<br>Requests take 812 ms"),
      },
    ]);
    expect(grafana.annotations[0]!.text).toContain(
      '<a href="http://127.0.0.1:8080/v1/anomalies/a1">Open in Driftlock</a>',
    );

    running.resolve({ tenant: "acme", incident: `i${n}`, endsAt: startsAt + 60_000 });
    await running.tick();
    expect(grafana.annotations).toMatchObject([{ id: 1, time: startsAt, timeEnd: startsAt + 60_000 }]);
  });

  it("adds no second annotation if a message is sent again", async () => {
    const { notifier: running, results } = notifier();
    grafana.failOnce();
    running.offer(notice({ incident: `i${n}` }));
    await running.tick();
    expect(results).toEqual({ failed: 1 });
    ahead += 3_600_000;
    await running.tick();
    expect(results).toEqual({ failed: 1, sent: 1 });
    expect(grafana.annotations).toHaveLength(1);
  });

  it("marks a change that was posted, whatever the least severity, and tells nobody else", async () => {
    const { notifier: running, results } = notifierOf(store, {
      grafana: [
        {
          name: `g${n}`,
          url: grafana.url,
          token: { env: "TEST_GRAFANA_TOKEN" },
          match: { min_severity: "high", service: "check*" },
        },
      ],
      alertmanager: [{ name: `am${n}`, url: "http://127.0.0.1:9" }],
    });
    const change = (id: string, serviceName: string) =>
      changeNoticeOf(
        create(ChangeSchema, {
          tenant: "acme",
          id,
          serviceName,
          title: "Deploy 1.2.3",
          link: "https://ci.example.com/7",
          timeUnixNano: BigInt(startsAt) * 1_000_000n,
        }),
      );
    running.offer(change("x".repeat(64), "checkout"));
    running.offer(change("other", "cart"));
    await running.tick();
    expect(results).toEqual({ sent: 1 });
    expect(grafana.annotations).toMatchObject([
      {
        time: startsAt,
        tags: ["driftlock", "change", "tenant:acme", "checkout", expect.any(String)],
        text: 'Deploy 1.2.3<br><a href="https://ci.example.com/7">Details</a>',
      },
    ]);
  });

  it("tries again if the token is refused, and never shows it", async () => {
    process.env.TEST_GRAFANA_WRONG = "glsa_wrong";
    const { notifier: running, results, logged } = notifier({ token: { env: "TEST_GRAFANA_WRONG" } });
    running.offer(notice({ incident: `i${n}` }));
    await running.tick();
    expect(results).toEqual({ failed: 1 });
    expect(logged.join()).toContain("status 401");
    expect(logged.join()).not.toContain("glsa_wrong");
  });
});
