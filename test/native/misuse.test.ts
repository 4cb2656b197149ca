import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const script = fileURLToPath(new URL("misuse/cases.ts", import.meta.url));

/** Runs a case in a process of its own, so that a crash is seen; `limits` are those of `ulimit`. */
async function run(name: string, limits = ""): Promise<void> {
  const command = [process.execPath, "--expose-gc", "--disable-warning=ExperimentalWarning", script, name];
  const child = limits
    ? spawn("/bin/sh", ["-c", `ulimit ${limits} && exec "$@"`, "sh", ...command], {
        stdio: ["ignore", "pipe", "pipe"],
      })
    : spawn(command[0]!, command.slice(1), { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout.on("data", (chunk) => (output += chunk));
  child.stderr.on("data", (chunk) => (output += chunk));
  const [code, signal] = await once(child, "close");
  expect({ code, signal, output }).toEqual({ code: 0, signal: null, output: "" });
}

test.each([
  "closeTwice",
  "closeFromPromises",
  "closeFromGetter",
  "callsFromThenGetter",
  "detached",
  "shrunk",
  "detachedWhileItWaits",
  "cancelledWhileItWaits",
  "changed",
  "sharedMemory",
  "growingWebAssemblyMemory",
  "wrongReceivers",
  "optionsNameTheField",
  "longTexts",
  "anyArguments",
  "endedInsideGetters",
  "thrownByGetters",
  "workersWithoutMemory",
  "abandoned",
  "exitWithWorkPending",
  "terminateWithWorkPending",
  "terminateBetweenConstructors",
  "terminateInsideConstructor",
  "exitWhileWorkersWork",
])("the process outlives misuse: %s", (name) => run(name), 120_000);

// Large stacks in a small address space leave room for only a few threads.
test.runIf(process.platform === "linux")(
  "an engine whose threads the system refuses is an error",
  () => run("threadsRefused", "-s 1048576 && ulimit -v 16000000"),
  120_000,
);
