import { randomBytes } from "node:crypto";
import type { Channel, Message } from "./channel.ts";
import { keyOf, type Notice } from "./notice.ts";

/**
 * Sends a test incident to a channel, first that it has begun, then that it is resolved, without the outbox. Resolves to why the
 * receiver has not accepted both messages; undefined if it has.
 * @param by who or what asks for the test
 */
export async function sendTest(channel: Channel, tenant: string, by: string): Promise<string | undefined> {
  const notice: Notice = {
    tenant,
    incident: `test-${randomBytes(8).toString("hex")}`,
    state: "open",
    severity: "low",
    title: "Test of Driftlock's notifications",
    sentence: `This is a test by ${by}; nothing is wrong`,
    startsAt: Date.now(),
    services: ["driftlock-test"],
    causes: [{ service: "driftlock-test", reason: "somebody has asked for a test" }],
  };
  const key = keyOf(notice);
  const resolved: Notice = { ...notice, state: "resolved", endsAt: Date.now() };
  const messages: Message[] = [
    { kind: "opened", id: `msg_${key}_1`, key, notice },
    { kind: "resolved", id: `msg_${key}_2`, key, notice: resolved, previous: notice },
  ];
  const { signal } = new AbortController();
  try {
    for (const message of messages) await channel.send(message, signal);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
