import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, it } from "vitest";
import { encodeReport } from "../../src/anomaly/report.ts";
import { liveSink } from "../../src/api/live/publish.ts";
import { lockFolder } from "../../src/data-dir/lock.ts";
import { afterwards, keyOf, start } from "../api/support.ts";
import { id, midnight, report } from "../store/fixtures.ts";
import { driftlock as run } from "./driftlock.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "driftlock-cli-"));
  afterwards(() => rmSync(folder, { recursive: true, force: true }));
});

const driftlock = (args: string[], env: NodeJS.ProcessEnv = {}) =>
  run(args, { DRIFTLOCK_DATA_DIR: folder, ...env });

describe("keys", () => {
  it("are made, shown once, listed and revoked", async () => {
    const made = await driftlock([
      "keys",
      "create",
      "--name",
      "edge",
      "--scopes",
      "read,ingest",
      "--expires=90d",
    ]);
    expect(made.code).toBe(0);
    expect(made.out).toMatch(/^dlk_[0-9a-f]{16}_[\w-]{43}\n$/);
    expect(made.err).toMatch(/of tenant default has the scopes ingest, read and expires on 20\d\d-/);
    expect(made.err).toContain("auth.enabled is false");
    const keyId = made.out.slice(4, 20);

    await driftlock([
      "keys",
      "create",
      "--name",
      "ops",
      "--scopes=admin",
      "--tenant=acme",
      "--expires",
      "never",
    ]);
    const listed = await driftlock(["keys", "list"]);
    expect(listed.out).toMatch(new RegExp(`^ID +NAME .*\\n${keyId} +edge +ingest,read +until 20\\d\\d-`));
    expect(listed.out).not.toContain("ops");
    expect(listed.out + listed.err).not.toContain(made.out.trim());
    const [other] = (await driftlock(["keys", "list", "--tenant", "acme", "--json"])).out.split("\n");
    expect(JSON.parse(other!)).toMatchObject({ name: "ops", tenant: "acme", scopes: ["admin"] });

    expect(await driftlock(["keys", "revoke", keyId, "--tenant", "acme"])).toMatchObject({
      code: 1,
      err: expect.stringContaining(`tenant acme has no key ${keyId}`),
    });
    expect((await driftlock(["keys", "revoke", `dlk_${keyId}`])).out).toBe(`revoked ${keyId} (edge)\n`);
    expect((await driftlock(["keys", "list"])).out).toMatch(/revoked 20\d\d-/);
  });

  it("are not made for longer than a date can tell", async () => {
    const args = ["keys", "create", "--name", "edge", "--scopes", "read", "--expires"];
    expect(await driftlock([...args, "99999999d"])).toMatchObject({
      code: 2,
      out: "",
      err: expect.stringContaining("--expires must be a duration such as 90d"),
    });
    expect((await driftlock([...args, "36500d"])).code).toBe(0);
    expect((await driftlock(["keys", "list"])).out.trim().split("\n")).toHaveLength(2);
  });

  it("are rotated", async () => {
    const made = await driftlock(["keys", "create", "--name", "edge", "--scopes", "read"]);
    const keyId = made.out.slice(4, 20);
    const rotated = await driftlock(["keys", "rotate", `dlk_${keyId}`, "--grace", "2d"]);
    expect(rotated).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^dlk_[0-9a-f]{16}_[\w-]{43}\n$/),
      err: expect.stringContaining(`replaces ${keyId} (edge), which is valid until `),
    });
    const lines = (await driftlock(["keys", "list", "--json"])).out.trim().split("\n");
    const [fresh, old] = lines.map((line) => JSON.parse(line) as Record<string, number>);
    expect(fresh).toMatchObject({ id: rotated.out.slice(4, 20), name: "edge", scopes: ["read"] });
    expect(old!.expiresAt! - fresh!.createdAt!).toBe(2 * 86_400_000);
    expect(await driftlock(["keys", "rotate", keyId, "--tenant", "acme"])).toMatchObject({
      code: 1,
      err: expect.stringContaining(`tenant acme has no key ${keyId}`),
    });
    await driftlock(["keys", "revoke", keyId]);
    expect(await driftlock(["keys", "rotate", keyId])).toMatchObject({
      code: 1,
      err: expect.stringContaining("the key is revoked; create another"),
    });
  });

  it.each([
    [["keys"], "keys needs one of create, list, rotate, revoke"],
    [["keys", "rotate"], "ID is missing"],
    [["keys", "rotate", "x", "--grace", "soon"], "--grace must be a duration"],
    [["keys", "creat"], "unknown command keys creat; did you mean keys create?"],
    [["keys", "create", "--scopes", "read"], "--name is missing"],
    [["keys", "create", "--name", "x"], "--scopes must be a list of ingest, read, admin"],
    [["keys", "create", "--name", "x", "--scopes", "read,write"], 'has "write"'],
    [["keys", "create", "--name", "x", "--scopes", "read", "--expires", "soon"], "--expires must be"],
    [["keys", "create", "--name", "x", "--scopes", "read", "--tenant", "a b"], "--tenant must be"],
    [["keys", "revoke"], "ID is missing"],
    [["keys", "list", "--tenent", "x"], "did you mean --tenant?"],
  ])("%j is wrong usage", async (args, message) => {
    expect(await driftlock(args)).toMatchObject({ code: 2, out: "", err: expect.stringContaining(message) });
  });
});

describe("audit", () => {
  it("shows who changed what, and finds what was changed afterwards", async () => {
    for (const name of ["edge", "ops"]) {
      await driftlock(["keys", "create", "--name", name, "--scopes=read", "--tenant=acme"]);
    }
    const listed = await driftlock(["audit", "list", "--tenant=acme"]);
    expect(listed.out).toMatch(/^NO +TIME .*\n2 +20\S+Z +cli:\S+ +key\.created .*ops.*\n1 .*edge.*\n$/);
    const [newest, first] = (await driftlock(["audit", "list", "--tenant=acme", "--json"])).out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(newest).toMatchObject({ seq: 2, previousHash: first.hash });
    expect(await driftlock(["audit", "verify", "--tenant=acme"])).toMatchObject({
      code: 0,
      out: `tenant acme: 2 entries are unchanged, the last one with the hash ${newest.hash}; 2 API keys match the log\n`,
      err: "",
    });
    expect((await driftlock(["audit", "heads"])).out).toBe(`acme 2 ${newest.hash}\n`);

    const db = new DatabaseSync(join(folder, "driftlock.db"));
    db.exec("update audit_log set entry = replace(entry, 'edge', 'evil') where seq = 1");
    db.close();
    expect(await driftlock(["audit", "verify", "--tenant=acme"])).toMatchObject({
      code: 1,
      err: "driftlock: tenant acme: the chain breaks at entry 1: the entry does not match its hash\n",
    });
  });
});

describe("audit verify", () => {
  const heads = () => join(folder, "audit-heads.sqlite");
  const query = (sql: string) => {
    const db = new DatabaseSync(join(folder, "driftlock.db"));
    db.exec(`pragma foreign_keys = off; ${sql}`);
    db.close();
  };
  const verify = (...args: string[]) => driftlock(["audit", "verify", "--tenant=acme", ...args]);
  const nothing = `update tenants set audit_seq = 0, audit_hash = '${"0".repeat(64)}' where id = 'acme';`;
  const setBack =
    "update tenants set audit_seq = 2, audit_hash = (select hash from audit_log where tenant = 'acme' and seq = 2) where id = 'acme';";

  beforeEach(async () => {
    for (const name of ["a", "b", "c"]) {
      await driftlock(["keys", "create", "--name", name, "--scopes=read", "--tenant=acme"]);
    }
  });

  it.each([
    [
      "the newest entries",
      `delete from audit_log where seq > 2; ${setBack}`,
      /entry 3: the newest entries were removed: .*audit-heads.sqlite has entry 3/,
    ],
    [
      "all entries",
      `delete from audit_log; ${nothing}`,
      /entry 1: the whole log was removed: .*audit-heads.sqlite has entry 3/,
    ],
    ["the tenant", "delete from audit_log; delete from tenants", /the whole log was removed/],
    [
      "the tenant's name",
      "update audit_log set tenant = 'x'; update tenants set id = 'x'",
      /the whole log was removed/,
    ],
  ])("notices that %s went away", async (_, sql, err) => {
    query(sql);
    expect(await verify()).toMatchObject({ code: 1, err: expect.stringMatching(err) });
  });

  it("compares with a head and with a file that are kept elsewhere", async () => {
    const elsewhere = join(folder, "kept");
    writeFileSync(elsewhere, (await driftlock(["audit", "heads"])).out);
    const [, seq, hash] = readFileSync(elsewhere, "utf8").trim().split(" ");
    expect((await verify("--head", `${seq}:${hash}`, "--heads", elsewhere)).code).toBe(0);
    rmSync(heads());
    expect(await verify()).toMatchObject({
      code: 0,
      err: expect.stringContaining("the end of the log could not be checked"),
    });
    query(`delete from audit_log where seq > 2; ${setBack} delete from api_keys where name = 'c'`);
    expect((await verify()).code).toBe(0);
    expect(await verify("--head", `${seq}:${hash}`)).toMatchObject({
      code: 1,
      err: expect.stringContaining("the newest entries were removed: --head has entry 3"),
    });
    expect(await verify("--heads", elsewhere)).toMatchObject({
      code: 1,
      err: expect.stringContaining("kept has entry 3"),
    });
    expect((await verify("--head", "3")).err).toContain("--head must be the number and the hash of an entry");
    expect((await verify("--heads", join(folder, "none"))).err).toContain("does not exist");
    expect((await verify("--heads", folder)).err).toBe(`driftlock: ${folder}: is a folder, not a file\n`);
  });

  it("notices that a log was cut and went on", async () => {
    query(`delete from audit_log where seq > 2; ${setBack} delete from api_keys where name = 'c'`);
    for (const name of ["d", "e", "f"]) {
      await driftlock(["keys", "create", "--name", name, "--scopes=read", "--tenant=acme"]);
    }
    expect(await verify()).toMatchObject({
      code: 1,
      err: expect.stringMatching(/entry 3: the log was rewritten: .*has another entry with this number/),
    });
  });
});

describe("db", () => {
  it("tells what is to come, and brings it up to date", async () => {
    const before = await driftlock(["db", "status"]);
    expect(before.code).toBe(1);
    expect(before.out).toMatch(/^sqlite .*driftlock\.db\n {2}pending {2}001_initial\n {2}pending {2}002_/);
    const migrated = await driftlock(["db", "migrate"]);
    expect(migrated).toMatchObject({ code: 0, out: expect.stringContaining(": applied 001_initial, 002_") });
    expect((await driftlock(["db", "migrate"])).out).toContain("is up to date");
    expect(await driftlock(["db", "status"])).toMatchObject({
      code: 0,
      out: expect.stringContaining("applied  001_initial"),
    });
  });

  it("goes up and down to a migration, down only when it is told what is lost", async () => {
    expect((await driftlock(["db", "up", "--to", "002"])).out).toMatch(
      /: applied 001_initial, 002_stream_figures\n$/,
    );
    expect((await driftlock(["db", "up"])).out).toContain(": applied 003_");
    const refused = await driftlock(["db", "down", "--to", "002"]);
    expect(refused.code).toBe(2);
    expect(refused.err).toMatch(
      /deletes data of .*driftlock\.db for good:\n.* {2}004_stream_withheld: .*\n {2}003_evidence_by_anomaly: nothing\n.*add --yes\.\nRun `driftlock db --help`.*$/s,
    );
    expect((await driftlock(["db", "status"])).code).toBe(0);
    const gone = await driftlock(["db", "down", "--to", "002_stream_figures", "--yes"]);
    expect(gone).toMatchObject({
      code: 0,
      out: expect.stringMatching(/: undid .*, 003_evidence_by_anomaly\n$/),
    });
    expect((await driftlock(["db", "status"])).out).toContain("pending  003_");
    expect((await driftlock(["db", "down", "--to", "2", "--yes"])).out).toContain("nothing to undo");
    expect((await driftlock(["db", "up", "--to", "1"])).err).toContain(
      "002_stream_figures is applied already",
    );
    for (const args of [["down"], ["down", "--to", "future"], ["up", "--to", "999"]]) {
      expect(await driftlock(["db", ...args])).toMatchObject({ code: 2 });
    }
    const all = await driftlock(["db", "down", "--to", "none", "--yes"]);
    expect(all.out).toContain("undid 002_stream_figures, 001_initial");
  });

  it("does not go down under a process that uses the store", async () => {
    await driftlock(["db", "up"]);
    const unlock = await lockFolder(folder);
    const refused = await driftlock(["db", "down", "--to", "none", "--yes"]);
    unlock();
    expect(refused).toMatchObject({ code: 1, err: expect.stringContaining("another process uses") });
    expect((await driftlock(["db", "status"])).code).toBe(0);
  });
});

describe("anomalies", () => {
  it("are listed and shown, by whoever has a key", async () => {
    const running = await start({ auth: { enabled: true } });
    await running.store.anomalies.record([
      report({ id: id(1) }),
      report({
        id: id(2),
        startTimeUnixNano: midnight + 1n,
        explanation: "sneaky \u001b[2J text",
        serviceName: "cart",
      }),
    ]);
    const { authorization } = await keyOf(running, "acme", "read");
    const env = { DRIFTLOCK_API_KEY: authorization.slice("Bearer ".length) };
    const url = `--url=${running.url("")}`;

    const listed = await driftlock(["anomalies", "list", url, "--severity=medium,high", "--limit=1"], env);
    expect(listed.code).toBe(0);
    expect(listed.out).toMatch(
      /^STARTED +SEVERITY .*\n2026-01-31 00:00:00 +medium +open +content +cart +0+2 +sneaky/,
    );
    expect(listed.out).not.toContain("\u001b");
    const cursor = /--after (\S+)/.exec(listed.err)![1]!;
    const rest = await driftlock(["anomalies", "list", url, "--after", cursor, "--json"], env);
    expect(JSON.parse(rest.out)).toMatchObject({ id: id(1) });
    expect((await driftlock(["anomalies", "list", url, "--from", "1h"], env)).out).not.toContain(id(1));

    const shown = await driftlock(["anomalies", "show", id(1), url], env);
    expect(shown.out).toMatch(/^id +0+1\nstream +logs service.name=checkout\n/);
    expect(shown.out).toContain("connection reset by peer");
    expect(await driftlock(["anomalies", "show", id(9), url], env)).toMatchObject({
      code: 1,
      err: expect.stringContaining("responded with 404: there is no anomaly with this id"),
    });
    expect((await driftlock(["anomalies", "list", url])).err).toContain("responded with 401: no API key");
    expect((await driftlock(["anomalies", "list", "--url=http://127.0.0.1:1"])).err).toContain(
      "cannot be reached",
    );
  });

  it("are followed until it is interrupted", async () => {
    const running = await start();
    const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
    const args = [main, "anomalies", "tail", "--url", running.url(""), "--service", "checkout"];
    const child = spawn(process.execPath, args, { env: { PATH: process.env.PATH } });
    afterwards(() => child.kill("SIGKILL"));
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    await expect.poll(() => running.hub.readers, { timeout: 20_000 }).toBe(1);
    const tell = (n: number, serviceName = "checkout") =>
      liveSink(running.hub)(encodeReport(report({ tenant: "default", id: id(n), serviceName })));
    tell(1);
    tell(2, "cart");
    tell(3);
    expect((await lines.next()).value).toMatch(
      /^2026-01-31 00:00:00 {2}medium content {2}logs service.name=checkout {2}0+1 {2}The record says/,
    );
    expect((await lines.next()).value).toContain(id(3));
    child.kill("SIGINT");
    expect(await once(child, "close")).toEqual([0, null]);
  });
});
