/** Conversations with language models. */
import type { Browser, BrowserContextOptions } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { LlmTurnKind } from "../../src/gen/driftlock/v1/llm_pb.js";
import { openStore } from "../../src/store/index.ts";
import { llmCall, silent, versions } from "../store/fixtures.ts";
import { expectAccessible, looks, showPage, skipChromium, startBrowser } from "./browser.ts";
import { type Dashboard, startDashboard } from "./dashboard.ts";

const anomaly = "5f1c0de2a94b4c7d8e6f3a2b1c0d9e8f";
const second = 1_000_000_000n;

/** Stores what the engine reports of a conversation whose agent calls the same tool again and again. */
async function fill(data_dir: string): Promise<void> {
  const store = await openStore(configSchema.parse({ data_dir }), { log: silent, versions });
  const start = BigInt(Date.now() - 60_000) * 1_000_000n;
  const turn = (kind: LlmTurnKind, role: string, text: string) => ({
    kind,
    role,
    text,
    size: BigInt(text.length),
  });
  const call = { tenant: "default", conversationId: "conv_loop", responseModel: "gpt-5-mini-2025-08-07" };
  store.llm.offer(
    llmCall({
      ...call,
      id: "a0",
      startTimeUnixNano: start,
      ...{
        inputTokens: 400n,
        outputTokens: 20n,
        cost: 0.012,
        secondsToFirstChunk: 0.4,
        finishReasons: ["tool_call"],
      },
      turns: [
        { ...turn(LlmTurnKind.PROMPT, "user", "Where is my order? I am [email]."), privacyKinds: ["email"] },
        { ...turn(LlmTurnKind.TOOL_CALL, "assistant", '{"order":"A1"}'), tool: "find_order" },
      ],
    }),
  );
  for (let i = 1n; i <= 12n; i++) {
    const tool = { ...turn(LlmTurnKind.TOOL_CALL, "assistant", '{"parcel":"7"}'), tool: "track_parcel" };
    store.llm.offer(
      llmCall({
        ...call,
        id: `a${i}`,
        startTimeUnixNano: start + i * second,
        turns: [i === 12n ? { ...tool, anomalyIds: [anomaly] } : tool],
      }),
    );
  }
  store.llm.offer(
    llmCall({ ...call, id: "b", conversationId: "conv_quiet", agent: "travel", startTimeUnixNano: start }),
  );
  await store.llm.flush();
  await store.close();
}

describe.skipIf(skipChromium)("conversations", { timeout: 60_000 }, () => {
  let browser: Browser;
  let dashboard: Dashboard;
  beforeAll(async () => {
    [browser, dashboard] = await Promise.all([startBrowser(), startDashboard()]);
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await dashboard?.close();
  });

  const show = (path: string, options?: BrowserContextOptions) =>
    showPage(browser, dashboard.url(path), options);

  it("say how to send a call while there is none", async () => {
    const page = await show("/llm");
    await page.getByRole("heading", { name: "No call of a language model has arrived yet" }).waitFor();
    await page.getByText("/v1/llm").waitFor();
    await expectAccessible(page);
    await fill(dashboard.dataDir);
  });

  it.each(looks)("have no findings of axe %s", async (_name, options) => {
    const page = await show("/llm", options);
    await page.locator(".list .rows .row").first().waitFor();
    await expectAccessible(page);
    await page.getByRole("link", { name: "conv_loop" }).click();
    await page.getByRole("heading", { name: "Tools" }).waitFor();
    await page.getByText("As a table").click();
    await expectAccessible(page);
  });

  it("lead from the list to their calls, by the keyboard alone", async () => {
    const page = await show("/llm");
    await page.locator(".list .rows .row").first().waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "conv_loop" }).waitFor();
    expect(await page.locator("li.call").count()).toBe(13);
    await page.getByText("12 times in a row").waitFor();
    await page.getByText("Where is my order? I am [email].").waitFor();
    const flagged = page.locator("li.turn.flagged");
    expect(await flagged.count()).toBe(1);
    expect(await flagged.getByRole("link", { name: "Anomaly" }).getAttribute("href")).toBe(
      `/anomalies/${anomaly}`,
    );
    await page.keyboard.press("Escape");
    await page.locator(".list .rows .row").first().waitFor();
  });

  it("are filtered by agent, and by what was flagged", async () => {
    const page = await show("/llm");
    await page.getByText("2 conversations").waitFor();
    await page.getByLabel("Flagged", { exact: true }).selectOption("Flagged");
    await page.getByText("1 conversation").waitFor();
    await page.getByRole("link", { name: "conv_loop" }).waitFor();
    await page.getByLabel("Agent").fill("travel");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "No conversation matches all filters" }).waitFor();
    await page.getByRole("link", { name: "Show all conversations" }).click();
    await page.getByText("2 conversations").waitFor();
  });
});
