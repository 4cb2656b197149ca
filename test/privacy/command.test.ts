import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import { driftlock } from "../cli/driftlock.ts";
import { logs } from "../cli/sender.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function fileOf(content: string | Buffer, name = "recorded"): string {
  const folder = mkdtempSync(join(tmpdir(), "driftlock-privacy-"));
  folders.push(folder);
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

const lines = "user anna@shop.eu paid with 4111 1111 1111 1111\npassword=hunter2\nnothing\n";

describe("driftlock privacy test", () => {
  it("counts what each detector finds, and shows masked examples", async () => {
    const { code, out } = await driftlock(["privacy", "test", "--format", "lines", fileOf(lines)]);
    expect(code).toBe(0);
    expect(out).toContain("3 records: 3 detectors");
    expect(out).toMatch(/^email +1 +flag +flag +mask +mask +mask$/m);
    expect(out).toMatch(/^card +1 +flag +flag +mask +mask +mask$/m);
    expect(out).toContain("text: user [email] paid with [card]");
    for (const secret of ["anna@", "4111", "hunter2"]) expect(out).not.toContain(secret);
  });

  it("shows what the policy does", async () => {
    const config = fileOf(
      "privacy:\n  forwarded: hash\n  rules:\n    - match: { detectors: [card] }\n      forwarded: drop\n      stored: flag\n",
    );
    const { out } = await driftlock([
      "privacy",
      "test",
      "--config",
      config,
      "--format",
      "lines",
      fileOf(lines),
    ]);
    expect(out).toMatch(/^email +1 +flag +hash +mask +mask +mask$/m);
    expect(out).toMatch(/^card +1 +flag +drop +flag +mask +mask$/m);
  });

  it("finds what the user's own detectors look for, and leaves what is allowed", async () => {
    const config = fileOf(
      "privacy:\n  detectors:\n    - { name: employee_id, pattern: 'EMP-[0-9]{6}' }\n  allow:\n    - values: [info@shop.eu]\n",
    );
    const file = fileOf("EMP-123456 wrote to info@shop.eu\n");
    const { out } = await driftlock(["privacy", "test", "--config", config, "--format", "lines", file]);
    expect(out).toContain("1 record: 1 detector");
    expect(out).toMatch(/^employee_id +1 +flag +flag +mask +mask +mask$/m);
    expect(out).toContain("text: [employee_id] wrote to info@shop.eu");
  });

  it("names the key of a pattern that it refuses", async () => {
    const config = fileOf("privacy:\n  detectors:\n    - { name: own, pattern: 'x{33}' }\n");
    const { code, err } = await driftlock([
      ...["privacy", "test", "--config", config, "--format", "lines", fileOf(lines)],
    ]);
    expect(code).toBe(1);
    expect(err).toContain(
      "privacy.detectors[0].pattern: repeats something up to 33 times, and at most 32 are allowed",
    );
  });

  it("reads requests of OTLP", async () => {
    const body = logs(["mail to anna@shop.eu", "nothing"]);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(body.length);
    const file = fileOf(Buffer.concat([length, body]));
    const { out } = await driftlock(["privacy", "test", "--format", "otlp", "--signal", "logs", file]);
    expect(out).toContain("2 records: 1 detector");
    expect(out).toContain("text: mail to [email]");
  });

  it("takes the format and the signal from the name of the file", async () => {
    const text = await driftlock(["privacy", "test", fileOf(gzipSync(lines), "app.log.gz")]);
    expect(text.out).toContain("3 records: 3 detectors");
    const body = logs(["mail to anna@shop.eu"]);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(body.length);
    const requests = fileOf(Buffer.concat([length, body]), "logs.otlp");
    expect((await driftlock(["privacy", "test", requests])).out).toContain("1 record: 1 detector");
    const unknown = await driftlock(["privacy", "test", fileOf(lines)]);
    expect(unknown).toMatchObject({ code: 2, err: expect.stringContaining("--format must be one of") });
    const unnamed = await driftlock(["privacy", "test", fileOf("", "some.otlp")]);
    expect(unnamed.err).toContain("--signal must be one of logs, traces, metrics");
  });

  it("says if nothing was found", async () => {
    const { out } = await driftlock(["privacy", "test", "--format", "lines", fileOf("nothing\n")]);
    expect(out).toBe("1 record: no personal or secret values were found\n");
  });
});
