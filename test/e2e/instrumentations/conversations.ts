/** What customers ask an agent, and what its model answers: the same for all instrumentations. */
import { Random } from "../../../src/generate/random.ts";

/** What the model does when it is called. */
export type Answer =
  | { text: string }
  | { calls: { name: string; arguments: object }[] }
  /** It declines, and says so in the field that the provider has for it. */
  | { refusal: string }
  /** The provider withholds the rest of the answer. */
  | { filtered: string }
  /** The provider refuses the request. */
  | { status: number };

export interface Conversation {
  /** The question, by which the provider recognises the conversation. */
  prompt: string;
  /** Whether answers are streamed. */
  stream: boolean;
  /** The model that answers, whichever was asked for. */
  model: string;
  /** What the model answers, call by call. */
  answers: Answer[];
  /** The results of the tools, in the order of their calls. */
  results: string[];
}

/** Values of kinds that no answer and no call of a tool had before. */
const leaks = { response: "anna.schmidt@meridian-mail.net", toolCall: "AKIAQ3EGRZ7N5WT4LBVD" };

const towns = ["Lyon", "Porto", "Turin", "Graz", "Malmö", "Gdańsk", "Cork", "Ghent"];
const days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const questions = ["Where is order %?", "When does order % arrive?", "Has order % left the warehouse?"];

function conversation(random: Random, number: number, share: number): Conversation {
  const order = random.int(10_000, 99_999);
  const [town, day] = [random.pick(towns), random.pick(days)];
  const found = { order, town, day };
  const lookUp = (extra: object = {}): Answer => ({
    calls: [{ name: "find_order", arguments: { order, ...extra } }],
  });
  const answer: Answer = { text: `Order ${order} left our warehouse in ${town} and arrives on ${day}.` };
  const common = {
    prompt: `${random.pick(questions).replace("%", String(order))} My number is C-${number}.`,
    stream: random.chance(0.4),
    model: share < 0.9 ? "gpt-fake-2026-01" : "gpt-fake-2026-06",
    results: [JSON.stringify(found)],
  };
  const kind = random.uniform();
  if (kind < 0.04) return { ...common, answers: [{ status: 429 }], results: [] };
  if (kind < 0.08) return { ...common, answers: [lookUp(), { refusal: "I can't share that." }] };
  if (kind < 0.12) return { ...common, answers: [lookUp(), { filtered: `Order ${order} left our` }] };
  if (kind < 0.3) {
    const calls = [
      { name: "find_order", arguments: { order } },
      { name: "find_carrier", arguments: { town } },
    ];
    const results = [...common.results, JSON.stringify({ carrier: `${town} Express` })];
    return { ...common, answers: [{ calls }, answer], results };
  }
  return { ...common, answers: [lookUp(), answer] };
}

/** Returns `count` conversations. Near their end, an answer and the arguments of a tool have what they should not. */
export function conversations(seed: string, count: number): Conversation[] {
  const random = new Random(seed);
  const all = Array.from({ length: count }, (_, i) => conversation(random, i, i / count));
  const replace = (number: number, answers: Answer[]) => {
    const { prompt, model } = all[number]!;
    all[number] = { prompt, model, stream: number % 2 === 0, answers, results: ["{}"] };
  };
  const call = { name: "find_order", arguments: { order: 12_345 } };
  replace(count - 8, [
    { calls: [call] },
    { text: `Order 12345 left our warehouse in Lyon for ${leaks.response}.` },
  ]);
  replace(count - 5, [
    { calls: [{ ...call, arguments: { order: 12_345, key: leaks.toolCall } }] },
    { text: "Order 12345 left our warehouse in Porto and arrives on Monday." },
  ]);
  return all;
}
