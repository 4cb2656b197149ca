import { expect, it } from "vitest";
import { LlmTurnKind } from "../../src/gen/driftlock/v1/llm_pb.js";
import { fresh, onEachDatabase } from "./databases.ts";
import { llmCall, midnight } from "./fixtures.ts";

const second = 1_000_000_000n;

onEachDatabase((databases) => {
  it("sums calls up by conversation, the latest first, in pages", async () => {
    const { store } = await fresh(databases);
    const offer = (init: Parameters<typeof llmCall>[0]) => store.llm.offer(llmCall(init));
    offer({ id: "a1", conversationId: "one", inputTokens: 10n, outputTokens: 1n, cost: 0.5 });
    offer({ id: "a2", conversationId: "one", startTimeUnixNano: midnight + 9n * second, inputTokens: 30n });
    await store.llm.flush();
    offer({ id: "a3", conversationId: "one", agent: "other", errorType: "429", anomalyIds: ["x"] });
    const turn = { kind: LlmTurnKind.TOOL_CALL, tool: "find", anomalyIds: ["y"] };
    offer({ id: "b1", conversationId: "two", startTimeUnixNano: midnight + second, turns: [turn, turn] });
    offer({ id: "c1", conversationId: "three", tenant: "globex", serviceName: "other" });
    expect(() => offer({ id: "d1", tenant: "" })).toThrow("tenant");

    const { items } = await store.llm.list("acme");
    expect(items).toMatchObject([
      {
        name: "one",
        start: midnight,
        end: midnight + 10n * second,
        ...{ calls: 3, toolCalls: 0, failed: 1, flagged: 1, inputTokens: 40n, outputTokens: 1n, cost: 0.5 },
        ...{ services: ["helpdesk"], agents: ["other", "support"], models: ["gpt-5-mini"] },
      },
      { name: "two", calls: 1, toolCalls: 2, flagged: 1, inputTokens: 0n, cost: undefined },
    ]);
    const page = await store.llm.list("acme", {}, { limit: 1 });
    expect(page.items.map(({ name }) => name)).toEqual(["one"]);
    const rest = await store.llm.list("acme", {}, { limit: 1, after: page.next! });
    expect(rest).toMatchObject({ items: [{ name: "two" }] });
    expect(rest.next).toBeUndefined();

    const names = async (filter: Parameters<typeof store.llm.list>[1]) =>
      (await store.llm.list("acme", filter)).items.map(({ name }) => name);
    expect(await names({ from: midnight + 2n * second })).toEqual(["one"]);
    expect(await names({ until: midnight + 2n * second })).toEqual(["two"]);
    expect(await names({ agent: "other" })).toEqual(["one"]);
    expect(await names({ service: "other" })).toEqual([]);
    offer({ id: "e1", conversationId: "quiet" });
    expect(await names({ flagged: true })).toEqual(["one", "two"]);
    expect(await names({ flagged: false })).toEqual(["quiet"]);
  });

  it("returns a conversation with its calls in order, and joins the parts of a call", async () => {
    const { store } = await fresh(databases);
    const later = llmCall({ id: "b", startTimeUnixNano: midnight + second });
    const parts = ["one", "two", "three"].map((text) =>
      llmCall({ id: "a", turns: [{ text, kind: LlmTurnKind.PROMPT }] }),
    );
    store.llm.offer(later);
    for (const each of parts.slice(0, 2)) store.llm.offer(each);
    await store.llm.flush();
    store.llm.offer({ ...parts[2]!, inputTokens: 7n, anomalyIds: ["x"] });
    const summary = (await store.llm.list("acme")).items[0]!;
    const { id } = summary;
    expect(summary).toMatchObject({ calls: 2, inputTokens: 7n, flagged: 1 });
    const found = await store.llm.get("acme", id);
    expect(found!.calls.map((call) => call.id)).toEqual(["a", "b"]);
    expect(found!.calls[0]!.turns.map(({ text }) => text)).toEqual(["one", "two", "three"]);
    expect(await store.llm.get("globex", id)).toBeUndefined();
    expect(await store.llm.get("acme", "0".repeat(32))).toBeUndefined();
  });

  it("shows calls that are being written while it is asked", async () => {
    const { store } = await fresh(databases);
    store.llm.offer(llmCall());
    const writing = store.llm.flush();
    expect((await store.llm.list("acme")).items).toMatchObject([{ calls: 1 }]);
    await writing;
  });

  it("drops and counts what is too much while the database is away", async () => {
    const { store } = await fresh(databases);
    for (let i = 0; i < 5_000; i++) store.llm.offer(llmCall({ id: `c${i}` }));
    expect(store.llm.dropped).toBe(5_000 - 4_096);
    expect((await store.llm.list("acme")).items).toMatchObject([{ calls: 4_096 }]);
  });

  it("deletes what is older than the retention", async () => {
    let now = Date.parse("2026-02-01T00:00:00Z");
    let elapsed = 0;
    const { store } = await fresh(databases, {
      now: () => now,
      elapsed: () => elapsed,
      retention: { max_age: 86_400_000 },
    });
    store.llm.offer(llmCall());
    await store.llm.flush();
    for (let i = 0; i < 30; i++) {
      now += 3_600_000;
      elapsed += 3_600_000;
      await store.retention.run();
    }
    expect((await store.llm.list("acme")).items).toEqual([]);
  });
});
