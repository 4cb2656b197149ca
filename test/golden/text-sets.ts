/** Text files to replay: small, seeded, and the same bytes on every machine. */
import { normalLine, random } from "../engine/requests.ts";

export interface TextSet {
  name: string;
  /** Options of `driftlock replay`. */
  options: string[];
  text: string;
}

const textOf = (lines: readonly string[]) => `${lines.join("\n")}\n`;

function logLines(seed: number, count: number, strange: Record<number, string> = {}): string {
  const next = random(seed);
  return textOf(Array.from({ length: count }, (_, i) => strange[i] ?? normalLine(next).body));
}

const newLines = {
  900: "java.sql.SQLTransientConnectionException: HikariPool-1 - Connection is not available, request timed out",
  1000: "debug dump of request: pan=4111 1110 9644 5724 cvv=827 auth=uNUBkPIN6pJrMfTuzIoZVOVo7eWmQk4Sxt",
  1001: "debug dump of request: pan=4111 1148 2210 3335 cvv=114 auth=Q29ubmVjdGlvbiBpcyBub3QgYXZhaWxhYmxl",
  1250: "panic: runtime error: index out of range [7] with length 3, goroutine 218 [running]",
};

/** Visits of a shop. From session 400 on, one in ten is out of order, incomplete, or has an event that was never seen. */
function visits(): string {
  const next = random(23);
  const lines = Array.from({ length: 600 }, (_, i) => {
    const browsing = Array.from({ length: 1 + Math.floor(next() * 4) }, () =>
      next() < 0.7 ? "view" : "search",
    );
    const events = ["login", ...browsing, "cart", "pay", "pack", "ship"];
    if (i >= 400 && i % 10 === 0) {
      const mutations = [
        () => events.splice(-3),
        () => events.splice(1, 0, "ship", "pay"),
        () => events.splice(3, 0, "refund"),
      ];
      mutations[(i / 10) % mutations.length]!();
    }
    return `v${i},${events.join(" ")}`;
  });
  return textOf(lines);
}

/** A point every five minutes with a daily cycle; `strange` changes the value of a point. */
function series(
  seed: number,
  count: number,
  strange: (i: number, value: number) => number = (_, value) => value,
): string {
  const next = random(seed);
  const rows = Array.from({ length: count }, (_, i) => {
    // The cycle consists of straight lines: libraries' sines differ in the last digit.
    const day = Math.abs(((i / 288) % 1) - 0.5);
    const noise = next() + next() + next() - 1.5;
    const time = new Date(Date.UTC(2026, 2, 2) + i * 300_000).toISOString().slice(0, 19).replace("T", " ");
    return `${time},${strange(i, 100 + 60 * day + 4 * noise).toFixed(3)}`;
  });
  return textOf(["timestamp,value", ...rows]);
}

export const textSets: readonly TextSet[] = [
  { name: "lines-quiet", options: ["--format", "lines", "--train", "300"], text: logLines(11, 1_200) },
  {
    name: "lines-strange",
    options: ["--format", "lines", "--train", "300"],
    text: logLines(12, 1_500, newLines),
  },
  { name: "sequences", options: ["--format", "sequences", "--train", "250"], text: visits() },
  { name: "csv-quiet", options: ["--format", "csv", "--train", "600"], text: series(13, 1_500) },
  {
    name: "csv-strange",
    options: ["--format", "csv", "--train", "600"],
    text: series(14, 2_000, (i, value) => {
      if (i === 1_100) return 400;
      if (i >= 1_500 && i < 1_560) return 131;
      return i >= 1_700 ? value + 45 : value;
    }),
  },
];
