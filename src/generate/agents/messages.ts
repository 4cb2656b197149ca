/** Messages in the form of the conventions: https://github.com/open-telemetry/semantic-conventions-genai */
import type { Value } from "../wire.ts";

type Part =
  | { type: "text"; content: string }
  | { type: "tool_call"; id: string; name: string; arguments: Value }
  | { type: "tool_call_response"; id: string; response: Value };

export type Role = "system" | "user" | "assistant" | "tool";

export interface Message {
  readonly [key: string]: Value;
  readonly role: Role;
  readonly parts: readonly Part[];
}

export const text = (role: Role, content: string): Message => ({ role, parts: [{ type: "text", content }] });

export const toolCall = (id: string, name: string, given: string): Message => ({
  role: "assistant",
  parts: [{ type: "tool_call", id, name, arguments: JSON.parse(given) as Value }],
});

export const toolResponse = (id: string, result: string): Message => ({
  role: "tool",
  parts: [{ type: "tool_call_response", id, response: result }],
});

/** Estimates the number of tokens of a text: four characters each. */
export const tokensOf = (characters: number) => Math.ceil(characters / 4);
