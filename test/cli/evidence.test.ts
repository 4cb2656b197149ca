import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { beforeEach, describe, expect, it } from "vitest";
import { afterwards, start } from "../api/support.ts";
import { id, incident, report } from "../store/fixtures.ts";
import { driftlock as run } from "./driftlock.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "driftlock-cli-"));
  afterwards(() => rmSync(folder, { recursive: true, force: true }));
});

const driftlock = (...args: string[]) => run(args, { DRIFTLOCK_DATA_DIR: folder });

describe("driftlock evidence and verify", () => {
  it("names a report template with a fault before anything starts", async () => {
    writeFileSync(join(folder, "own.yaml"), "id: own\nversion: 1\ntitle: Own\ndue: []\nsections: []\n");
    const checked = await driftlock("validate", "--evidence.templates", folder);
    expect(checked).toMatchObject({ code: 1, err: expect.stringContaining("own.yaml: duty: is missing") });
  });

  it("lists the reports of an incident, and writes one in each format", async () => {
    const running = await start();
    const url = `--url=${running.url("")}`;
    await running.store.incidents.record({ incidents: [incident({ tenant: "default" })], changes: [] });
    const ask = (...args: string[]) => driftlock("evidence", "report", id(1), ...args, url);
    const listed = (await ask()).out;
    expect(listed).toMatch(/^TEMPLATE +STATE +DUE +WAITS FOR +TITLE\n/);
    expect(listed).toMatch(/\ndora-initial +waiting +classified, aware +DORA: initial/);
    const text = (await ask("--template", "dora-initial")).out;
    expect(text).toContain("2.4  Description of the incident: DRAFT: payment is slow");
    expect(text).toContain("2.5  Criteria that make the incident major: (blank: a person fills this in)");
    expect(JSON.parse((await ask("--template=dora-initial", "--format=structure")).out)).toMatchObject({
      incidentSubmission: "initial_notification",
    });
    const entered = ["--set", "2.5=Downtime", "--set", "2.6=DE", "--set", "2.6=FR"];
    expect(await ask("--template=dora-initial", ...entered, "--submitted=2026-01-31T15:30:00Z")).toEqual(
      expect.objectContaining({ code: 0, out: "" }),
    );
    expect(await ask("--moment", "aware=2026-01-31T12:10:00Z")).toMatchObject({
      out: expect.stringMatching(/\ndora-initial +submitted /),
    });
    const shown = (await ask("--template", "dora-initial")).out;
    expect(shown).toMatch(
      /2\.5 {2}Criteria that make the incident major: Downtime\n {4}\(entered by anonymous at /,
    );
    expect(await ask("--template=dora-initial", "--set", "2.9=perhaps")).toMatchObject({
      code: 1,
      err: expect.stringContaining("/fields/dora-initial/2.9: must be yes or no"),
    });
    const file = join(folder, "report.pdf");
    expect(await ask("--template=dora-initial", "--format=pdf", "--output", file)).toMatchObject({ code: 0 });
    expect(readFileSync(file).subarray(0, 8).toString()).toBe("%PDF-1.7");
    for (const [args, message] of [
      [["--template=dora-initial", "--format=pdf"], "--format pdf needs --output"],
      [["--format=structure"], "--template is missing"],
      [["--format=xml"], "--format must be one of"],
      [["--set", "2.5=x"], "need --template"],
      [["--template=dora-initial", "--set", "2.5"], "--set must be NAME=VALUE"],
    ] as const) {
      expect(await ask(...args)).toMatchObject({ code: 2, err: expect.stringContaining(message) });
    }
    expect(await ask("--template=other")).toMatchObject({
      code: 1,
      err: expect.stringContaining("no template"),
    });
  });

  it("makes a bundle, lists it, shows it and verifies it", async () => {
    const running = await start();
    const url = `--url=${running.url("")}`;
    await running.store.anomalies.record([report({ tenant: "default" })]);
    await running.store.incidents.record({ incidents: [incident({ tenant: "default" })], changes: [] });
    const file = join(folder, "bundle.json");
    const made = await driftlock("evidence", "create", "--anomaly", id(1), "--output", file, url);
    expect(made).toMatchObject({ code: 0, out: expect.stringMatching(/^[0-9a-f]{32}\n$/) });
    const bundle = made.out.trim();
    await driftlock("evidence", "create", `--incident=${id(1)}`, "--json", url);
    const listed = (await driftlock("evidence", "list", url)).out;
    expect(listed).toMatch(/^CREATED +ID +ABOUT +BYTES +BY +SHA-256\n.*incident 0+1 .*\n.*anomaly 0+1 /);
    const shown = (await driftlock("evidence", "show", bundle, url)).out;
    expect(shown).toContain(`about      ${id(1)}\n`);
    expect(shown).toContain("The record says what the baseline does not");
    const copy = join(folder, "copy.json");
    await driftlock("evidence", "show", bundle, "--output", copy, url);
    expect(readFileSync(copy)).toEqual(readFileSync(file));
    expect(await driftlock("evidence", "show", id(9), url)).toMatchObject({ code: 1 });
    expect(await driftlock("evidence", "delete", bundle, url)).toMatchObject({ code: 0, out: "" });
    expect(await driftlock("evidence", "delete", bundle, url)).toMatchObject({
      code: 1,
      err: expect.stringContaining("there is no bundle with this id"),
    });
    expect(await driftlock("evidence", "create", url)).toMatchObject({ code: 2 });

    const verified = await driftlock("verify", file);
    expect(verified.out).toMatch(/^Evidence [0-9a-f]{32} of tenant default about anomaly 0+1, made at /);
    expect(verified.out).toMatch(
      /\nok {11}signature {3}The statement is signed by the key\n +[0-9a-f]{64}\.\n/,
    );
    expect(verified.out).toMatch(/\nnot checked {2}key .*\n/);
    expect(verified).toMatchObject({ code: 0, err: "" });
    writeFileSync(file, readFileSync(file, "utf8").replace("the baseline does not", "the baseline does now"));
    const altered = await driftlock("verify", file);
    expect(altered.code).toBe(1);
    expect(altered.out).toMatch(
      /\nFAILED {7}digest {6}The content is not the one that was signed; altered: anomalies\.\n/,
    );
    const { ok, checks } = JSON.parse((await driftlock("verify", file, "--json")).out);
    expect(ok).toBe(false);
    expect(
      checks.filter((check: { ok: boolean }) => check.ok === false).map(({ name }: { name: string }) => name),
    ).toEqual(["digest", "reports"]);
    for (const args of [[join(folder, "none")], []]) {
      expect((await driftlock("verify", ...args)).code).toBe(args.length === 0 ? 2 : 1);
    }
  });
});

describe("driftlock keys signing", () => {
  it("makes, lists, rotates and exports keys, and prints no private key", async () => {
    const made = await driftlock("keys", "signing", "create");
    const first = made.out.trim();
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    const secret = join(folder, "signing", `${first.slice(0, 16)}.key`);
    expect(statSync(secret).mode & 0o777).toBe(0o600);
    expect(await driftlock("keys", "signing", "create")).toMatchObject({ code: 1 });
    const second = (await driftlock("keys", "signing", "rotate", "--overlap=1h")).out.trim();
    const keys = JSON.parse((await driftlock("keys", "signing", "list", "--json")).out);
    expect(keys.map((key: { id: string }) => key.id)).toEqual([first, second]);
    expect(Date.parse(keys[0].valid_until) - Date.parse(keys[1].valid_from)).toBe(3_600_000);
    const exported = (await driftlock("keys", "signing", "export", "--id", first.slice(0, 8))).out;
    expect(exported).toBe(keys[0].public_key);
    const note = (await driftlock("keys", "signing", "export", "--note", "--tenant=acme")).out;
    expect(note).toMatch(/^driftlock\/acme\+[0-9a-f]{8}\+AX?[A-Za-z0-9+/]+=*\n$/);
    const listed = (await driftlock("keys", "signing", "list")).out;
    expect(listed).toContain("signs now");
    const shown = made.out + exported + note + listed;
    expect(shown).not.toContain("PRIVATE");
    expect(shown).not.toContain(readFileSync(secret, "utf8").split("\n")[1]);
    const actions = (await driftlock("audit", "list")).out;
    expect(actions).toMatch(/signing_key\.rotated .*\n.*signing_key\.created/);
  });
});

describe("driftlock audit checkpoint", () => {
  it("prints a checkpoint by which removed entries are found later", async () => {
    for (const name of ["a", "b", "c"]) await driftlock("keys", "create", "--name", name, "--scopes=read");
    const file = join(folder, "checkpoint.txt");
    const printed = await driftlock("audit", "checkpoint");
    expect(printed.out).toMatch(/^driftlock\/default\n3\n/);
    writeFileSync(file, printed.out);
    const verify = () => driftlock("audit", "verify", "--checkpoint", file);
    expect((await verify()).out).toContain("It begins with all entries of the checkpoints");
    rmSync(join(folder, "audit-heads.sqlite"));
    const db = new DatabaseSync(join(folder, "driftlock.db"));
    db.exec(`delete from audit_log where seq = 3; delete from api_keys where name = 'c';
      update tenants set audit_seq = 2, audit_hash = (select hash from audit_log where seq = 2) where id = 'default'`);
    db.close();
    expect(await driftlock("audit", "verify")).toMatchObject({ code: 0 });
    const found = await verify();
    expect(found.code).toBe(1);
    expect(found.err).toMatch(/entry 3: the newest entries were removed: .*checkpoint\.txt has entry 3/);
    writeFileSync(file, printed.out.replace("\n3\n", "\n2\n"));
    expect((await verify()).err).toContain("is not signed by a key of this installation");
  });
});
