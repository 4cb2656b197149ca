/** Bundles of evidence, verified by others' implementations of the same formats. Each finds what was altered. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { sha256Bytes } from "../../src/base/sha256.ts";
import { noteKey, originOf } from "../../src/evidence/note.ts";
import { dutiesBy, Reporting } from "../../src/evidence/reports/index.ts";
import { rawKey } from "../../src/evidence/signing-keys.ts";
import { fill, folder, type Making, making } from "../evidence/made.ts";
import { id } from "../store/fixtures.ts";

const run = promisify(execFile);
const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const sources = path("../evidence/foreign");
const built = path("../../build/foreign");
const python = join(built, "venv/bin/python");

/** Installs the Python packages and builds the Go program, unless that was done for the same versions. */
async function install(): Promise<void> {
  const requirements = join(sources, "requirements.txt");
  const version = createHash("sha256").update(readFileSync(requirements)).digest("hex");
  const stamp = join(built, "installed");
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== version) {
    rmSync(built, { recursive: true, force: true });
    mkdirSync(built, { recursive: true });
    await run("python3", ["-m", "venv", join(built, "venv")]).catch((error) => {
      throw new Error("Python 3 with venv is missing (Debian: python3-venv)", { cause: error });
    });
    await run(python, ["-m", "pip", "install", "--quiet", "--requirement", requirements]);
    writeFileSync(stamp, version);
  }
  await run("go", ["build", "-o", join(built, "audit"), "."], { cwd: sources });
}

const reporting = {
  in_bundles: ["dora-initial"],
  entity: { name: "Example Bank", lei: "5493001KJTIIGC8Y1R12", types: ["credit_institution"] },
  contact: { name: "Ann Example", email: "ann@bank.example", phone: "+33 1 23 45 67 89" },
  second_contact: { name: "Bo Example", email: "bo@bank.example", phone: "+33 1 23 45 67 80" },
  currency: "EUR",
};

let made: Making;
let file: string;
let place: string;
beforeAll(async () => {
  await install();
  place = folder();
  made = await making(
    { reporting },
    {
      duties: async (content) => {
        const load = () => Reporting.load(made.config);
        return dutiesBy(load, made.store.incidentReports)(content);
      },
    },
  );
  await fill(made);
  const moments = { aware: "2026-01-31T00:10:00Z", classified: "2026-01-31T01:00:00Z" };
  await made.store.incidentReports.change("acme", id(1), "ann", () => ({
    entered: { moments },
    detail: { moments },
  }));
  // The second bundle proves that the log has grown since the first.
  await made.make({ anomaly: id(1) });
  file = await made.make({ incident: id(1) });
}, 300_000);

/** Runs a program on a bundle: what it prints, or undefined if it refuses the bundle. */
async function accepted(text: string, program: string, args: (file: string) => string[]) {
  const name = join(place, "evidence.json");
  writeFileSync(name, text);
  try {
    return (await run(program, args(name))).stdout;
  } catch (error) {
    if (typeof (error as { code: unknown }).code !== "number") throw error;
    return undefined;
  }
}

/** Alters the first character of what a pattern matches behind its first group. */
function alter(pattern: RegExp): string {
  const altered = file.replace(
    pattern,
    (_, head: string, first: string) => head + (first === "1" ? "2" : "1"),
  );
  expect(altered).not.toBe(file);
  return altered;
}

describe("securesystemslib (DSSE)", () => {
  const verify = (text: string) => {
    writeFileSync(join(place, "operator.pem"), key);
    return accepted(text, python, (name) => [join(sources, "dsse.py"), name, join(place, "operator.pem")]);
  };
  let key: string;
  beforeAll(async () => {
    key = (await made.keys.current()).publicKey;
  });

  it("verifies a bundle, and refuses an altered one", async () => {
    expect(await verify(file)).toContain("the content is the one that was signed");
    for (const part of [/("sig":")(.)/, /("payload":".{20})(.)/, /("author":")(.)/, /("keyid":")(.)/]) {
      expect(await verify(alter(part)), String(part)).toBeUndefined();
    }
  });

  it("refuses another key", async () => {
    const other = await (await making()).keys.current();
    const own = key;
    key = other.publicKey;
    expect(await verify(file)).toBeUndefined();
    key = own;
  });
});

describe("sumdb/note and transparency-dev/merkle", () => {
  const verify = async (text: string) => {
    const { publicKey } = await made.keys.current();
    const key = await noteKey(sha256Bytes, originOf("driftlock", "acme"), rawKey(publicKey));
    return accepted(text, join(built, "audit"), (name) => [name, key]);
  };

  it("verify a bundle, and refuse an altered one", async () => {
    const printed = await verify(file);
    expect(printed).toMatch(
      /^a checkpoint of \d+ entries, signed by driftlock\/acme\n(entry \d+ is in the log\n)+/,
    );
    expect(printed).toMatch(/the log begins with the \d+ entries of the previous checkpoint\n$/);
    for (const part of [
      /("entry":\{"action":")(.)/,
      /("proof":\[")(.)/,
      /("previous":\{"checkpoint":".*?","proof":\[")(.)/,
      /("checkpoint":"driftlock\/acme\\n\d+\\n)(.)/,
      /("seq":)(\d)/,
    ]) {
      expect(await verify(alter(part)), String(part)).toBeUndefined();
    }
  });
});

describe("ActProof's profile of DORA", () => {
  const check = (text: string) =>
    accepted(text, python, (name) => [path("../../tools/actproof/check.py"), name, join(place, "pieces")]);

  // What only people know.
  const open = [
    "affected_member_states",
    "business_continuity_plan_activated",
    "classification_criteria_triggered",
    "competent_authority",
  ];

  it("misses only what people know, and what is taken away", async () => {
    const found = JSON.parse((await check(file))!);
    expect(found).toMatchObject({ missing_evidence: [], unknown_fields: [], missing_required: open });
    const without = file.replace('"value":"Ann Example"', '"value":null');
    const missing = [...open, "primary_contact_name"].sort();
    expect(JSON.parse((await check(without))!).missing_required).toEqual(missing);
    expect(await check(file.replace('"template":"dora-initial"', '"template":"other"'))).toBeUndefined();
  });
});
