import {
  appendFile,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { basename, join } from "node:path";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { frameHeader, headerSize } from "../../src/forward/queue/frame.ts";
import { LogFull, type LogOptions, SegmentLog } from "../../src/forward/queue/log.ts";
import { Displaced } from "../../src/forward/queue/writer.ts";
import { type Signal, signals } from "../../src/otlp/protocol.ts";
import { newFolder } from "./cleanups.ts";

interface Opened {
  log: SegmentLog;
  damage: number[];
  errors: unknown[];
}

async function openLog(folder: string, options: Partial<LogOptions> = {}): Promise<Opened> {
  const damage: number[] = [];
  const errors: unknown[] = [];
  const log = await SegmentLog.open(
    folder,
    { sync: "off", syncInterval: 1_000, maxSize: 2 ** 30, maxWaiting: 2 ** 30, ...options },
    { onDamage: (bytes) => damage.push(bytes), onError: (error) => errors.push(error) },
  );
  return { log, damage, errors };
}

/** Takes all remaining entries of the log, marks them as done, and returns their bodies. */
async function drain({ log }: Opened): Promise<string[]> {
  const bodies: string[] = [];
  while (log.pending > 0) {
    const entry = await Promise.race([
      log.next(),
      vi.waitUntil(() => log.pending === 0, 10_000).then(() => undefined),
    ]);
    if (!entry) break;
    bodies.push(entry.body.toString());
    log.done(entry);
  }
  return bodies;
}

async function segments(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.endsWith(".log")).sort();
}

const names = (count: number, from = 0) => Array.from({ length: count }, (_, i) => `request ${from + i}`);

async function appendAll(log: SegmentLog, bodies: string[]): Promise<void> {
  await Promise.all(bodies.map((body) => log.append("logs", Buffer.from(body))));
}

describe("the log", () => {
  it("gives back what was appended, in order, whatever its size", async () => {
    const folder = await newFolder();
    const opened = await openLog(folder, { maxSize: 8 * 2 ** 20 });
    const sizes = [0, 1, 15, 16, 17, 1_000_000, 3, 2_500_000, 0, 70_000];
    const bodies = sizes.map((size, i) => Buffer.alloc(size, `body ${i} `));
    const given: [Signal, Buffer][] = [];
    for (const [i, body] of bodies.entries()) await opened.log.append(signals[i % 3]!, body);
    for (const _ of bodies) {
      const { signal, body } = (await opened.log.next())!;
      given.push([signal, body]);
    }
    expect(given.map(([signal]) => signal)).toEqual(sizes.map((_, i) => signals[i % 3]));
    expect(given.every(([, body], i) => body.equals(bodies[i]!))).toBe(true);
    await opened.log.close();

    // Entries that were taken but not done are returned again, read from the files.
    const again = await openLog(folder, { maxSize: 8 * 2 ** 20 });
    for (const [i, body] of bodies.entries()) {
      const entry = (await again.log.next())!;
      expect([entry.signal, entry.body.equals(body)]).toEqual([signals[i % 3], true]);
      again.log.done(entry);
    }
    expect(again.log.pending).toBe(0);
    expect([...again.damage, ...again.errors]).toEqual([]);
    await again.log.close();
  });

  it("goes on behind what is done, even where that was done out of order", async () => {
    const folder = await newFolder();
    const first = await openLog(folder);
    await appendAll(first.log, names(5));
    const taken = [];
    for (let i = 0; i < 4; i++) taken.push((await first.log.next())!);
    for (const i of [0, 1, 3]) first.log.done(taken[i]!);
    await first.log.close();
    const second = await openLog(folder);
    expect(await drain(second)).toEqual(["request 2", "request 3", "request 4"]);
    await second.log.close();
    const third = await openLog(folder);
    expect(third.log.pending).toBe(0);
    await appendAll(third.log, names(2, 5));
    expect(await drain(third)).toEqual(["request 5", "request 6"]);
    await third.log.close();
  });

  it("waits for what comes, and ends when it is closed", async () => {
    const { log } = await openLog(await newFolder());
    const next = log.next();
    await log.append("metrics", Buffer.from("late"));
    expect((await next)?.body.toString()).toBe("late");
    const none = log.next();
    await log.close();
    expect(await none).toBeUndefined();
  });

  it("removes files when all in them is done", async () => {
    const folder = await newFolder();
    const opened = await openLog(folder, { maxSize: 80_000 });
    for (let i = 0; i < 60; i++) await opened.log.append("logs", Buffer.alloc(1_000));
    expect((await segments(folder)).length).toBeGreaterThan(4);
    expect(opened.log.size).toBe(60 * (1_000 + headerSize));
    expect(await drain(opened)).toHaveLength(60);
    await vi.waitFor(async () => expect(await segments(folder)).toHaveLength(1));
    await opened.log.close();
  });

  it("takes no more than its size, and all of it again once it is empty", async () => {
    const opened = await openLog(await newFolder(), { maxSize: 10_000 });
    const body = Buffer.alloc(4_000);
    await opened.log.append("logs", body);
    await opened.log.append("logs", body);
    expect(() => opened.log.append("logs", body)).toThrow(LogFull);
    await drain(opened);
    for (let i = 0; i < 5; i++) {
      await opened.log.append("logs", Buffer.alloc(10_000 - headerSize));
      await drain(opened);
    }
    expect(() => opened.log.append("logs", Buffer.alloc(10_000))).toThrow(LogFull);
    await opened.log.close();
  });

  it("takes no more in memory than it may", async () => {
    const { log } = await openLog(await newFolder(), { maxWaiting: 10_000 });
    const first = log.append("logs", Buffer.alloc(20_000));
    expect(() => log.append("logs", Buffer.alloc(1))).toThrow(LogFull);
    await first;
    await log.append("logs", Buffer.alloc(1));
    await log.close();
  });

  it.each<[string, (folder: string) => Promise<unknown>]>([
    ["its folder is removed", (folder) => rm(folder, { recursive: true })],
    ["its folder is moved away", (folder) => rename(folder, `${folder}-away`)],
    [
      "another folder takes its place",
      async (folder) => {
        await rename(folder, `${folder}-away`);
        await mkdir(folder);
      },
    ],
  ])("takes nothing once %s", async (_, displace) => {
    const folder = join(await newFolder(), "logs");
    for (const size of [10, 4_000]) {
      const { log } = await openLog(folder, { maxSize: 16_000 });
      await log.append("logs", Buffer.alloc(size, "before"));
      await displace(folder);
      await expect(log.append("logs", Buffer.alloc(size, "behind"))).rejects.toThrow(Displaced);
      await log.close();
      await rm(`${folder}-away`, { recursive: true, force: true });
    }
  });

  it("does not count what it wrote to a file that has been removed", async () => {
    const folder = await newFolder();
    const { log } = await openLog(folder);
    await log.append("logs", Buffer.from("one"));
    for (const name of await segments(folder)) await rm(join(folder, name));
    await expect(log.append("logs", Buffer.from("two"))).rejects.toThrow(Displaced);
    await log.append("logs", Buffer.from("three"));
    await log.close();
    const { log: next } = await openLog(folder);
    expect((await next.next())!.body.toString()).toBe("three");
    await next.close();
  });

  it("goes on when its folder is put back", async () => {
    const folder = join(await newFolder(), "logs");
    const { log } = await openLog(folder);
    await log.append("logs", Buffer.from("one"));
    await rename(folder, `${folder}-away`);
    await expect(log.append("logs", Buffer.from("two"))).rejects.toThrow(
      "has been removed or replaced; put it back, or restart Driftlock",
    );
    await rename(`${folder}-away`, folder);
    await log.append("logs", Buffer.from("three"));
    await log.close();
    const { log: next } = await openLog(folder);
    expect((await next.next())!.body.toString()).toBe("one");
    expect((await next.next())!.body.toString()).toBe("three");
    await next.close();
  });

  it.each(["always", "interval", "off"] as const)("keeps order under load with sync: %s", async (sync) => {
    const folder = await newFolder();
    const opened = await openLog(folder, { sync, syncInterval: 5, maxSize: 2 * 2 ** 20 });
    const count = 600;
    const bodies = Array.from({ length: count }, (_, i) => `${i} ${"x".repeat((i * 37) % 5_000)}`);
    const taken: string[] = [];
    const taking = (async () => {
      while (taken.length < count) {
        const entry = (await opened.log.next())!;
        taken.push(entry.body.toString());
        // Occasionally the reader falls behind, and reads from the files.
        if (taken.length % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 3));
        opened.log.done(entry);
      }
    })();
    for (let i = 0; i < count; i += 20) {
      await Promise.all(
        bodies.slice(i, i + 20).map(async (body) => {
          for (;;) {
            try {
              return await opened.log.append("logs", Buffer.from(body));
            } catch (error) {
              expect(error).toBeInstanceOf(LogFull);
              await new Promise(setImmediate);
            }
          }
        }),
      );
    }
    await taking;
    expect(taken).toEqual(bodies);
    expect([...opened.damage, ...opened.errors]).toEqual([]);
    await opened.log.close();
  });
});

describe("a damaged log", () => {
  /** A folder with one segment of ten requests. */
  async function tenRequests(): Promise<{ folder: string; path: string; bytes: Buffer }> {
    const folder = await newFolder();
    const { log } = await openLog(folder);
    await appendAll(log, names(10));
    await log.close();
    const path = join(folder, (await segments(folder))[0]!);
    return { folder, path, bytes: await readFile(path) };
  }
  const frame = headerSize + "request 0".length;

  it("loses nothing but the request that its end cuts, wherever that is", async () => {
    const { folder, path, bytes } = await tenRequests();
    for (let length = 0; length <= bytes.length; length += 7) {
      await writeFile(path, bytes.subarray(0, length));
      await rm(join(folder, "cursor"), { force: true });
      const opened = await openLog(folder);
      // Requests added after the crash are kept as well.
      await opened.log.append("traces", Buffer.from("after"));
      expect(await drain(opened)).toEqual([...names(Math.floor(length / frame)), "after"]);
      expect(opened.damage).toEqual(length % frame === 0 ? [] : [length % frame]);
      await opened.log.close();
      for (const name of await segments(folder)) await rm(join(folder, name));
    }
  });

  it.each<[string, Buffer]>([
    ["zeros", Buffer.alloc(100_000)],
    ["noise", Buffer.from(Array.from({ length: 3_000 }, (_, i) => (i * 7919) % 251))],
    [
      "headers",
      Buffer.concat(Array.from({ length: 500 }, () => frameHeader("logs", Buffer.from("no such body")))),
    ],
    ["a header that promises more than there is", frameHeader("logs", Buffer.alloc(2 ** 20))],
  ])("passes over %s at its end", async (_, garbage) => {
    const { folder, path } = await tenRequests();
    await appendFile(path, garbage);
    const opened = await openLog(folder);
    await opened.log.append("logs", Buffer.from("after"));
    expect(await drain(opened)).toEqual([...names(10), "after"]);
    expect(opened.damage).toEqual([garbage.length]);
    expect(opened.errors).toEqual([]);
    await opened.log.close();
  });

  it("passes over what is damaged in its midst", async () => {
    const { folder, path, bytes } = await tenRequests();
    bytes.fill(0xff, 3 * frame + 5, 5 * frame + 5);
    await writeFile(path, bytes);
    const opened = await openLog(folder);
    expect(await drain(opened)).toEqual([...names(3), ...names(4, 6)]);
    expect(opened.damage).toEqual([3 * frame]);
    await opened.log.close();
  });

  it.each<[string, number, number, (path: string) => Promise<void>]>([
    ["the first of all", 0, 0, (path) => rm(path)],
    ["the first that is left", 8, 0, (path) => rm(path)],
    ["one in the midst", 8, 1, (path) => rm(path)],
    ["one that is empty", 8, 1, (path) => truncate(path)],
  ])("counts a file that is missing: %s", async (_, done, index, spoil) => {
    const folder = await newFolder();
    const first = await openLog(folder, { maxSize: 800 });
    // Files that were removed because everything in them was done are no damage.
    for (const name of names(done)) await first.log.append("logs", Buffer.from(name));
    expect(await drain(first)).toEqual(names(done));
    for (const name of names(20)) await first.log.append("logs", Buffer.from(name));
    await first.log.close();
    const files = await segments(folder);
    expect(files.length).toBeGreaterThan(3);
    const starts = files.map((name) => Number(name.slice(0, 16)));
    expect(starts[0]! > 0).toBe(done > 0);
    await spoil(join(folder, files[index]!));
    const opened = await openLog(folder, { maxSize: 800 });
    const rest = await drain(opened);
    expect(rest).toEqual(names(20).filter((name) => rest.includes(name)));
    expect(rest.length).toBeLessThan(20);
    const from = Math.max(starts[index]!, done * (headerSize + "request 0".length));
    expect(opened.damage).toEqual([starts[index + 1]! - from]);
    await opened.log.close();
  });

  it("never gives what was not appended, and all that is whole", async () => {
    const { folder, path, bytes } = await tenRequests();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 })), { maxLength: 5 }),
        fc.nat(bytes.length),
        async (flips, length) => {
          const copy = Buffer.from(bytes.subarray(0, length));
          const hit = new Set([Math.floor(length / frame)]);
          for (const [at, mask] of flips) {
            if (at < length) copy[at]! ^= mask;
            // Two flips of the same byte may cancel each other out.
            hit.add(Math.floor(at / frame));
          }
          await writeFile(path, copy);
          await rm(join(folder, "cursor"), { force: true });
          const opened = await openLog(folder);
          const given = await drain(opened);
          await opened.log.close();
          const whole = names(10).filter((_, i) => !hit.has(i) && (i + 1) * frame <= length);
          expect(given.filter((body) => whole.includes(body))).toEqual(whole);
          for (const body of given) expect(names(10)).toContain(body);
          for (const name of await segments(folder)) await rm(join(folder, name));
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each(["", "12", "5 5", "999999999999999999 1", "\x00\x00\x00"])(
    "trusts no cursor that reads %j",
    async (text) => {
      const { folder } = await tenRequests();
      await writeFile(join(folder, "cursor"), text);
      const opened = await openLog(folder);
      expect(await drain(opened)).toEqual(names(10));
      await opened.log.close();
    },
  );

  it("takes nothing new for done where the cursor is ahead of the files", async () => {
    const { folder, path } = await tenRequests();
    const first = await openLog(folder);
    await drain(first);
    await first.log.close();
    // After a power failure, the cursor reached the device, but the requests did not.
    await truncate(path, 2 * frame).catch(() => writeFile(path, ""));
    const second = await openLog(folder);
    await appendAll(second.log, names(3));
    expect(await drain(second)).toEqual(names(3));
    await second.log.close();
  });

  it("leaves alone what is none of its files", async () => {
    const { folder } = await tenRequests();
    for (const name of ["1.log", "x.log", "9999999999999999.log", "9007199254740990.log", "notes.txt"])
      await writeFile(join(folder, name), "mine");
    // These have names like those of the log's files.
    await mkdir(join(folder, "0000000000000001.log"));
    await symlink("/nonexistent", join(folder, "0000000000000002.log"));
    const opened = await openLog(folder);
    expect(await drain(opened)).toEqual(names(10));
    expect(opened.damage).toEqual([]);
    await opened.log.close();
    expect(await readFile(join(folder, "notes.txt"), "utf8")).toBe("mine");
  });

  it("sets a file aside that cannot be read, and goes on", async () => {
    const { folder, path, bytes } = await tenRequests();
    const opened = await openLog(folder);
    await rm(path);
    await mkdir(path);
    await opened.log.append("logs", Buffer.from("after"));
    expect(await drain(opened)).toEqual(["after"]);
    expect(opened.damage).toEqual([bytes.length]);
    expect(opened.errors).toHaveLength(1);
    expect(await readdir(folder)).toContain(`${basename(path)}.unreadable`);
    await opened.log.close();
  });
});
