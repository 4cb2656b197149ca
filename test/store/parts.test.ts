import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { Kysely, sql } from "kysely";
import { afterEach, describe, expect, it } from "vitest";
import { canonicalJson, type Json } from "../../src/base/canonical.ts";
import { sha256 } from "../../src/base/sha256.ts";
import { Thread } from "../../src/base/thread.ts";
import { Severity } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { maxRank, ReportQueue, rankOf, sizeOf, type Waiting } from "../../src/store/anomalies/queue.ts";
import { storable } from "../../src/store/arguments.ts";
import { InvalidArgument, isUnavailable } from "../../src/store/database/errors.ts";
import { type Answer, type Query, SqliteError } from "../../src/store/database/sqlite/connection.ts";
import { SqliteDialect } from "../../src/store/database/sqlite/dialect.ts";
import { parsePosition, toPage } from "../../src/store/page.ts";
import { settingsOf } from "../../src/store/settings.ts";
import { ending, id, report, storeConfig, versions } from "./fixtures.ts";

describe("canonical JSON", () => {
  it("is the same for the same value, in whatever order it was built", () => {
    const shuffle = (value: Json): Json => {
      if (Array.isArray(value)) return value.map(shuffle);
      if (typeof value !== "object" || value === null) return value;
      return Object.fromEntries(
        Object.entries(value)
          .reverse()
          .map(([name, inner]) => [name, shuffle(inner as Json)]),
      );
    };
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        const text = canonicalJson(value as Json);
        // JSON has no negative zero.
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(shuffle(value as Json))).toBe(text);
      }),
      { numRuns: 50 },
    );
    expect(canonicalJson({ b: [1.5, null, "ü\n"], a: {}, B: true })).toBe(
      '{"B":true,"a":{},"b":[1.5,null,"ü\\n"]}',
    );
  });

  it("refuses what JSON cannot hold", () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, undefined, 1n]) {
      expect(() => canonicalJson({ value } as never)).toThrow(TypeError);
    }
  });

  it.each<Json>([{ value: "\ud800" }, { "\udc00": 1 }, ["a", "\udfff\ud800"]])(
    "refuses half a surrogate pair",
    (value) => {
      expect(() => canonicalJson(value)).toThrow("half a surrogate pair");
    },
  );

  it("gives settings a name by what they are", () => {
    const { detect } = storeConfig("x");
    const { hash, body } = settingsOf(detect, versions);
    expect(hash).toBe(sha256(body));
    expect(settingsOf(structuredClone(detect), { ...versions }).hash).toBe(hash);
    expect(settingsOf({ ...detect, seed: 43 }, versions).hash).not.toBe(hash);
  });
});

it("makes any text one that both databases take", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.integer({ min: 1, max: 20 }), (text, max) => {
      const stored = storable(`\0${text}\ud800`, max);
      expect(stored).not.toContain("\0");
      expect(stored.isWellFormed()).toBe(true);
      expect(stored.length).toBeLessThanOrEqual(max);
    }),
  );
});

describe("cursors", () => {
  it("lead back to where a page ended", () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.stringMatching(/^[\w-]{1,64}$/),
        (major, minor) => {
          const page = toPage([0, 1], 1, () => ({ major, minor }), String);
          expect(page.items).toEqual(["0"]);
          expect(parsePosition({ after: page.next! })).toEqual({ major, minor });
        },
      ),
    );
  });

  it("are refused when they are anything else", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String()), (after) => {
        try {
          const { major, minor } = parsePosition({ after })!;
          expect(BigInt.asIntN(64, major)).toBe(major);
          expect(minor).not.toContain("\0");
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidArgument);
        }
      }),
    );
  });
});

describe("the queue of reports", () => {
  const reports = fc
    .array(
      fc.record({
        kind: fc.constantFrom("first", "update", "end"),
        severity: fc.integer({ min: 0, max: 4 }),
        length: fc.integer({ min: 0, max: 300 }),
      }),
      { maxLength: 80 },
    )
    .map((inits) =>
      inits.map(({ kind, severity, length }, n) => {
        const init = { id: id(n), severity, record: { text: "x".repeat(length) } };
        const anomaly =
          kind === "end"
            ? ending({ ...init, occurrence: 5n })
            : report({ ...init, occurrence: kind === "first" ? 1n : 2n });
        return { tenant: "t", id: id(n), bytes: new Uint8Array(length).fill(n), rank: rankOf(anomaly) };
      }),
    );

  it("ranks what opens an anomaly above what ends it, and that above what lies between", () => {
    const ranks = [
      report({ occurrence: 2n, severity: Severity.LOW }),
      report({ occurrence: 4n, severity: Severity.CRITICAL }),
      ending({ occurrence: 4n }),
      report({ severity: Severity.LOW }),
      report({ severity: Severity.CRITICAL }),
      report({ severity: 99 as Severity }),
    ].map(rankOf);
    expect(ranks.slice(0, 5)).toEqual(ranks.slice(0, 5).toSorted((a, b) => a - b));
    expect(new Set(ranks).size).toBe(5);
    expect(Math.max(...ranks)).toBeLessThanOrEqual(maxRank);
  });

  it("keeps what matters most within its bytes, and counts the rest", () => {
    fc.assert(
      fc.property(
        reports,
        fc.integer({ min: 1_000, max: 20_000 }),
        fc.integer({ min: 1, max: 9 }),
        (all, maxBytes, n) => {
          const queue = new ReportQueue(maxBytes);
          // This is the same rule in plain code: of the lowest rank the oldest is dropped, until the rest fits.
          const expected: Waiting[] = [];
          let dropped = 0;
          for (const each of all) {
            dropped += queue.push(each);
            expected.push(each);
            while (expected.reduce((sum, waiting) => sum + sizeOf(waiting), 0) > maxBytes) {
              const lowest = Math.min(...expected.map(({ rank }) => rank));
              expected.splice(
                expected.findIndex(({ rank }) => rank === lowest),
                1,
              );
            }
            expect(queue.length).toBe(expected.length);
          }
          // An entry that is put back leaves the queue as if it had not been taken.
          const [bytes, length] = [queue.bytes, queue.length];
          expect(queue.putBack(queue.take(n, 1e9))).toBe(0);
          expect([queue.bytes, queue.length]).toEqual([bytes, length]);

          const kept: Waiting[] = [];
          while (queue.length > 0) {
            const taken = queue.take(n, 3_000);
            expect(taken.length).toBeGreaterThan(0);
            expect(taken.length).toBeLessThanOrEqual(n);
            kept.push(...taken);
          }
          expect(queue.bytes).toBe(0);
          expect(kept.length + dropped).toBe(all.length);
          expect(kept).toEqual(expected.toSorted((x, y) => y.rank - x.rank));
        },
      ),
    );
  });
});

describe("a connection in a thread", () => {
  const folders: string[] = [];
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  });

  const worker = new URL("../../src/store/database/sqlite/worker.ts", import.meta.url);

  function thread(readOnly = false): Thread<Query, Answer, Pick<SqliteError, "errcode">> {
    const folder = mkdtempSync(join(tmpdir(), "driftlock-store-"));
    folders.push(folder);
    const opening = { file: join(folder, "x.db"), readOnly };
    return new Thread(worker, opening, ({ message, errcode }) => new SqliteError(message, errcode));
  }

  it("reads integers of 64 bits, bytes and text as they were written", async () => {
    const db = thread();
    const run = (sql: string, parameters: unknown[] = [], counts = false) =>
      db.call({ sql, parameters, counts });
    await run("create table t (i bigint, b blob, r double precision, s text)");
    const row = [2n ** 63n - 1n, new Uint8Array([0, 255]), 0.1, "ü"];
    expect((await run("insert into t values (?, ?, ?, ?)", row, true)).changes).toBe(1n);
    expect((await run("select * from t")).rows).toEqual([{ i: row[0], b: row[1], r: row[2], s: row[3] }]);
    await db.close();
  });

  it("says what SQLite says, with its code, and goes on", async () => {
    const db = thread();
    const run = (sql: string, parameters: unknown[] = []) => db.call({ sql, parameters, counts: false });
    await run("create table t (i bigint primary key)");
    await run("insert into t values (1)");
    await expect(run("insert into t values (1)")).rejects.toMatchObject({ errcode: 1_555 });
    await expect(run("nonsense")).rejects.toMatchObject({ errcode: 1 });
    await expect(run("select ?, ?", [1, {}])).rejects.toBeInstanceOf(SqliteError);
    expect((await run("select i from t")).rows).toEqual([{ i: 1n }]);
    await db.close();
  });

  it("fails where there is no file to read, and lets the process end", async () => {
    const db = thread(true);
    await expect(db.call({ sql: "select 1", parameters: [], counts: false })).rejects.toMatchObject({
      message: expect.stringContaining("unable to open database file"),
      errcode: 14,
    });
    await db.close();
  });
});

it("says that the device is full, though SQLite has rolled back by itself then, and goes on", async () => {
  const folder = mkdtempSync(join(tmpdir(), "driftlock-store-"));
  const dialect = new SqliteDialect({ file: join(folder, "x.db"), readOnly: false, thread: "this" });
  const db = new Kysely<{ t: { b: Uint8Array } }>({ dialect });
  await sql`create table t (b blob)`.execute(db);
  await sql`pragma max_page_count = 8`.execute(db);
  const write = (bytes: number) =>
    db.transaction().execute((trx) =>
      trx
        .insertInto("t")
        .values({ b: new Uint8Array(bytes) })
        .execute(),
    );
  const error = await write(1_000_000).catch((failure: unknown) => failure);
  expect(error).toMatchObject({ errcode: 13 });
  expect(isUnavailable(error)).toBe(true);
  await write(10);
  expect(await db.selectFrom("t").selectAll().execute()).toHaveLength(1);
  await db.destroy();
  rmSync(folder, { recursive: true, force: true });
});
