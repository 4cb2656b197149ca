/** Cleanups of a test, which run after it in reverse order. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";
import { type Downstream, startDownstream } from "./downstream.ts";

export const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

export async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "driftlock-forward-"));
  cleanups.push(() => rm(folder, { recursive: true }));
  return folder;
}

export async function downstream(...args: Parameters<typeof startDownstream>): Promise<Downstream> {
  const server = await startDownstream(...args);
  cleanups.push(() => server.close());
  return server;
}
