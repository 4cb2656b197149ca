/**
 * PetShop (Hardt et al. 2024): performance issues of a real system with known causes. Its metrics are means of five minutes per
 * node of a call graph, so that it measures the ranking alone.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { GraphTickSchema } from "../../src/gen/driftlock/v1/incidents_pb.js";
import { addTick, createExcess } from "../../src/incidents/excess.ts";
import { rank } from "../../src/incidents/ranking.ts";
import { data } from "../quality/places.ts";

/** What one node did in one interval. */
export interface NodeInterval {
  requests: number;
  /** Seconds that all of them took together. */
  seconds: number;
  failures: number;
}

/** The intervals of a file, in order of time. */
export interface Interval {
  /** Its beginning, in seconds since 1970. */
  time: number;
  nodes: Map<string, NodeInterval>;
}

export interface Issue {
  name: string;
  usual: readonly Interval[];
  intervals: readonly Interval[];
  /** The nodes that each node calls. */
  calls: ReadonlyMap<string, readonly string[]>;
  /** When the issue is known to show, in seconds since 1970. */
  since: number;
  /** What shows it. */
  shows: "latency" | "availability";
  cause: string;
}

export const petshop = `${data}/petshop`;

function rows(file: string): string[][] {
  return readFileSync(file, "utf8")
    .trimEnd()
    .split(/\r?\n/)
    .map((line) => line.split(","));
}

function readIntervals(file: string): Interval[] {
  const [names, metrics, statistics, , ...lines] = rows(file) as [string[], string[], string[], string[]];
  const column = new Map(names.map((name, i) => [`${name} ${metrics[i]} ${statistics[i]}`, i]));
  const nodes = [...new Set(names.slice(1))];
  return lines.map((cells) => {
    const value = (node: string, what: string) =>
      Number(cells[column.get(`${node} ${what}`) ?? -1] || Number.NaN);
    const entries = nodes.flatMap((node): [string, NodeInterval][] => {
      const requests = value(node, "requests Sum");
      const latency = value(node, "latency Average");
      const availability = value(node, "availability Average");
      if (!(requests > 0)) return [];
      return [
        [
          node,
          {
            requests,
            seconds: requests * (latency || 0),
            failures: requests * (1 - (Number.isNaN(availability) ? 100 : availability) / 100),
          },
        ],
      ];
    });
    return { time: Number(cells[0]), nodes: new Map(entries) };
  });
}

function readCalls(file: string): Map<string, string[]> {
  const [header, ...lines] = rows(file);
  const columns = header!.slice(1);
  return new Map(
    lines.map(([node, ...cells]) => [node!, columns.filter((_, i) => Number(cells[i]) > 0)] as const),
  );
}

/** Reads all issues; none if the data is not there. */
export function readIssues(folder = petshop): Issue[] {
  if (!existsSync(folder)) return [];
  return ["low_traffic", "high_traffic"].flatMap((scenario) => {
    const usual = readIntervals(`${folder}/${scenario}/noissue/metrics.csv`);
    const calls = readCalls(`${folder}/${scenario}/graph.csv`);
    const issues = readdirSync(`${folder}/${scenario}/train`).sort();
    return issues.map((name): Issue => {
      const path = `${folder}/${scenario}/train/${name}`;
      const { target, root_cause } = JSON.parse(readFileSync(`${path}/target.json`, "utf8"));
      return {
        name: `${scenario}/${name}`,
        usual,
        calls,
        intervals: readIntervals(`${path}/metrics.csv`),
        since: target.timestamp,
        shows: target.metric,
        cause: root_cause.node,
      };
    });
  });
}

/** Intervals have five minutes. */
const seconds = 300;

type Part = (interval: NodeInterval) => number;

/** What is usual for a node: what a request takes, or how often it fails, and the variance that the service graph would tell. */
interface Usual {
  perRequest: number;
  variance: number;
}

/** The graph assumes so many ticks in which a request varies by its mean. */
const assumed = 3;

function usualOf(intervals: readonly Interval[], of: Part): Map<string, Usual> {
  const sums = new Map<string, { ticks: number; requests: number; sum: number; squares: number }>();
  for (const { nodes } of intervals) {
    for (const [node, interval] of nodes) {
      const own = sums.get(node) ?? { ticks: 0, requests: 0, sum: 0, squares: 0 };
      sums.set(node, own);
      own.ticks++;
      own.requests += interval.requests;
      own.sum += of(interval);
      own.squares += of(interval) ** 2 / interval.requests;
    }
  }
  const usual = ({
    ticks,
    requests,
    sum,
    squares,
  }: {
    ticks: number;
    requests: number;
    sum: number;
    squares: number;
  }) => {
    const mean = sum / requests;
    const between = Math.max(0, squares - requests * mean ** 2) + assumed * mean ** 2;
    return { perRequest: mean, variance: between / (ticks - 1 + assumed) };
  };
  return new Map([...sums].map(([node, own]) => [node, usual(own)]));
}

/**
 * Ranks nodes as an incident ranks them, by what the graph would tell of each interval: seconds or failures of their own, which are
 * less those of the nodes that they call. What is usual is what was so just before: some of the nodes had become slow long before
 * the issue. A callee that was never seen before has no usual, so that its excess counts to its caller.
 */
export function rankNodes({ usual, intervals, calls, since, shows }: Issue): string[] {
  const of: Part = (interval) => (shows === "latency" ? interval.seconds : interval.failures);
  const isBefore = ({ time }: Interval) => time + seconds <= since;
  const before = new Map([...usualOf(usual, of), ...usualOf(intervals.filter(isBefore), of)]);
  const excess = createExcess();
  for (const { time, nodes } of intervals.filter((interval) => !isBefore(interval))) {
    const usually = (node: string) => (nodes.get(node)?.requests ?? 0) * (before.get(node)?.perRequest ?? 0);
    const beyond = (node: string) =>
      before.has(node) && nodes.has(node) ? of(nodes.get(node)!) - usually(node) : 0;
    const operations = [...nodes].map(([service, { requests: count }]) => {
      const callees = (calls.get(service) ?? []).reduce((sum, callee) => sum + beyond(callee), 0);
      const own = usually(service) + beyond(service) - callees;
      const figures = (part: number) => ({
        count,
        ...(shows === "latency" ? { seconds: part } : { failures: part }),
      });
      const usual = before.get(service);
      const variance = shows === "latency" ? usual?.variance : 0;
      return { service, now: figures(own), ...(usual && { usual: figures(usually(service)), variance }) };
    });
    const tick = create(GraphTickSchema, { tickUnixNano: BigInt(time) * 1_000_000_000n, operations });
    addTick(excess, tick, new Set(nodes.keys()));
  }
  return rank(excess, new Map()).map(({ service }) => service);
}

/** Returns the shares of the issues whose cause is at rank 1, and within the first three. */
export function rankIssues(issues: readonly Issue[]): { first: number; within3: number } {
  const ranks = issues.map((issue) => rankNodes(issue).indexOf(issue.cause) + 1);
  const share = (most: number) => ranks.filter((rank) => rank > 0 && rank <= most).length / ranks.length;
  return { first: share(1), within3: share(3) };
}
