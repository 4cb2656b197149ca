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

  it("writes nothing that steers a terminal, and loses nothing", () => {
    const lines: string[] = [];
    const log = createLogger(
      { service_name: "edge\u009b", environment: "prod", log_level: "info" },
      { write: (line) => lines.push(line) },
    );
    const evil = "\u001b[2J \u009b31m \u202egnp.exe \u2028\u200b\u{e0041}\r\n";
    log.child({ [evil]: evil }).info({ nested: { evil: [evil] }, err: new Error(evil) }, evil);
    expect(lines.join("")).not.toMatch(/[[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]--\n]/v);
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({ msg: evil, [evil]: evil, nested: { evil: [evil] } });
  });
});
