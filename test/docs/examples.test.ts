/** The examples, run by the commands of their pages. The one that needs a Collector is in test/e2e. */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Program, stopAll } from "../e2e/programs.ts";
import { root } from "./fences.ts";
import { blocksOf, path, shell } from "./shell.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "driftlock-examples-"));
});
afterEach(async () => {
  await stopAll();
  rmSync(folder, { recursive: true, force: true });
});

it("replay: the commands print what the page says", async () => {
  cpSync(join(root, "examples/replay"), folder, { recursive: true });
  const printed = blocksOf("examples/replay/README.md", "text");
  const commands = blocksOf("examples/replay/README.md", "sh");
  expect(commands).toHaveLength(printed.length);
  for (const [i, text] of commands.entries()) expect(await shell(text, folder)).toBe(printed[i]);
});

/** Web services and what each prints about the request that fails. */
const services: Record<string, RegExp> = {
  "node-service":
    /^logs service\.name=orders: \d+ of the record's \d+ bytes are new to this stream, such as "TypeError: order number expected, got seventeen/m,
  "express-service": /^traces service\.name=orders: .*"error status\.message=500" in status/m,
  "fastify-service": /^traces service\.name=orders: .*TypeError/m,
};

it.each(Object.keys(services))("%s: the service reports the request that fails", async (name) => {
  const [start, usual, strange] = blocksOf(`examples/${name}/README.md`, "sh").join("").split("\n") as [
    string,
    string,
    string,
  ];
  const service = new Program("bash", ["-c", `cd ${root}/examples/${name} && exec ${start}`], {
    PATH: path,
    PORT: "0",
  });
  const [, address] = await service.said(/listening on (\S+)/);
  for (const command of [usual, strange]) await shell(command.replace("127.0.0.1:3000", address!), folder);
  await service.said(services[name]!);
  service.kill("SIGINT");
  await service.succeeded();
});

it("batch-file: the program prints what the page says", async () => {
  const page = "examples/batch-file/README.md";
  const printed = await shell(blocksOf(page, "sh").join(""), join(root, "examples/batch-file"));
  expect(printed).toBe(blocksOf(page, "text").join(""));
});

it("pino-worker: the report is about the job that fails", async () => {
  const commands = blocksOf("examples/pino-worker/README.md", "sh").join("");
  const program = join(root, "examples/pino-worker/worker.js");
  const printed = await shell(commands.replace("node worker.js", `node ${program}`), folder);
  expect(JSON.parse(printed)).toMatchObject({
    msg: expect.stringContaining("Invalid count value: -1"),
    anomaly: { stream: "logs service.name=worker", channel: "content" },
  });
});

it("llm-agent: the answer that gives another bank account is found", async () => {
  const printed = await shell(
    blocksOf("examples/llm-agent/README.md", "sh").join(""),
    join(root, "examples/llm-agent"),
  );
  expect(printed).toMatch(
    /^content of logs service\.name=agent .*llm\.turn=response: Bank account numbers \(IBAN\) appear/m,
  );
});
