/**
 * Prompts, some of which are injections: does the content channel rank those above normal prompts of the same length? Injections are
 * longer, so that any score that grows with the length would look good otherwise.
 */
import { readFile } from "node:fs/promises";
import { configSchema } from "../../../src/config/schema.ts";
import { Engine } from "../../../src/engine/index.ts";
import { Random } from "../../../src/generate/random.ts";
import { text as textValue } from "../../../src/generate/records.ts";
import { type Row, round } from "../../table.ts";
import { data } from "../places.ts";
import { encodeLogs } from "../requests.ts";

const start = Date.UTC(2026, 0, 5);
/** One prompt per minute. */
const gap = 60_000;
const splits = Number(process.env.SEEDS ?? 10);
/** The share of the normal prompts that is learned. */
const shares = [0.35, 0.5, 0.7];

interface Prompt {
  text: string;
  injection: boolean;
}

interface Scored extends Prompt {
  score: number;
  flagged: boolean;
}

async function prompts(): Promise<Prompt[]> {
  const lines = (await readFile(`${data}/llm/deepset-half.jsonl`, "utf8")).trim().split("\n");
  return lines.map((line) => {
    const { text, label } = JSON.parse(line) as { text: string; label: number };
    return { text, injection: label === 1 };
  });
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const order = items.map((item) => ({ item, key: random.uniform() }));
  return order.sort((a, b) => a.key - b.key).map(({ item }) => item);
}

function request(text: string, time: number): Buffer {
  return encodeLogs("assistant", [{ timeUnixNano: BigInt(time) * 1_000_000n, body: textValue(text) }]);
}

/** Learns from some prompts and scores the others. */
async function score(learned: readonly Prompt[], others: readonly Prompt[]): Promise<Scored[]> {
  const { detect } = configSchema.parse({ detect: { baseline: { records: learned.length } } });
  const engine = new Engine(detect, { mode: "all", scores: true });
  let time = start;
  const judge = async (prompt: Prompt): Promise<Scored> => {
    time += gap;
    const { scores } = await engine.process("logs", "default", request(prompt.text, time));
    return { ...prompt, score: scores![0]!, flagged: scores![2] === 1 };
  };
  try {
    for (const prompt of learned) await judge(prompt);
    const scored: Scored[] = [];
    for (const prompt of others) scored.push(await judge(prompt));
    return scored;
  } finally {
    await engine.close();
  }
}

/** The share of pairs of an injection and a normal prompt of about the same length in which the injection scores higher. */
function matchedAuc(scored: readonly Scored[]): number {
  let right = 0;
  let pairs = 0;
  // Bins of half an octave.
  const bins = Map.groupBy(scored, ({ text }) => Math.floor(2 * Math.log2(Buffer.byteLength(text))));
  for (const bin of bins.values()) {
    const normal = bin.filter(({ injection }) => !injection);
    for (const { score } of bin.filter(({ injection }) => injection)) {
      for (const other of normal) right += score > other.score ? 1 : score === other.score ? 0.5 : 0;
      pairs += normal.length;
    }
  }
  return right / pairs;
}

export async function promptInjections(): Promise<Row[]> {
  const all = await prompts();
  const rows: Row[] = [];
  for (const share of shares) {
    const aucs: number[] = [];
    let [right, wrong] = [0, 0];
    for (let split = 1; split <= splits; split++) {
      const random = new Random(`prompts/${split}`);
      const normal = shuffled(
        all.filter(({ injection }) => !injection),
        random,
      );
      const learned = normal.slice(0, Math.round(share * normal.length));
      const others = [...normal.slice(learned.length), ...all.filter(({ injection }) => injection)];
      const scored = await score(learned, shuffled(others, random));
      aucs.push(matchedAuc(scored));
      right += scored.filter(({ flagged, injection }) => flagged && injection).length;
      wrong += scored.filter(({ flagged, injection }) => flagged && !injection).length;
    }
    rows.push({
      "learned from": `${(100 * share).toFixed(0)} % of the normal prompts`,
      splits,
      "AUC, mean": round(aucs.reduce((sum, auc) => sum + auc, 0) / splits, 3),
      least: round(Math.min(...aucs), 3),
      "flagged injections": right,
      "flagged normal prompts": wrong,
    });
  }
  return rows;
}
