/** Which tools a conversation called after which. */
import type { ConversationDetail } from "../api/types.ts";

export interface ToolNode {
  /** The name of a tool, or of what began the turn. */
  name: string;
  /** How often it was called; undefined for what began the turn. */
  calls: number | undefined;
  /** The most times in a row that it was called with the same arguments. */
  repeats: number;
  flagged: boolean;
}

export interface ToolStep {
  from: string;
  to: string;
  count: number;
  flagged: boolean;
}

/** What stands for the model where no agent is named. */
const unnamed = "model";

export function toolGraph({ items }: Pick<ConversationDetail, "items">): {
  nodes: ToolNode[];
  steps: ToolStep[];
} {
  const nodes = new Map<string, ToolNode>();
  const steps = new Map<string, ToolStep>();
  let before: { name: string; text: string | null; size: number; row: number } | undefined;
  for (const { agent, turns } of items) {
    const start = agent ?? unnamed;
    for (const { kind, role, tool, text, size, anomaly_ids } of turns) {
      // A person says something, or the agent has answered: the next tool is called anew.
      if (kind === "response" || (kind === "prompt" && role === "user")) before = undefined;
      if (kind !== "tool_call") continue;
      const name = tool ?? "?";
      const flagged = anomaly_ids.length > 0;
      const same = before?.name === name && before.text === text && before.size === size && text !== null;
      const row = same ? before!.row + 1 : 1;
      const node = nodes.get(name) ?? { name, calls: 0, repeats: 1, flagged: false };
      node.calls = (node.calls ?? 0) + 1;
      node.repeats = Math.max(node.repeats, row);
      node.flagged ||= flagged;
      nodes.set(name, node);
      const from = before?.name ?? start;
      if (!nodes.has(from)) nodes.set(from, { name: from, calls: undefined, repeats: 1, flagged: false });
      const key = JSON.stringify([from, name]);
      const step = steps.get(key) ?? { from, to: name, count: 0, flagged: false };
      step.count += 1;
      step.flagged ||= flagged;
      steps.set(key, step);
      before = { name, text, size, row };
    }
  }
  return { nodes: [...nodes.values()], steps: [...steps.values()] };
}
