import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { Thread, type ThreadOptions } from "../../src/base/thread.ts";

const folder = mkdtempSync(join(tmpdir(), "driftlock-thread-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
function start(options?: ThreadOptions) {
  files += 1;
  const file = join(folder, String(files));
  writeFileSync(file, "");
  const url = new URL("./thread-worker.ts", import.meta.url);
  const thread = new Thread<string, number>(url, file, ({ message }) => new Error(message), options);
  return { thread, said: () => readFileSync(file, "utf8") };
}

test("a thread answers all calls, rejects those that fail, and ends when it is closed", async () => {
  const { thread, said } = start();
  const [one, failed, two] = await Promise.allSettled(["a", "fail", "b"].map((job) => thread.call(job)));
  expect(one).toMatchObject({ status: "fulfilled" });
  expect(two).toEqual(one);
  expect(failed).toMatchObject({ status: "rejected", reason: { message: "it failed" } });
  await thread.close();
  expect(said()).toBe("closed\n");
});

test("a thread without work ends, and the next call starts another one", async () => {
  const { thread, said } = start({ idleMs: 20 });
  const first = await thread.call("a");
  await expect.poll(said).toBe("closed\n");
  expect(await thread.call("b")).not.toBe(first);
  await thread.close();
  expect(said()).toBe("closed\nclosed\n");
});

test("no call is lost while a thread ends because it had none", async () => {
  const { thread } = start({ idleMs: 5 });
  const threads = new Set<number>();
  for (let i = 0; i < 40; i += 1) {
    threads.add(await thread.call("a"));
    // Around the moment at which the thread is ended.
    await sleep(3 + (i % 5));
  }
  expect(threads.size).toBeGreaterThan(1);
  await thread.close();
});
