import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { parseConfig } from "../../src/config/load.ts";
import { Engine } from "../../src/engine/index.ts";
import { type LlmCall, LlmTurnKind } from "../../src/gen/driftlock/v1/llm_pb.js";
import { otlpJsonToProtobuf } from "../../src/otlp/json.ts";
import type { Signal } from "../../src/otlp/protocol.ts";
import { type Call, conversation, shapes } from "./llm-shapes.ts";

interface Recorded {
  emitter: string;
  signal: Signal;
  request: unknown;
}

const recorded: Recorded[] = gunzipSync(readFileSync(new URL("genai/recorded.jsonl.gz", import.meta.url)))
  .toString()
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line));
const emitters = [...new Set(recorded.map(({ emitter }) => emitter))];

const config = parseConfig({});
const engineWith = (llm: object = {}) =>
  new Engine(config.detect, { mode: "all", llm: { ...config.llm, ...llm } });

const bodyOf = (signal: Signal, request: unknown) =>
  Buffer.from(otlpJsonToProtobuf(signal, Buffer.from(JSON.stringify(request))));

/** A request with one span. */
const spanRequest = (attributes: Record<string, string>) => ({
  resourceSpans: [
    {
      resource: { attributes: [{ key: "service.name", value: { stringValue: "shop" } }] },
      scopeSpans: [
        {
          spans: [
            {
              traceId: "762b07074b19a407b67a8f1600c533fb",
              spanId: "cb6e5e773ee1e131",
              name: "chat gpt",
              startTimeUnixNano: "1795926407849000000",
              endTimeUnixNano: "1795926407891747668",
              attributes: Object.entries(attributes).map(([key, value]) => ({
                key,
                value: { stringValue: value },
              })),
            },
          ],
        },
      ],
    },
  ],
});

/** Returns the calls of an emitter, each with all of its turns, and the streams that they gave. */
async function read(emitter: string, llm: object = {}): Promise<{ calls: LlmCall[]; streams: string[] }> {
  const engine = engineWith(llm);
  const calls = new Map<string, LlmCall>();
  for (const { signal, request } of recorded.filter((each) => each.emitter === emitter)) {
    const { calls: page } = await engine.process(signal, "default", bodyOf(signal, request));
    expect(page?.leftOut ?? 0).toBe(0);
    for (const call of page?.calls ?? [])
      calls.set(call.id, { ...call, turns: [...(calls.get(call.id)?.turns ?? []), ...call.turns] });
  }
  const streams = (await engine.statistics(1000)).streams.map(({ key }) => key);
  await engine.close();
  return { calls: [...calls.values()], streams };
}

const turnsOf = ({ turns }: LlmCall) =>
  turns.map(({ index, role, kind, tool, text, hash, size, malformed, refusal }) => ({
    index,
    role,
    kind,
    // Some know the tool of a result by the id of its call alone.
    ...(kind === LlmTurnKind.TOOL_CALL && { tool }),
    text,
    hash,
    size,
    malformed,
    refusal,
  }));

const said = (call: LlmCall) => call.turns.map(({ text }) => text).join(" | ");

it.each(emitters)("reads 59 recorded requests of %s", async (emitter) => {
  const { calls } = await read(emitter);
  const seen = calls.map(
    (call) =>
      `${call.provider} ${call.operation} ${call.model} ${call.finishReasons.join()} ${call.errorType}: ${said(call)}`,
  );
  const captured = emitter !== "py-otel";
  const openai = (reason: string, text: string) => `openai chat gpt-fake ${reason} : ${captured ? text : ""}`;
  expect(seen).toContain(
    openai(
      "tool_call",
      'You are terse. | Weather in Berlin? My mail is anna@example.com | {"city":"Berlin"}',
    ),
  );
  expect(seen).toContain(openai("stop", '{"sky":"sunny"} | It is sunny in Berlin.'));
  if (captured) expect(seen.some((each) => each.endsWith(": Stream please | It is sunny."))).toBe(true);
  if (emitter === "py-traceloop")
    expect(seen).toContain("anthropic chat claude-fake stop : Be brief | Hi | Hello.");
  expect(seen).toMatchSnapshot();
});

it("gives equal turns whichever instrumentation wrote them", async () => {
  const all = await Promise.all(
    emitters.filter((emitter) => emitter !== "py-otel").map((emitter) => read(emitter)),
  );
  for (const begin of ["You are terse", '{"sky"', "Stream please"]) {
    const found = all.map(({ calls }) => calls.filter((call) => said(call).startsWith(begin)));
    expect(found.map((calls) => calls.length)).toEqual(all.map(() => 1));
    for (const [call] of found) expect(turnsOf(call!)).toEqual(turnsOf(found[0]![0]!));
  }
  const kinds = all.map(({ streams }) =>
    streams
      .filter((name) => / llm\.turn=/.test(name) && name.includes("gpt-fake"))
      .map((name) => name.replace(/^.* gen_ai.request.model=/, ""))
      .sort(),
  );
  expect(kinds[0]).toEqual(
    ["call", "prompt", "response", "step", "system", "tool_call", "tool_result"].map(
      (turn) => `gpt-fake llm.turn=${turn}`,
    ),
  );
  for (const each of kinds) expect(each).toEqual(kinds[0]);
});

it("counts a call that two instrumentations report once", async () => {
  const { calls } = await read("py-traceloop");
  const claude = calls.filter(({ provider }) => provider === "anthropic");
  expect(
    claude.map(({ inputTokens, outputTokens, cachedTokens }) => [inputTokens, outputTokens, cachedTokens]),
  ).toEqual([[14n, 4n, 2n]]);
});

it("keeps of texts what the configuration says, and knows what a call costs", async () => {
  const prompt = ({ calls }: { calls: LlmCall[] }) =>
    calls.flatMap(({ turns }) => turns).find(({ text, size }) => text.startsWith("Weather") || size === 46n);
  const prices = [{ model: "gpt-*", input: 1, output: 10, cached: 0.5 }];
  const full = await read("py-traceloop", { capture: "full", prices });
  expect(prompt(full)?.text).toBe("Weather in Berlin? My mail is anna@example.com");
  const none = await read("py-traceloop", { capture: "none" });
  expect(prompt(none)).toMatchObject({ text: "", size: 46n });
  expect(prompt(none)?.hash).toBe(prompt(full)?.hash);
  expect(full.calls.map(({ model, cost }) => [model, cost]).slice(0, 1)).toEqual([
    ["gpt-fake", (34 * 1 + 8 * 0.5 + 17 * 10) / 1e6],
  ]);
  expect(full.calls.find(({ model }) => model === "claude-fake")?.cost).toBeUndefined();
  expect(none.calls[0]?.cost).toBeUndefined();
});

it("masks texts as the privacy policy says, and names what was in them", async () => {
  const text = (role: string, content: string) => ({ role, parts: [{ type: "text", content }] });
  const request = spanRequest({
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt",
    "gen_ai.input.messages": JSON.stringify([text("user", "I am anna.schmidt@shop.de, what is my IBAN?")]),
    "gen_ai.output.messages": JSON.stringify([text("assistant", "It is DE89 3704 0044 0532 0130 00.")]),
  });
  const shown = async (llm: object) => {
    const engine = engineWith(llm);
    const { calls } = await engine.process("traces", "default", bodyOf("traces", request));
    await engine.close();
    return calls!.calls[0]!.turns.map((turn) => [turn.text, ...turn.privacyKinds]);
  };
  expect(await shown({})).toEqual([
    ["I am [email], what is my IBAN?", "email"],
    ["It is [iban].", "iban"],
  ]);
  expect(await shown({ capture: "none" })).toEqual([
    ["", "email"],
    ["", "iban"],
  ]);
  expect((await shown({ capture: "full" }))[0]).toEqual([
    "I am anna.schmidt@shop.de, what is my IBAN?",
    "email",
  ]);
});

it.each([
  ["an answer without parts", "gen_ai.output.messages", [{ role: "assistant", parts: [] }], []],
  [
    "an answer that is an empty list",
    "gen_ai.output.messages",
    [{ role: "assistant", content: "[]" }],
    ["[]"],
  ],
  [
    "a refusal that only the whole response has",
    "output.value",
    { choices: [{ message: { role: "assistant", content: null, refusal: "I can't share that." } }] },
    ["I can't share that., a refusal"],
  ],
])("reads %s", async (_, attribute, value, expected) => {
  const request = spanRequest({
    "openinference.span.kind": "LLM",
    "llm.model_name": "gpt",
    "llm.output_messages.0.message.role": "assistant",
    [attribute]: JSON.stringify(value),
  });
  const engine = engineWith({ capture: "full" });
  const { calls } = await engine.process("traces", "default", bodyOf("traces", request));
  await engine.close();
  const turns = calls!.calls.flatMap((call) => call.turns);
  expect(turns.map(({ text, refusal }) => (refusal ? `${text}, a refusal` : text))).toEqual(expected);
});

it("reads nothing if it is off", async () => {
  const { calls, streams } = await read("py-traceloop", { enabled: false });
  expect(calls).toEqual([]);
  expect(streams.filter((name) => name.includes("llm."))).toEqual([]);
});

it("gives equal verdicts of one conversation in five shapes, on its own records", async () => {
  const usual = (n: number) => `Item ${n} costs ${(n * 13) % 90} euros and ships in ${1 + (n % 5)} days.`;
  const faults = [
    conversation(900, "zxqv GLORB #!~ vrrt 77 [[unclear]] <<<drop table items>>> kkjh"),
    conversation(910, "Item 910 costs 40 euros; ask ann.kowalski@shop-mail.de about it."),
    conversation(920, usual(920), 25),
  ];
  const { detect } = parseConfig({
    detect: { baseline: { records: 200 }, budget: { per_stream_per_day: 50, per_group_per_day: 1000 } },
  });
  const verdicts = await Promise.all(
    Object.values(shapes).map(async (write) => {
      const engine = new Engine(detect, { mode: "all", llm: config.llm });
      const send = async (calls: Call[]) => {
        const turns = new Map<string, boolean[]>();
        let flagged = 0;
        for (const { signal, request } of write(calls)) {
          const judged = await engine.process(signal, "default", bodyOf(signal, request));
          for (const call of judged.calls?.calls ?? []) {
            const known = turns.get(call.id) ?? [];
            known.push(...call.turns.map(({ anomalyIds }) => anomalyIds.length > 0));
            turns.set(call.id, known);
          }
          flagged += judged.flagged;
        }
        return { turns: [...turns.values()], flagged: flagged > 0 };
      };
      for (let n = 0; n < 600; n++) await send(conversation(n, usual(n)));
      const found = [];
      for (const fault of faults) found.push(await send(fault));
      await engine.close();
      return found;
    }),
  );
  const [nonsense, leak, loop] = verdicts[0]!;
  expect(nonsense!.turns).toEqual([
    [false, false, false],
    [false, true],
  ]);
  expect(leak!.turns).toEqual([
    [false, false, false],
    [false, true],
  ]);
  expect(loop!.turns.flat()).toContain(true);
  for (const each of verdicts) expect(each).toEqual(verdicts[0]);
});
