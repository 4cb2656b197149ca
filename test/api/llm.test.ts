import { beforeAll, describe, expect, it } from "vitest";
import { LlmTurnKind } from "../../src/gen/driftlock/v1/llm_pb.js";
import type { ConversationDetailJson, ConversationJson } from "../../src/json/llm.ts";
import { id, llmCall, midnight } from "../store/fixtures.ts";
import { forFile, problemOf, type Running, start } from "./support.ts";

const second = 1_000_000_000n;
let running: Running;

beforeAll(async () => {
  running = await forFile(() => start());
  const { llm } = running.store;
  const tool = { kind: LlmTurnKind.TOOL_CALL, role: "assistant", tool: "find_order", toolCallId: "t1" };
  llm.offer(
    llmCall({
      tenant: "default",
      id: "a1",
      ...{ traceId: Buffer.alloc(16, 1), spanId: Buffer.alloc(8, 2), provider: "openai" },
      ...{ responseModel: "gpt-5-mini-2025-08-07", promptVersion: "14", finishReasons: ["tool_call"] },
      ...{ inputTokens: 400n, outputTokens: 20n, cachedTokens: 100n, cost: 0.01, secondsToFirstChunk: 0.4 },
      turns: [
        {
          kind: LlmTurnKind.PROMPT,
          role: "user",
          text: "My mail is ****",
          size: 26n,
          privacyKinds: ["email"],
        },
        { ...tool, text: "", size: 17n, anomalyIds: [id(1)] },
      ],
      repeatedTurns: 3,
    }),
  );
  llm.offer(llmCall({ tenant: "default", id: "a2", startTimeUnixNano: midnight + second, errorType: "429" }));
  const other = { conversationId: "quiet", agent: "travel", startTimeUnixNano: midnight - second };
  llm.offer(llmCall({ tenant: "default", id: "b1", ...other }));
});

async function list(query = ""): Promise<ConversationJson[]> {
  const response = await running.get(`/v1/llm/conversations${query}`);
  expect(response.status).toBe(200);
  return ((await response.json()) as { items: ConversationJson[] }).items;
}

describe("conversations", () => {
  it("are listed, the latest first, with the sums of their calls", async () => {
    const [first, second, ...rest] = await list();
    expect(rest).toEqual([]);
    expect(first).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{32}$/),
      name: "conv_1",
      start: "2026-01-31T00:00:00.000000000Z",
      end: "2026-01-31T00:00:02.000000000Z",
      services: ["helpdesk"],
      agents: ["support"],
      models: ["gpt-5-mini", "gpt-5-mini-2025-08-07"],
      ...{ calls: 2, tool_calls: 1, failed: 1, flagged: 1, input_tokens: 400, output_tokens: 20, cost: 0.01 },
    });
    expect(second).toMatchObject({ name: "quiet", agents: ["travel"], cost: null });
    const names = async (query: string) => (await list(query)).map(({ name }) => name);
    expect(await names("?agent=travel")).toEqual(["quiet"]);
    expect(await names("?service=other")).toEqual([]);
    expect(await names("?flagged=true")).toEqual(["conv_1"]);
    expect(await names("?flagged=false")).toEqual(["quiet"]);
    expect(await names("?from=2026-01-31T00:00:00Z")).toEqual(["conv_1"]);
    expect(await names("?until=2026-01-31T00:00:00Z")).toEqual(["quiet"]);
    expect(await problemOf(await running.get("/v1/llm/conversations?flagged=yes"))).toMatchObject({
      status: 400,
      errors: [{ field: "flagged" }],
    });
  });

  it("have their calls in order, with what is new in each of them", async () => {
    const [{ id: key } = { id: "" }] = await list("?flagged=true");
    const response = await running.get(`/v1/llm/conversations/${key}`);
    const detail = (await response.json()) as ConversationDetailJson;
    expect(detail).toMatchObject({ name: "conv_1", calls: 2, left_out: 0 });
    expect(detail.items[0]).toEqual({
      id: "a1",
      trace_id: "01".repeat(16),
      span_id: "02".repeat(8),
      operation: "chat",
      service: "helpdesk",
      agent: "support",
      provider: "openai",
      model: "gpt-5-mini",
      response_model: "gpt-5-mini-2025-08-07",
      prompt_version: "14",
      start: "2026-01-31T00:00:00.000000000Z",
      end: "2026-01-31T00:00:01.000000000Z",
      ...{
        seconds_to_first_chunk: 0.4,
        input_tokens: 400,
        output_tokens: 20,
        cached_tokens: 100,
        cost: 0.01,
      },
      finish_reasons: ["tool_call"],
      error: null,
      turns: [
        {
          ...{ role: "user", kind: "prompt", text: "My mail is ****", size: 26, tool: null },
          ...{
            tool_call_id: null,
            malformed: false,
            refusal: false,
            privacy_kinds: ["email"],
            anomaly_ids: [],
          },
        },
        {
          // Nothing is kept of its text.
          ...{ role: "assistant", kind: "tool_call", text: null, size: 17, tool: "find_order" },
          ...{
            tool_call_id: "t1",
            malformed: false,
            refusal: false,
            privacy_kinds: [],
            anomaly_ids: [id(1)],
          },
        },
      ],
      repeated_turns: 3,
      turns_left_out: 0,
      anomaly_ids: [],
    });
    expect(detail.items[1]).toMatchObject({ id: "a2", error: "429", input_tokens: null, cost: null });
    expect(await problemOf(await running.get(`/v1/llm/conversations/${"0".repeat(32)}`))).toMatchObject({
      status: 404,
      detail: "there is no conversation with this id",
    });
  });
});
