/** Who uses the dashboard, and what they may do. */
import { signal } from "@preact/signals";
import { request } from "./client.ts";
import type { Session } from "./types.ts";

export const session = signal<Session | undefined>();

export async function loadSession(): Promise<void> {
  session.value = await request<Session>("/v1/session");
}

/** Whether the person may change anything. While that is unknown, the API decides. */
export const mayChange = (): boolean => session.value?.scopes.includes("admin") ?? true;
