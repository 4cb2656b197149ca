import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import selfsigned from "selfsigned";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { driftlock } from "./driftlock.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "driftlock-cli-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe("help and usage", () => {
  it("lists the commands", async () => {
    const help = await driftlock(["help"]);
    expect(help).toMatchObject({ code: 0, err: "" });
    for (const name of ["run", "validate", "replay", "generate", "version", "help"]) {
      expect(help.out).toMatch(new RegExp(`^ {2}${name} +\\S`, "m"));
    }
    expect(await driftlock(["--help"])).toEqual(help);
    expect(await driftlock([])).toEqual({ code: 2, out: "", err: help.out });
  });

  it("says what a command takes", async () => {
    for (const name of ["run", "validate", "version"]) {
      const help = await driftlock([name, "--help"]);
      expect(help.code).toBe(0);
      expect(help.out).toMatch(new RegExp(`^Usage: driftlock ${name}`));
      expect(await driftlock(["help", name])).toEqual(help);
    }
  });

  it("writes nothing that steers the terminal", async () => {
    const evil = "\u001b[2J\u009b31m\u202e\u200b";
    const shown = "\\x1b[2J\\x9b31m\\u{202e}\\u{200b}";
    for (const args of [
      [evil],
      ["replay", "--format", "lines", evil],
      ["explain", evil],
      ["validate", evil],
    ]) {
      const { code, out, err } = await driftlock(args);
      expect(code).not.toBe(0);
      expect(out).toBe("");
      expect(err).not.toMatch(/[[\p{Cc}\p{Cf}]--\n]/v);
      expect(err.replaceAll("\\\\", "\\").replaceAll("\\u001b", "\\x1b")).toContain(shown);
    }
  });

  it("answers wrong usage with 2 and a remedy", async () => {
    expect(await driftlock(["valdate"])).toEqual({
      code: 2,
      out: "",
      err: "driftlock: unknown command valdate; did you mean validate?\nRun `driftlock --help` for usage.\n",
    });
    expect((await driftlock(["constructor"])).code).toBe(2);
    expect(await driftlock(["validate", "--config"])).toEqual({
      code: 2,
      out: "",
      err: "driftlock: --config needs a value\nRun `driftlock validate --help` for usage.\n",
    });
    expect((await driftlock(["version", "--jsn"])).code).toBe(2);
  });
});

describe("validate", () => {
  it("prints OK", async () => {
    expect(await driftlock(["validate"])).toEqual({ code: 0, out: "OK\n", err: "" });
  });

  it("prints every problem", async () => {
    const config = file("bad.yaml", "recieve: {}\ndetect: {seed: x}\n");
    const { code, out, err } = await driftlock(["validate", "--config", config, "--detect.threads", "99"]);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toBe(
      `recieve: unknown key; did you mean receive? (${config}:1:1)\n` +
        `detect.seed: must be a whole number, is "x" (${config}:2:16)\n` +
        "detect.threads: must be at most 16, is 99 (flag --detect.threads)\n",
    );
  });

  it("prints the effective configuration with its sources", async () => {
    const config = file("good.yaml", "receive: {grpc: {endpoint: '0.0.0.0:4317'}}\n");
    const { code, out, err } = await driftlock(
      ["validate", "--print", "--config", config, "--detect.seed=7"],
      {
        OTEL_SERVICE_NAME: "edge",
        DRIFTLOCK_FORWARD_HEADERS: "authorization=hunter2",
      },
    );
    expect(code).toBe(0);
    expect(out).toContain(`endpoint: 0.0.0.0:4317 # ${config}:1:28`);
    expect(out).toContain("seed: 7 # flag --detect.seed");
    expect(out).toContain("service_name: edge # env OTEL_SERVICE_NAME");
    expect(out).toContain("max_request_size: 64MiB\n");
    expect(out).not.toContain("hunter2");
    expect(err).toMatch(/^warning: receive.grpc: .* without TLS/);
  });

  it("reads and tries the files of TLS", async () => {
    const pair = await selfsigned.generate([{ name: "commonName", value: "localhost" }]);
    const other = await selfsigned.generate([{ name: "commonName", value: "localhost" }]);
    const cert = file("cert.pem", pair.cert);
    const key = file("key.pem", pair.private);
    const wrong = file("wrong.pem", other.private);
    const tls = (certFile: string, keyFile: string) => [
      "validate",
      `--receive.grpc.tls.cert_file=${certFile}`,
      `--receive.grpc.tls.key_file=${keyFile}`,
    ];
    expect(await driftlock(tls(cert, key))).toEqual({ code: 0, out: "OK\n", err: "" });
    expect((await driftlock(tls(cert, wrong))).err).toMatch(/^receive\.grpc\.tls: .*cert\.pem, .*wrong\.pem/);
    const missing = await driftlock(tls(`${folder}/none.pem`, key));
    expect(missing.err).toBe(
      `receive.grpc.tls.cert_file: ${folder}/none.pem: does not exist; create it or change the path (flag --receive.grpc.tls.cert_file)\n`,
    );
    const ca = file("ca.pem", "no certificate");
    const forward = ["validate", "--forward.endpoint=https://a.example", `--forward.tls.ca_file=${ca}`];
    expect((await driftlock(forward)).err).toMatch(
      /^forward\.tls\.ca_file: .*no PEM certificate \(flag --forward\.tls\.ca_file\)\n$/,
    );
  });

  it("refuses headers that the transport cannot send", async () => {
    const { code, err } = await driftlock(["validate", "--forward.headers", "content-type=x"]);
    expect(code).toBe(1);
    expect(err).toMatch(/^forward\.headers\.content-type: .* \(flag --forward\.headers\)\n$/);
  });
});
