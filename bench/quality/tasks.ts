/** All labelled inputs that are ranked: lines, sessions, and planted anomalies. */
import { readFile } from "node:fs/promises";
import { encodeOtlp, type Line, type LogSet, labelledLines, logSets, templateOf } from "./log-sets.ts";
import { data } from "./places.ts";
import { bursts, type Planted, size, stops, strangeLines } from "./plant.ts";
import { clearTasks, type Group, type Task, writeTask } from "./task.ts";

/** The number of lines to learn from: as many as textbook CBAD takes for its baseline. */
const train = 400;
/** The number of times that anomalies are planted into each set, at different places: more often into short sets. */
const rounds = { bgl: 4, hdfs: 1, shop: 1 };

async function writeLines(
  task: Omit<Task, "format">,
  lines: readonly Line[],
  labels: number[],
): Promise<Task> {
  const whole = lines.every(({ record }) => record);
  const text = lines.map(({ text }) => text);
  const input = whole ? encodeOtlp(task.set, lines) : Buffer.from(text.map((line) => `${line}\n`).join(""));
  return writeTask({ ...task, format: whole ? "otlp" : "lines" }, { input, text, labels });
}

/** Takes the first `train` normal lines, then all others in their order. */
async function lineTask(name: string, file: string): Promise<Task> {
  const rows = await labelledLines(file);
  const first = new Set(rows.filter(({ label }) => label === 0).slice(0, train));
  const order = [...first, ...rows.filter((row) => !first.has(row))];
  const task = { name, group: "lines" as const, set: name, train, window: null };
  return writeLines(
    task,
    order,
    order.map(({ label }) => label),
  );
}

async function sessionTask(
  name: string,
  set: string,
  learned: string[],
  rest: [string, number][],
): Promise<Task> {
  const lines = [...learned, ...rest.map(([line]) => line)];
  const labels = [...learned.map(() => 0), ...rest.map(([, label]) => label)];
  const task: Task = {
    name,
    group: "sequences",
    set,
    format: "sequences",
    train: learned.length,
    window: null,
  };
  return writeTask(task, {
    input: Buffer.from(lines.map((line) => `${line}\n`).join("")),
    text: lines,
    labels,
  });
}

async function openStack(): Promise<Task[]> {
  const read = async (part: string) =>
    (await readFile(`${data}/sequences/openstack_${part}`, "utf8")).split("\n").filter((line) => line !== "");
  const [learned, normal, abnormal] = await Promise.all(["train", "test_normal", "test_abnormal"].map(read));
  const rest: [string, number][] = [
    ...normal!.map((line): [string, number] => [line, 0]),
    ...abnormal!.map((line): [string, number] => [line, 1]),
  ];
  // The order is that of the files, evenly mixed: 7.5 normal sessions, then an abnormal one.
  const mixed = rest
    .map(([line, label], i): [number, string, number] => [
      label === 0 ? i / normal!.length : (i - normal!.length + 0.5) / abnormal!.length,
      line,
      label,
    ])
    .sort(([a], [b]) => a - b)
    .map(([, line, label]): [string, number] => [line, label]);
  return [
    await sessionTask("openstack", "openstack", learned!, rest),
    await sessionTask("openstack-mixed", "openstack-mixed", learned!, mixed),
  ];
}

/**
 * Blocks of HDFS as sessions of template ids, in the order of their first lines; the first 100 normal ones are learned
 * from.
 */
async function hdfsBlocks(): Promise<Task> {
  const ids = new Map<string, number>();
  const blocks = new Map<string, { label: number; events: number[] }>();
  for (const { label, key, text } of await labelledLines("hdfs_20k.tsv")) {
    const template = templateOf(text);
    if (!ids.has(template)) ids.set(template, ids.size + 1);
    if (!blocks.has(key)) blocks.set(key, { label, events: [] });
    blocks.get(key)!.events.push(ids.get(template)!);
  }
  const sessions = [...blocks].map(([key, { label, events }]): [string, number] => [
    `${key},${events.join(" ")}`,
    label,
  ]);
  const learned = sessions.filter(([, label]) => label === 0).slice(0, 100);
  const rest = sessions.filter((session) => !learned.includes(session));
  return sessionTask(
    "hdfs-blocks",
    "hdfs-blocks",
    learned.map(([line]) => line),
    rest,
  );
}

async function planted(group: Group, set: string, part: string, what: Planted): Promise<Task> {
  return writeLines(
    { name: `${group}-${set}-${part}`, group, set, train, window: size },
    what.lines,
    what.labels,
  );
}

async function plantedTasks({ bgl, hdfs, shop }: Record<"bgl" | "hdfs" | "shop", LogSet>): Promise<Task[]> {
  const out: Task[] = [];
  const strangers: [LogSet, [string, Line[]][]][] = [
    [
      bgl,
      [
        ["hdfs", hdfs.normal],
        ["shop", shop.normal],
        ["alerts", bgl.anomalous],
      ],
    ],
    [
      hdfs,
      [
        ["bgl", bgl.normal],
        ["shop", shop.normal],
        ["alerts", bgl.anomalous],
      ],
    ],
    [
      shop,
      [
        ["bgl", bgl.normal],
        ["hdfs", hdfs.normal],
        ["alerts", bgl.anomalous],
      ],
    ],
  ];
  for (const [{ name, normal }, sources] of strangers) {
    for (let round = 0; round < rounds[name as keyof typeof rounds]; round++) {
      for (const [source, strange] of sources) {
        const seed = `${name}/${source}/${round}`;
        out.push(
          await planted("strange", name, `${source}-${round}`, strangeLines(normal, strange, train, seed)),
        );
      }
      out.push(await planted("burst", name, String(round), bursts(normal, train, `${name}/${round}`)));
      const stop = stops(normal, train, `${name}/${round}`);
      if (stop) out.push(await planted("stop", name, String(round), stop));
    }
  }
  return out;
}

export async function makeTasks(): Promise<Task[]> {
  await clearTasks();
  return [
    await lineTask("bgl", "bgl_2k.tsv"),
    await lineTask("hdfs", "hdfs_20k.tsv"),
    ...(await openStack()),
    await hdfsBlocks(),
    ...(await plantedTasks(await logSets())),
  ];
}
