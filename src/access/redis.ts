/** Connections to the Redis of `limits.store`. */
import type { createClient } from "@redis/client";
import { endsWithin } from "../base/deadline.ts";

export type Redis = ReturnType<typeof createClient>;

export const connectMs = 1_000;
/** The timeout of a response. */
const answerMs = 500;

/** The URL without user, password and options. */
export function redisPlace(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}

/**
 * Makes a client, which does not connect by itself. The package is loaded only if it is used.
 * @param reconnectMs returns how long to wait before connecting again, from how often that has failed; by default, it is not tried
 */
export async function makeRedis(url: string, reconnectMs?: (failures: number) => number): Promise<Redis> {
  const { createClient } = await import("@redis/client");
  const client = createClient({
    url,
    name: "driftlock",
    socket: { connectTimeout: connectMs, reconnectStrategy: reconnectMs ?? false },
    disableOfflineQueue: true,
    maintNotifications: "disabled",
  });
  // The next call fails as well. Without a listener, the event would end the process.
  client.on("error", () => {});
  return client as unknown as Redis;
}

/** @throws {Error} if the response does not arrive in time. */
export async function within<T>(answer: Promise<T>, ms = answerMs): Promise<T> {
  if (await endsWithin(ms, answer)) return answer;
  throw new Error(`no answer within ${ms} ms`);
}
