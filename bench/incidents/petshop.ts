/**
 * PetShop (Hardt et al. 2024): performance issues of a real system with known causes. Its metrics are means of five minutes per
 * node of a call graph, so that it measures the ranking alone.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
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

/** Returns what a request of each node usually takes, or how often it usually fails. */
function perRequest(intervals: readonly Interval[], of: Part): Map<string, number> {
  const sums = new Map<string, { requests: number; sum: number }>();
  for (const { nodes } of intervals) {
    for (const [node, interval] of nodes) {
      const { requests, sum } = sums.get(node) ?? { requests: 0, sum: 0 };
      sums.set(node, { requests: requests + interval.requests, sum: sum + of(interval) });
    }
  }
  return new Map([...sums].map(([node, { requests, sum }]) => [node, sum / requests]));
}

/**
 * Ranks nodes by own excess: seconds or failures beyond what is usual for as many requests, less those of the nodes that they
 * call. What is usual is what was so just before: some of the nodes had become slow long before the issue. A callee that was
 * never seen before has no usual, so that its excess counts to its caller.
 */
export function rankByOwnExcess({ usual, intervals, calls, since, shows }: Issue): string[] {
  const of: Part = (interval) => (shows === "latency" ? interval.seconds : interval.failures);
  const isBefore = ({ time }: Interval) => time + seconds <= since;
  const before = new Map([...perRequest(usual, of), ...perRequest(intervals.filter(isBefore), of)]);
  const own = new Map<string, number>();
  for (const { nodes } of intervals.filter((interval) => !isBefore(interval))) {
    const excess = (node: string) => {
      const [interval, expected] = [nodes.get(node), before.get(node)];
      return interval && expected !== undefined ? of(interval) - interval.requests * expected : 0;
    };
    for (const node of nodes.keys()) {
      if (!before.has(node)) continue;
      const callees = (calls.get(node) ?? []).reduce((sum, callee) => sum + excess(callee), 0);
      own.set(node, (own.get(node) ?? 0) + excess(node) - callees);
    }
  }
  return [...own].sort(([, a], [, b]) => b - a).map(([node]) => node);
}

/** Returns the shares of the issues whose cause is at rank 1, and within the first three. */
export function rankIssues(issues: readonly Issue[]): { first: number; within3: number } {
  const ranks = issues.map((issue) => rankByOwnExcess(issue).indexOf(issue.cause) + 1);
  const share = (most: number) => ranks.filter((rank) => rank > 0 && rank <= most).length / ranks.length;
  return { first: share(1), within3: share(3) };
}
