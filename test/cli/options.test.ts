import { describe, expect, it } from "vitest";
import { UsageError } from "../../src/cli/shared/io.ts";
import { readOptions } from "../../src/cli/shared/options.ts";
import { type Accepted, parseOptions } from "../../src/cli/shared/parse-options.ts";
import { choice, durationMs, number, wholeNumber } from "../../src/cli/shared/values.ts";
import { driftlock } from "./driftlock.ts";

const accepted: Accepted = {
  values: ["limit"],
  lists: ["anomaly"],
  switches: ["json"],
  positionals: ["FILE"],
};

function message(work: () => unknown): string | undefined {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as Error).message;
  }
}

const refusal = (...args: string[]) => message(() => readOptions(args, accepted));

describe("options", () => {
  it("are read in any order, with their values behind a space or an equals sign", () => {
    const args = [
      ...["--config", "a.yaml", "--detect.seed", "-2", "FILE", "--json"],
      ...["--forward.headers=a=b", "--data_dir=", "--limit", "", "--anomaly=x", "--anomaly", "y"],
    ];
    expect(readOptions(args, accepted)).toEqual({
      values: new Map([["limit", ""]]),
      lists: new Map([["anomaly", ["x", "y"]]]),
      switches: new Set(["json"]),
      positionals: ["FILE"],
      config: { file: "a.yaml", flags: { "detect.seed": "-2", "forward.headers": "a=b", data_dir: "" } },
    });
  });

  it("end at --, and a lone dash is an argument", () => {
    expect(readOptions(["--", "--json"], accepted).positionals).toEqual(["--json"]);
    expect(readOptions(["-"], accepted).positionals).toEqual(["-"]);
  });

  it("are refused with the nearest name if they are unknown", () => {
    expect(refusal("--confg=x")).toBe("unknown option --confg; did you mean --config?");
    expect(refusal("--jsn")).toBe("unknown option --jsn; did you mean --json?");
    expect(refusal("-config")).toBe("unknown option -config; did you mean --config?");
    expect(refusal("-x")).toBe("unknown option -x");
    expect(refusal("--no-json")).toBe("unknown option --no-json");
    expect(refusal("--toString=1")).toBe("unknown option --toString");
  });

  it("suggest a key or a section of the configuration", () => {
    expect(refusal("--recieve.grpc.endpoint", "x")).toBe(
      "unknown option --recieve.grpc.endpoint; did you mean --receive.grpc.endpoint?",
    );
    expect(refusal("--detect.budgt", "1")).toBe(
      "unknown option --detect.budgt; did you mean --detect.budget? It is a section; set one of its keys, such as --detect.budget.per_stream_per_day",
    );
    expect(refusal("--detect.budget=1")).toBe(
      "unknown option --detect.budget; it is a section; set one of its keys, such as --detect.budget.per_stream_per_day",
    );
    expect(refusal("--detect.budget.per_steam_per_day=1")).toMatch(/--detect\.budget\.per_stream_per_day\?$/);
    expect(refusal("--detct.budget.per_stream_per_day=1")).toMatch(/--detect\.budget\.per_stream_per_day\?$/);
    expect(refusal("--per_stream_per_day=1")).toMatch(/--detect\.budget\.per_stream_per_day\?$/);
    expect(refusal("--data-dir=x")).toBe("unknown option --data-dir; did you mean --data_dir?");
    expect(message(() => parseOptions(["--data-dir=x"], {}))).toBe("unknown option --data-dir");
  });

  it("are refused without their value, with one too many, and twice", () => {
    expect(refusal("--config")).toBe("--config needs a value");
    expect(refusal("--detect.seed", "--config", "x")).toBe("--detect.seed needs a value");
    expect(refusal("--json=yes")).toBe("--json takes no value");
    expect(refusal("--limit=1", "--limit", "1")).toBe("--limit is given more than once");
    expect(refusal("--detect.seed=1", "--detect.seed=2")).toBe("--detect.seed is given more than once");
    expect(refusal("--config=a", "--config=b")).toBe("--config is given more than once");
  });

  it("come with the arguments that the command declares", () => {
    expect(refusal()).toBe("FILE is missing");
    expect(refusal("a", "b")).toBe('unexpected argument "b"');
  });
});

describe("values of options", () => {
  it("are checked alike in all commands", () => {
    expect(message(() => choice("--to", undefined, ["grpc", "http"]))).toBe("--to must be one of grpc, http");
    expect(message(() => choice("--to", "htp", ["grpc", "http"]))).toBe(
      '--to must be one of grpc, http, is "htp"; did you mean http?',
    );
    expect(number("--rate", "1.5", 1, 2)).toBe(1.5);
    expect(message(() => number("--rate", "3", 1, 2))).toBe('--rate must be a number from 1 to 2, is "3"');
    for (const text of ["1.5", "", "-1", "1e1", "11"]) {
      expect(message(() => wholeNumber("--n", text, 1, 10))).toBe(
        `--n must be a whole number from 1 to 10, is ${JSON.stringify(text)}`,
      );
    }
    expect(["1.5s", "2h", "90d", "0ms"].map(durationMs)).toEqual([1_500, 7_200_000, 7_776_000_000, 0]);
    expect(["", "90", "1w", "-1s", "36501d"].map(durationMs)).toEqual(Array(5).fill(undefined));
  });
});

/** Each action of each command, with its positional arguments. */
const actions: [command: string[], positionals: string[]][] = [
  [["run"], []],
  [["validate"], []],
  [["replay"], ["f"]],
  [["generate"], []],
  [["anomalies", "list"], []],
  [["anomalies", "show"], ["x"]],
  [["anomalies", "tail"], []],
  [["explain"], ["x"]],
  [["keys", "create"], []],
  [["keys", "list"], []],
  [["keys", "rotate"], ["x"]],
  [["keys", "revoke"], ["x"]],
  [["audit", "list"], []],
  [["audit", "verify"], []],
  [["audit", "heads"], []],
  [["db", "status"], []],
  [["db", "up"], []],
  [["db", "down"], []],
  [["version"], []],
];

describe.each(actions)("%j", (command, positionals) => {
  const usage = `Run \`driftlock ${command[0]} --help\` for usage.\n`;

  it("reports wrong usage as every command does", async () => {
    for (const [args, expected] of [
      [[...positionals, "--bogus"], "unknown option --bogus"],
      [[...positionals, "-b"], "unknown option -b"],
      [[...positionals, "surplus"], 'unexpected argument "surplus"'],
    ] as const) {
      const answer = await driftlock([...command, ...args]);
      expect(answer).toEqual({ code: 2, out: "", err: `driftlock: ${expected}\n${usage}` });
    }
  });

  it("has one help", async () => {
    const help = await driftlock([...command, "--help"]);
    expect(help).toMatchObject({ code: 0, err: "" });
    expect(help.out).toMatch(new RegExp(`^Usage: driftlock ${command[0]} `));
    expect(help.out).toContain(`driftlock ${command.join(" ")}`);
    expect(help.out).toMatch(/^Exit codes:\n {2}0 .*\n {2}1 .*\n {2}2 .*\n$/m);
    for (const line of help.out.split("\n")) expect(line.length).toBeLessThanOrEqual(101);
    expect(await driftlock([...command, "-h", ...positionals])).toEqual(help);
    expect(await driftlock(["help", ...command])).toEqual(help);
    expect(await driftlock(["--help", ...command])).toEqual(help);
  });
});
