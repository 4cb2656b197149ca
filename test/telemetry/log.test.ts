import { describe, expect, it } from "vitest";
import { createLogger } from "../../src/telemetry/log.ts";

describe("logger", () => {
  it("writes one JSON object a line, at its level and above", () => {
    const lines: string[] = [];
    const log = createLogger(
      { service_name: "edge", environment: "prod", log_level: "warn" },
      { write: (line) => lines.push(line) },
    );
    log.info("not this");
    log.warn({ stream: "logs service.name=a" }, "two\nlines");
    log.error({ err: new Error("why") }, "failed");
    expect(lines).toHaveLength(2);
    expect(lines[0]!.trimEnd()).not.toContain("\n");
    const [first, second] = lines.map((line) => JSON.parse(line));
    expect(first).toMatchObject({
      level: "warn",
      service: "edge",
      environment: "prod",
      stream: "logs service.name=a",
      msg: "two\nlines",
    });
    expect(new Date(first.time).toISOString()).toBe(first.time);
    expect(second.err).toMatchObject({ type: "Error", message: "why" });
  });
});
