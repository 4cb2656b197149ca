/** What Driftlock reads of a conversation, and what of it an instrumentation does not send. */
import type { LlmCallJson } from "../../../src/json/llm.ts";
import type { Answer, Conversation } from "./conversations.ts";
import { tokensOf } from "./provider.ts";

/** What an instrumentation does not send, or sends in another way. All else has to be the same. */
export interface Gaps {
  /** Failed calls have no span. */
  noFailures?: boolean;
  /** The text of a refusal is missing: from every answer, or from those in a stream. */
  noRefusals?: "any" | "streamed";
  /** Refusals come as usual text. */
  plainRefusals?: boolean;
  /** Answers in a stream come without tokens. */
  noStreamedTokens?: boolean;
  /** Answers in a stream do not name the model that answered. */
  noStreamedModel?: boolean;
  /** Parallel calls of tools in a stream are joined into one, so that the history of the next call seems new. */
  joinedStreamedCalls?: boolean;
}

/** What is compared of a call. */
export interface CallRead {
  model: string | null;
  answeredBy: string | null;
  finish: string[];
  tokens: (number | null)[];
  error: string | null;
  turns: string[];
}

export const system = "You tell customers where their orders are.";

/** Returns what is compared of a call at the API. */
export const callRead = (call: LlmCallJson): CallRead => ({
  model: call.model,
  answeredBy: call.response_model,
  finish: call.finish_reasons,
  tokens: [call.input_tokens, call.output_tokens],
  error: call.error,
  turns: call.turns.map(({ kind, role, tool, text, refusal, malformed }) =>
    [
      kind === "prompt" ? role : kind,
      ...(kind === "tool_call" ? [tool] : []),
      text,
      ...(refusal ? ["(refusal)"] : []),
      ...(malformed ? ["(malformed)"] : []),
    ].join(" "),
  ),
});

function said(answer: Answer, stream: boolean, gaps: Gaps): string[] {
  if ("status" in answer) return [];
  if ("text" in answer) return [`response ${answer.text}`];
  if ("filtered" in answer) return [`response ${answer.filtered}`];
  if ("refusal" in answer) {
    const missing = gaps.noRefusals === "any" || (gaps.noRefusals === "streamed" && stream);
    return missing ? [] : [`response ${answer.refusal}${gaps.plainRefusals ? "" : " (refusal)"}`];
  }
  const calls = answer.calls.map(({ name, arguments: given }) => ({ name, given: JSON.stringify(given) }));
  if (gaps.joinedStreamedCalls && stream && calls.length > 1) {
    const [names, given] = [calls.map(({ name }) => name), calls.map((each) => each.given)];
    return [`tool_call ${names.join("")} ${given.join("")} (malformed)`];
  }
  return calls.map(({ name, given }) => `tool_call ${name} ${given}`);
}

const finishOf = (answer: Answer): string[] => {
  if ("status" in answer) return [];
  if ("calls" in answer) return ["tool_call"];
  return ["filtered" in answer ? "content_filter" : "stop"];
};

/** Returns the calls of a conversation as they are read, by what the instrumentation sends. */
export function expectedCalls(conversation: Conversation, gaps: Gaps): CallRead[] {
  const { stream, answers, results } = conversation;
  const left = [...results];
  const calls: CallRead[] = [];
  let history = [`system ${system}`, `user ${conversation.prompt}`];
  let [known, messages] = [0, history.length];
  for (const answer of answers) {
    const failed = "status" in answer;
    if (failed && gaps.noFailures) break;
    const [input, output] = tokensOf(messages, answer);
    const withoutTokens = failed || (stream && gaps.noStreamedTokens);
    calls.push({
      model: "gpt-fake",
      answeredBy: failed ? null : stream && gaps.noStreamedModel ? "gpt-fake" : conversation.model,
      finish: finishOf(answer),
      tokens: withoutTokens ? [null, null] : [input, output],
      error: failed ? "RateLimitError" : null,
      turns: [...history.slice(known), ...said(answer, stream, gaps)],
    });
    const joined = gaps.joinedStreamedCalls && stream && "calls" in answer && answer.calls.length > 1;
    history = [...history, ...said(answer, stream, {})];
    known = joined ? 0 : history.length;
    const answered = "calls" in answer ? answer.calls.map(() => `tool_result ${left.shift()}`) : [];
    history.push(...answered);
    messages += 1 + answered.length;
  }
  return calls;
}
