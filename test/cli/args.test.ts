import { describe, expect, it } from "vitest";
import { parseConfigArgs } from "../../src/cli/shared/args.ts";
import { UsageError } from "../../src/cli/shared/io.ts";

const message = (args: string[], switches: string[] = []) => {
  try {
    parseConfigArgs(args, switches);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as Error).message;
  }
};

describe("arguments", () => {
  it("takes keys with a value behind a space or an equals sign", () => {
    const args = [
      "--config",
      "a.yaml",
      "--detect.seed",
      "7",
      "--forward.headers=a=b",
      "--data_dir=",
      "--print",
    ];
    expect(parseConfigArgs(args, ["print"])).toEqual({
      config: "a.yaml",
      flags: { "detect.seed": "7", "forward.headers": "a=b", data_dir: "" },
      switches: new Set(["print"]),
    });
  });

  it("takes the last of two, and negative numbers as values", () => {
    expect(parseConfigArgs(["--detect.seed=1", "--detect.seed", "-2"]).flags).toEqual({
      "detect.seed": "-2",
    });
  });

  it("refuses what it does not know, with the nearest name", () => {
    expect(message(["--recieve.grpc.endpoint", "x"])).toBe(
      "unknown option --recieve.grpc.endpoint; did you mean --receive.grpc.endpoint?",
    );
    expect(message(["--confg=x"])).toBe("unknown option --confg; did you mean --config?");
    expect(message(["--prin"], ["print"])).toBe("unknown option --prin; did you mean --print?");
    expect(message(["-x"])).toBe("unknown option -x");
    expect(message(["driftlock.yaml"])).toBe('unexpected argument "driftlock.yaml"');
  });

  it("refuses a missing value and one too many", () => {
    expect(message(["--config"])).toBe("--config needs a value");
    expect(message(["--detect.seed", "--config", "x"])).toBe("--detect.seed needs a value");
    expect(message(["--print=yes"], ["print"])).toBe("--print takes no value");
  });
});
