/** A provider of language models on loopback, which speaks OpenAI's API for chat completions. It stands for the remote service. */
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Answer, Conversation } from "./conversations.ts";

/** Tokens of a prompt of so many messages, and of an answer. */
export const tokensOf = (messages: number, answer: Answer): [prompt: number, completion: number] => [
  40 + 25 * messages,
  Math.ceil(JSON.stringify(answer).length / 4),
];

interface Request {
  stream?: boolean;
  messages: { role: string; content: string }[];
}

export interface Provider {
  /** The base URL that clients are given. */
  url: string;
  close(): void;
}

/** Starts a provider that answers with what the conversations have. */
export async function startProvider(conversations: readonly Conversation[]): Promise<Provider> {
  const byPrompt = new Map(conversations.map((each, number) => [each.prompt, { ...each, number }]));
  const server = createServer(async (request, to) => {
    const asked = JSON.parse(Buffer.concat(await request.toArray()).toString()) as Request;
    const prompt = asked.messages.find(({ role }) => role === "user")!.content;
    const { number, model, answers } = byPrompt.get(prompt)!;
    const step = asked.messages.filter(({ role }) => role === "assistant").length;
    const answer = answers[step]!;
    if ("status" in answer) {
      json(to, answer.status, { error: { type: "rate_limit_error", message: "Rate limit reached" } });
      return;
    }
    const [prompt_tokens, completion_tokens] = tokensOf(asked.messages.length, answer);
    const head = { id: `chatcmpl-${number}-${step}`, created: 1_767_000_000, model };
    const usage = { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
    const { message, finish_reason } = choice(answer, `${number}_${step}`);
    if (!asked.stream) {
      const choices = [{ index: 0, message: { role: "assistant", ...message }, finish_reason }];
      json(to, 200, { ...head, object: "chat.completion", choices, usage });
      return;
    }
    const chunk = (choices: object[], more: object = {}) => {
      const event = { ...head, object: "chat.completion.chunk", choices, ...more };
      to.write(`data: ${JSON.stringify(event)}\n\n`);
    };
    to.writeHead(200, { "content-type": "text/event-stream" });
    for (const delta of [{ role: "assistant", content: "" }, ...deltas(message)]) {
      chunk([{ index: 0, delta, finish_reason: null }]);
    }
    chunk([{ index: 0, delta: {}, finish_reason }]);
    chunk([], { usage });
    to.end("data: [DONE]\n\n");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function json(to: ServerResponse, status: number, body: object): void {
  to.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

interface ToolCall {
  id: string;
  type: "function";
  function: { name: string; arguments: string };
}

interface Message {
  content: string | null;
  refusal?: string;
  tool_calls?: ToolCall[];
}

function choice(
  answer: Exclude<Answer, { status: number }>,
  id: string,
): { message: Message; finish_reason: string } {
  if ("text" in answer) return { message: { content: answer.text }, finish_reason: "stop" };
  if ("refusal" in answer) {
    return { message: { content: null, refusal: answer.refusal }, finish_reason: "stop" };
  }
  if ("filtered" in answer) {
    return { message: { content: answer.filtered }, finish_reason: "content_filter" };
  }
  const tool_calls = answer.calls.map(({ name, arguments: given }, i) => ({
    id: `call_${id}_${i}`,
    type: "function" as const,
    function: { name, arguments: JSON.stringify(given) },
  }));
  return { message: { content: null, tool_calls }, finish_reason: "tool_calls" };
}

/** Yields a message in the pieces of a stream. */
function* deltas({ content, refusal, tool_calls = [] }: Message): Generator<object> {
  for (const piece of content?.match(/.{1,12}/gsu) ?? []) yield { content: piece };
  if (refusal !== undefined) yield { refusal };
  for (const [index, { function: called, ...call }] of tool_calls.entries()) {
    yield { tool_calls: [{ index, ...call, function: { name: called.name, arguments: "" } }] };
    for (const piece of called.arguments.match(/.{1,8}/gsu) ?? []) {
      yield { tool_calls: [{ index, function: { arguments: piece } }] };
    }
  }
}
