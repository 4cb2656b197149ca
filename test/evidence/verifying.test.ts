/** docs/VERIFYING.md, as an auditor without Node.js follows it: its commands are run as they stand there. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { id } from "../store/fixtures.ts";
import { startAuthority } from "./authority.ts";
import { fill, folder, making } from "./made.ts";

const page = readFileSync(new URL("../../docs/VERIFYING.md", import.meta.url), "utf8");
const [takeApart, signature, keys, content, report, recording, timeStamp, times] = [
  ...page.matchAll(/```sh\n([^`]+)```/g),
].map(([, commands]) => commands!);
/** A bundle with recordings. */
const older = readFileSync(new URL("../verify/bundles/format-13.evidence", import.meta.url), "utf8");
/** The programs that the page may use. */
const path = "/usr/bin:/bin";

let directory: string;
let file: string;
beforeAll(async () => {
  directory = folder();
  const authority = await startAuthority(folder());
  afterAll(authority.close);
  writeFileSync(join(directory, "authority.pem"), authority.root);
  const made = await making({ timestamps: { url: authority.url } });
  await fill(made);
  file = await made.make({ anomaly: id(1) });
  writeFileSync(join(directory, "operator.pem"), (await made.keys.current()).publicKey);
});

function sh(commands: string, bundle = file): { status: number | null; lines: string[] } {
  writeFileSync(join(directory, "evidence.json"), bundle);
  const { status, stdout } = spawnSync("sh", ["-e", "-c", `${takeApart}${commands}`], {
    cwd: directory,
    env: { PATH: path },
    encoding: "utf8",
  });
  return { status, lines: stdout.trim().split("\n") };
}

describe("VERIFYING.md", () => {
  it("verifies the signature, and refuses an altered statement", () => {
    expect(sh(signature!)).toEqual({ status: 0, lines: ["Signature Verified Successfully"] });
    const altered = file.replace(
      /"payload":"(.)/,
      (_, first: string) => `"payload":"${first === "e" ? "f" : "e"}`,
    );
    expect(sh(signature!, altered).status).not.toBe(0);
  });

  it("compares the key", () => {
    const [named, own] = sh(keys!).lines;
    expect(own).toBe(`${named}  -`);
  });

  it("compares the content, and finds that it was altered", () => {
    const [named, own] = sh(content!).lines;
    expect(named).toMatch(/^[0-9a-f]{64}$/);
    expect(own).toBe(named);
    const [still, other] = sh(content!, file.replace('"author":"ann"', '"author":"eve"')).lines;
    expect(still).toBe(named);
    expect(other).not.toBe(named);
  });

  it("verifies the time stamp, and refuses that of another signature", () => {
    expect(sh(timeStamp!)).toEqual({ status: 0, lines: ["Verification: OK"] });
    const altered = file.replace(/"sig":"(.)/, (_, first: string) => `"sig":"${first === "A" ? "B" : "A"}`);
    expect(sh(timeStamp!, altered).status).not.toBe(0);
    expect(sh(timeStamp!, file.replace(/"timestamp":".*"/, '"timestamp":null')).status).not.toBe(0);
  });

  it("shows the time and the nonce of the time stamp", () => {
    const { lines } = sh(`${timeStamp}${times}`);
    const [, time, nonce, asked] = lines;
    expect(Date.parse(time!.replace("Time stamp: ", ""))).toBeGreaterThan(0);
    expect(asked).toBe(`"nonce":"${nonce!.replace("Nonce: 0x", "").toLowerCase()}"`);
    expect(lines).toHaveLength(4);
  });

  it("compares a report", () => {
    for (const bundle of [file, older]) {
      const [own, named] = sh(report!, bundle).lines;
      expect(named).toMatch(/^[0-9a-f]{64}$/);
      expect(own).toBe(named);
    }
  });

  it("compares a recording", () => {
    const [own, named] = sh(recording!, older).lines;
    expect(named).toMatch(/^[0-9a-f]{64}$/);
    expect(own).toBe(named);
  });
});
