/** Defines the kinds of faults of agents: what goes wrong, and by which mechanism. */
import type { Random } from "../random.ts";
import { type Agent, sendEmail } from "./model.ts";

export const agentFaultNames = [
  "loop",
  "leak",
  "refusal-spike",
  "model-swap",
  "cost-jump",
  "silent-truncation",
  "injected-tool-call",
] as const;
export type AgentFaultName = (typeof agentFaultNames)[number];

export interface AgentFaultSchedule {
  kind: AgentFaultName;
  /** Milliseconds of stream time since the start; the end is exclusive. */
  start: number;
  end: number;
  /** How strong it is in relation to what is usual for its kind. */
  size: number;
}

/** Where a fault of an agent is. */
export interface AgentCause {
  /** The value of `service.name`. */
  service: string;
  /** The value of `gen_ai.agent.name`. */
  agent: string;
  /** The values of `gen_ai.response.model` before and in the fault, if the model changes. */
  models?: [before: string, after: string];
  /** The value of `gen_ai.tool.name`, if it is a tool that should not be called. */
  tool?: string;
}

export interface AgentFault extends AgentFaultSchedule {
  /** Unique within one run. */
  id: string;
  cause: AgentCause;
}

interface AgentFaultKind {
  summary: string;
  /** The share of the turns that it affects at size 1. */
  share: number;
  cause?(agent: Agent): Partial<AgentCause>;
}

export const agentFaultKinds: Readonly<Record<AgentFaultName, AgentFaultKind>> = {
  loop: {
    summary:
      "an agent calls the same tool with the same arguments a dozen times or more in a third of its turns",
    share: 0.33,
  },
  leak: {
    summary: "a fifth of an agent's answers contain another person's data or a key",
    share: 0.2,
  },
  "refusal-spike": {
    summary: "a model refuses half of what an agent asks, or its content filter does",
    share: 0.5,
  },
  "model-swap": {
    summary: "the provider answers with another model than before, though the same one is asked for",
    share: 1,
    cause: ({ model: { response, other } }) => ({ models: [response, other] }),
  },
  "cost-jump": {
    summary: "a model reasons ten times as long before it answers, which costs output tokens and time",
    share: 1,
  },
  "silent-truncation": {
    summary: 'answers end in the middle of a sentence, though the reason for the end is still "stop"',
    share: 1,
  },
  "injected-tool-call": {
    summary:
      "a tool returns instructions, and the agent follows them in a sixth of its turns: it sends data away",
    share: 0.17,
    cause: () => ({ tool: sendEmail.name }),
  },
};

/** Returns the agent in which a fault is. The choice depends on the fault alone, so that others leave it as it is. */
export function plan(
  agents: readonly Agent[],
  { kind }: AgentFaultSchedule,
  random: Random,
): { agent: Agent; cause: AgentCause } {
  const agent = random.pick(agents);
  const { service, name } = agent;
  return { agent, cause: { service, agent: name, ...agentFaultKinds[kind].cause?.(agent) } };
}
