import { expect, it } from "vitest";
import { encodeReport } from "../../src/anomaly/report.ts";
import { midnight, report } from "../store/fixtures.ts";
import { keyOf, problemOf, start } from "./support.ts";

it("lists what came closest to being an anomaly, to those who may read", async () => {
  const running = await start({ auth: { enabled: true } });
  const offer = (margin: number, tenant: string, timeUnixNano = midnight) =>
    running.store.notable.offer(
      encodeReport(report({ id: "", tenant, stream: `logs ${margin}`, timeUnixNano, margin, limit: 9 })),
    );
  offer(0.3, "acme");
  offer(0.6, "acme");
  offer(0.4, "acme", midnight + 3_600_000_000_000n);
  offer(0.9, "globex");
  const headers = await keyOf(running, "acme", "read");
  const list = async (query: string) => {
    const response = await running.get(`/v1/notable${query}`, { headers });
    const { items } = (await response.json()) as { items: { stream: string; report: { limit: number } }[] };
    return items.map((item) => [item.stream, item.report.limit]);
  };
  expect(await list("")).toEqual([
    ["logs 0.6", 9],
    ["logs 0.4", 9],
    ["logs 0.3", 9],
  ]);
  expect(await list("?limit=1&from=2026-01-31T01:00:00Z")).toEqual([["logs 0.4", 9]]);
  expect((await running.get("/v1/notable")).status).toBe(401);
  const wrong = await problemOf(await running.get("/v1/notable?until=yesterday", { headers }));
  expect(wrong.detail).toContain("until");
});
