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

it("node-service: the service reports the request that fails", async () => {
  const [start, usual, strange] = blocksOf("examples/node-service/README.md", "sh").join("").split("\n") as [
    string,
    string,
    string,
  ];
  const service = new Program("bash", ["-c", `cd ${root}/examples/node-service && exec ${start}`], {
    PATH: path,
    PORT: "0",
  });
  const [, address] = await service.said(/listening on (\S+)/);
  for (const command of [usual, strange]) await shell(command.replace("127.0.0.1:3000", address!), folder);
  await service.said(
    /^logs service\.name=orders: \d+ of the record's \d+ bytes are new to this stream, such as "TypeError: order number expected, got seventeen/m,
  );
  service.kill("SIGINT");
  await service.succeeded();
});
