/** Calls as real instrumentations emit them, and as plain JSON, through a whole sidecar to the API. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import type { ConversationDetailJson, ConversationJson } from "../../src/json/llm.ts";
import { type Sidecar, startSidecar } from "../../src/sidecar/index.ts";
import { startDownstream } from "../forward/downstream.ts";
import { silent } from "../store/fixtures.ts";

interface Recorded {
  emitter: string;
  signal: "logs" | "traces";
  request: unknown;
}

const file = new URL("../engine/genai/recorded.jsonl.gz", import.meta.url);
const recorded = gunzipSync(readFileSync(file))
  .toString()
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Recorded);
const emitters = [...new Set(recorded.map(({ emitter }) => emitter))];

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of undo.splice(0).reverse()) await each();
});

async function startSidecarWith(llm: object = {}): Promise<Sidecar> {
  const target = await startDownstream("grpc");
  undo.push(() => target.close());
  const data_dir = mkdtempSync(join(tmpdir(), "driftlock-llm-"));
  undo.push(() => rmSync(data_dir, { recursive: true, force: true }));
  const anyPort = { endpoint: "127.0.0.1:0" };
  const config = configSchema.parse({
    receive: { grpc: anyPort, http: anyPort },
    forward: { endpoint: target.endpoint },
    ...{ api: anyPort, data_dir, llm },
  });
  const sidecar = await startSidecar(config, { log: silent });
  undo.push(() => sidecar.close());
  return sidecar;
}

async function post(url: string, body: unknown): Promise<void> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  expect(response.status, await response.text()).toBe(200);
}

async function replay({ addresses }: Sidecar, emitter: string): Promise<void> {
  for (const { signal, request } of recorded.filter((each) => each.emitter === emitter))
    await post(`http://${addresses.http}/v1/${signal}`, request);
}

async function conversations({ addresses }: Sidecar): Promise<ConversationDetailJson[]> {
  const get = async <T>(path: string) => (await (await fetch(`http://${addresses.api}${path}`)).json()) as T;
  const { items } = await get<{ items: ConversationJson[] }>("/v1/llm/conversations");
  return Promise.all(items.map(({ id }) => get<ConversationDetailJson>(`/v1/llm/conversations/${id}`)));
}

/** What was said in all conversations, in an order that does not depend on the ids of their traces. */
const said = (all: readonly ConversationDetailJson[]) =>
  all
    .flatMap(({ items }) => items.flatMap(({ turns }) => turns))
    .map(({ kind, text }) => `${kind}: ${text}`)
    .sort();

describe("calls of language models", () => {
  it.each(emitters)("of %s can be read at the API", async (emitter) => {
    const sidecar = await startSidecarWith();
    await replay(sidecar, emitter);
    const all = await conversations(sidecar);
    expect(all.length).toBeGreaterThan(0);
    const calls = all.flatMap(({ items }) => items);
    expect(calls.some(({ input_tokens, output_tokens }) => input_tokens === 42 && output_tokens === 17)).toBe(
      true,
    );
    // Some do not capture what was said unless they are told to.
    if (emitter === "py-otel") return;
    expect(said(all)).toContain("response: It is sunny in Berlin.");
    expect(said(all)).toContain('tool_call: {"city":"Berlin"}');
  });

  it("as plain JSON give the turns that an instrumentation gives", async () => {
    const instrumented = await startSidecarWith();
    await replay(instrumented, "py-otel-latest");
    const plain = await startSidecarWith();
    const llm = `http://${plain.addresses.api}/v1/llm`;
    const system = { role: "system", content: "You are terse." };
    const asked = "Weather in Berlin? My mail is anna@example.com";
    const tool = { id: "call_1", name: "get_weather", arguments: { city: "Berlin" } };
    const common = { service: "agent", conversation: "c", provider: "openai", model: "gpt-fake" };
    await post(llm, { ...common, prompts: [system, asked], tool_calls: [tool] });
    await post(llm, {
      ...common,
      prompts: [
        system,
        asked,
        { role: "assistant", tool_calls: [tool] },
        { role: "tool", tool_call_id: "call_1", content: '{"sky":"sunny"}' },
      ],
      responses: ["It is sunny in Berlin."],
    });
    const [conversation, ...rest] = await conversations(plain);
    expect(rest).toEqual([]);
    expect(conversation).toMatchObject({ name: "c", calls: 2, tool_calls: 1 });
    // What was said is new once, although the second call repeats the history.
    expect(said([conversation!])).toHaveLength(5);
    for (const turn of said([conversation!])) expect(said(await conversations(instrumented))).toContain(turn);
  });

  it.each([
    ["none", /^null$/],
    ["masked", /^My mail is (?!anna@)/],
    ["full", /anna@meridian-mail\.net/],
  ])("keep of texts what llm.capture: %s allows", async (capture, text) => {
    const sidecar = await startSidecarWith({ capture });
    await post(`http://${sidecar.addresses.api}/v1/llm`, {
      prompts: ["My mail is anna@meridian-mail.net"],
    });
    const [conversation] = await conversations(sidecar);
    const [turn] = conversation!.items[0]!.turns;
    expect(String(turn!.text)).toMatch(text);
    expect(turn).toMatchObject({ role: "user", size: 33, privacy_kinds: ["email"] });
  });
});
