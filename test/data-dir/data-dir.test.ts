import { type ChildProcess, spawn } from "node:child_process";
import { chmod, mkdir, mkdtemp, realpath, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import pino from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DataDir } from "../../src/data-dir/data-dir.ts";
import { makeDataDir } from "../../src/data-dir/make.ts";

const log = pino({ level: "silent" });
let root: string;
const children: ChildProcess[] = [];

beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "driftlock-data-dir-")));
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await rm(root, { recursive: true, force: true });
});

/** A process that runs a script with `lockFolder` and the folder's path in scope. */
function child(path: string, script: string): ChildProcess {
  const source = `import { lockFolder } from ${JSON.stringify(join(import.meta.dirname, "../../src/data-dir/lock.ts"))};
    const path = ${JSON.stringify(path)}; ${script}`;
  const started = spawn(process.execPath, ["--input-type=module", "--no-warnings", "-e", source]);
  children.push(started);
  return started;
}

/** Resolves to the next output of a process. */
function said(by: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    by.stdout!.once("data", (bytes) => resolve(String(bytes).trim()));
    by.once("exit", () => reject(new Error("the process has ended")));
  });
}

/** A process that holds the folder. */
async function holder(path: string): Promise<ChildProcess> {
  const started = child(path, `await lockFolder(path); console.log("held"); setInterval(() => {}, 1000);`);
  await said(started);
  return started;
}

describe("a folder that is to be made", () => {
  it("is made with those around it, for its user alone", async () => {
    const path = join(root, "a", "b", "c");
    makeDataDir(path);
    makeDataDir(path);
    expect((await stat(path)).mode & 0o777).toBe(0o700);
  });

  it("may be a link to a folder", async () => {
    await mkdir(join(root, "real"));
    await symlink(join(root, "real"), join(root, "link"));
    makeDataDir(join(root, "link"));
    makeDataDir(join(root, "link", "below"));
    expect((await stat(join(root, "real", "below"))).isDirectory()).toBe(true);
  });

  it("says why it cannot be made", async () => {
    const file = join(root, "file");
    await writeFile(file, "");
    await symlink(join(root, "nowhere"), join(root, "dangling"));
    await symlink("loop", join(root, "loop"));
    const closed = join(root, "closed");
    await mkdir(closed, { mode: 0o500 });
    const reasons: [path: string, reason: string][] = [
      [file, `data_dir: ${file} is not a folder; choose another path`],
      [join(file, "below", "it"), `data_dir: ${file} is not a folder; choose another path`],
      [
        join(root, "dangling"),
        `data_dir: ${root}/dangling is a link to ${root}/nowhere, which does not exist`,
      ],
      [join(root, "dangling", "below"), `data_dir: ${root}/dangling is a link to`],
      [join(root, "loop"), `data_dir: ${root}/loop cannot be read (ELOOP)`],
      [
        "/proc/nope",
        "data_dir: /proc/nope cannot be created (ENOENT); choose a folder that this user may write to",
      ],
      ["/proc/nope/below", "data_dir: /proc/nope cannot be created (ENOENT)"],
      ["/proc/self/fd/nope", "data_dir: /proc/self/fd/nope cannot be created (E"],
      ["", "data_dir: "],
    ];
    if (process.getuid!() !== 0)
      reasons.push([join(closed, "x"), `data_dir: ${closed}/x cannot be created (EACCES)`]);
    for (const [path, reason] of reasons) {
      if (path) expect(() => makeDataDir(path)).toThrow(reason);
    }
    await chmod(closed, 0o700);
  });
});

describe("the lock", () => {
  it("keeps other processes out until its holder ends, however that ends", async () => {
    const other = await holder(root);
    await expect(DataDir.open(root, log)).rejects.toThrow(
      `data_dir: another process uses ${root}; stop it or choose another data_dir`,
    );
    const ended = new Promise((resolve) => other.once("exit", resolve));
    other.kill("SIGKILL");
    await ended;
    const ours = await DataDir.open(root, log);
    await expect(holder(root)).rejects.toThrow("the process has ended");
    await expect(DataDir.open(root, log)).rejects.toThrow("another process uses");
    ours.close();
    await holder(root);
  });

  it("waits for another process that has a part of it for a moment, as one has that starts at the same time", async () => {
    const other = child(
      root,
      `const { DatabaseSync } = await import("node:sqlite"); const database = new DatabaseSync(path + "/lock");
      database.exec("BEGIN; SELECT * FROM sqlite_schema"); console.log("reads");
      setTimeout(() => database.exec("COMMIT"), 20); setInterval(() => {}, 1000);`,
    );
    expect(await said(other)).toBe("reads");
    const ours = await DataDir.open(root, log);
    await expect(holder(root)).rejects.toThrow("the process has ended");
    ours.close();
  });

  it("holds whatever path leads to the folder", async () => {
    await mkdir(join(root, "real"));
    await symlink(join(root, "real"), join(root, "link"));
    await holder(join(root, "real"));
    await expect(DataDir.open(join(root, "link"), log)).rejects.toThrow("another process uses");
  });

  it("says what is wrong with its file", async () => {
    await writeFile(join(root, "lock"), "no lock ".repeat(100));
    await expect(DataDir.open(root, log)).rejects.toThrow(
      `data_dir: ${root}/lock: file is not a database; check that it can be written, or remove it`,
    );
    await rm(join(root, "lock"));
    await mkdir(join(root, "lock"));
    await expect(DataDir.open(root, log)).rejects.toThrow(
      `data_dir: ${root}/lock: unable to open database file`,
    );
  });
});

describe("a folder that is lost under the process", () => {
  it.each<[string, (path: string) => Promise<unknown>, (path: string) => Promise<unknown>]>([
    ["moved away", (path) => rename(path, `${path}-away`), (path) => rename(`${path}-away`, path)],
    [
      "replaced",
      async (path) => {
        await rename(path, `${path}-away`);
        await mkdir(path);
        await writeFile(join(path, "lock"), "");
      },
      async (path) => {
        await rm(path, { recursive: true });
        await rename(`${path}-away`, path);
      },
    ],
  ])("is noticed when %s, and when it is put back", async (_, lose, putBack) => {
    const path = join(root, "data");
    const dir = await DataDir.open(path, log);
    expect(await dir.check()).toBe(true);
    expect(dir.fault).toBeUndefined();
    await lose(path);
    expect(await dir.check()).toBe(false);
    expect(dir.fault).toBe(`${path} has been removed or replaced; put it back, or restart Driftlock`);
    await putBack(path);
    expect(await dir.check()).toBe(true);
    expect(dir.fault).toBeUndefined();
    dir.close();
  });

  it("is not said to be lost if its lock alone is", async () => {
    const dir = await DataDir.open(root, log);
    await rename(join(root, "lock"), join(root, "away"));
    expect(await dir.check()).toBe(false);
    expect(dir.fault).toBe(`${root}/lock has been removed or replaced; put it back, or restart Driftlock`);
    dir.close();
  });

  it("may be a file in it that is removed or replaced", async () => {
    await writeFile(join(root, "store.db"), "");
    const dir = await DataDir.open(root, log);
    await dir.watch("store.db");
    await rename(join(root, "store.db"), join(root, "away"));
    // The folder is there, and the rest of it may be used.
    expect(await dir.check()).toBe(true);
    const fault = `${root}/store.db has been removed or replaced; put it back, or restart Driftlock`;
    expect(dir.fault).toBe(fault);
    await writeFile(join(root, "store.db"), "");
    await dir.check();
    expect(dir.fault).toBe(fault);
    await rename(join(root, "away"), join(root, "store.db"));
    await dir.check();
    expect(dir.fault).toBeUndefined();
    dir.close();
  });

  it("is noticed when it is removed, and stays lost when it is made anew", async () => {
    const path = join(root, "data");
    const dir = await DataDir.open(path, log);
    await rm(path, { recursive: true });
    expect(await dir.check()).toBe(false);
    const next = await DataDir.open(path, log);
    expect(await dir.check()).toBe(false);
    expect(await next.check()).toBe(true);
    dir.close();
    expect(await next.check()).toBe(true);
    next.close();
  });
});
