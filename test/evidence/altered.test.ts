/** Each kind of byte of a bundle is altered: verification finds it and says what it is. */
import { beforeAll, describe, expect, it } from "vitest";
import { canonicalJson, type Json } from "../../src/base/canonical.ts";
import type { Bundle } from "../../src/evidence/bundle.ts";
import { readLines, writeLines } from "../../src/evidence/layout.ts";
import { type Check, verifyBundle } from "../../src/verify/index.ts";
import { id } from "../store/fixtures.ts";
import { fill, type Making, making } from "./made.ts";

let made: Making;
let file: string;
beforeAll(async () => {
  made = await making();
  await fill(made);
  await made.make({ anomaly: id(1) });
  file = await made.make({ incident: id(1) });
});

const faultsIn = async (text: string): Promise<Record<string, string[]>> => {
  const { ok, checks } = await verifyBundle(text, { keys: await made.keys.list() });
  const failed = checks.filter((check) => check.ok === false);
  expect(ok).toBe(failed.length === 0);
  return Object.fromEntries(failed.map(({ name, details }) => [name, details]));
};

const other = (text: string) => (text[0] === "A" ? "B" : "A") + text.slice(1);
/** Changes the first digit of a digest. */
const digit = (text: string) => (text[0] === "0" ? "1" : "0") + text.slice(1);

function withContent(change: (content: Bundle["content"]) => void): string {
  const lines = readLines(file);
  const content = JSON.parse(lines.content) as Bundle["content"];
  change(content);
  return writeLines({ ...lines, content: canonicalJson(content as unknown as Json) });
}

function withEnvelope(change: (envelope: Bundle["envelope"]) => void): string {
  const lines = readLines(file);
  const envelope = JSON.parse(lines.envelope) as Bundle["envelope"];
  change(envelope);
  return writeLines({ ...lines, envelope: canonicalJson(envelope as unknown as Json) });
}

it("finds nothing in what was not altered", async () => {
  expect(await faultsIn(file)).toEqual({});
});

describe("the layout", () => {
  it.each([
    ["white space", (text: string) => text.replace(":", ": ")],
    ["an end that is missing", (text: string) => text.slice(0, -1)],
    ["something behind it", (text: string) => `${text} `],
    [
      "another order",
      (text: string) => text.replace(/"format":(.*),\n"content":(.*),\n/, '"content":$2,\n"format":$1,\n'),
    ],
    ["another escape", (text: string) => text.replace("payment", "p\\u0061yment")],
    ["another number", (text: string) => text.replace('"seq":1,', '"seq":1.0,')],
    [
      "a name that stands there twice",
      (text: string) => text.replace('{"anomalies":', '{"anomalies":[],"anomalies":'),
    ],
    ["an unknown member", (text: string) => text.replace('{"anomalies":', '{"aa":1,"anomalies":')],
    ["another format", (text: string) => text.replaceAll("driftlock-evidence/1", "driftlock-evidence/2")],
    ["no JSON", (text: string) => text.replace('{"anomalies":', '{anomalies":')],
    ["nothing", () => ""],
  ])("%s", async (_, change) => {
    expect(change(file)).not.toBe(file);
    expect(Object.keys(await faultsIn(change(file)))).toEqual(["layout"]);
  });
});

describe("the envelope", () => {
  it.each<[string, (envelope: Bundle["envelope"]) => void, Check["name"][]]>([
    [
      "the signature",
      ({ signatures: [one] }) => {
        one!.sig = other(one!.sig);
      },
      ["signature"],
    ],
    [
      "its key",
      ({ signatures: [one] }) => {
        one!.keyid = digit(one!.keyid);
      },
      ["signature"],
    ],
    [
      "the type",
      (envelope) => {
        envelope.payloadType = "text/plain";
      },
      ["signature"],
    ],
    [
      "the statement",
      (envelope) => {
        envelope.payload = other(envelope.payload);
      },
      ["signature", "statement"],
    ],
  ])("%s", async (_, change, expected) => {
    expect(Object.keys(await faultsIn(withEnvelope(change))).sort()).toEqual(expected);
  });

  it("another statement, of the same form", async () => {
    const faults = await faultsIn(
      withEnvelope((envelope) => {
        const statement = Buffer.from(envelope.payload, "base64").toString().replace('"acme"', '"acmf"');
        envelope.payload = Buffer.from(statement).toString("base64");
      }),
    );
    expect(faults).toMatchObject({
      signature: ["The signature does not fit the statement and the key."],
      statement: ["The statement and the content differ in tenant."],
    });
  });

  it("a signature by another key", async () => {
    const stranger = await making();
    await fill(stranger);
    const faults = await faultsIn(await stranger.make({ anomaly: id(1) }));
    expect(Object.keys(faults)).toEqual(["key"]);
  });
});

/** Alters each member of the content, and expects it to be named. */
const members: Record<keyof Bundle["content"], (content: Bundle["content"]) => void> = {
  format: () => {},
  id: (content) => {
    content.id = digit(content.id);
  },
  tenant: (content) => {
    content.tenant = "acmf";
  },
  subject: ({ subject }) => void subject.incidents.push(id(2)),
  created_at: (content) => {
    content.created_at = "2030-01-01T00:00:00.000Z";
  },
  author: (content) => {
    content.author = "eve";
  },
  signing: ({ signing }) => {
    signing.key_id = digit(signing.key_id);
  },
  timestamping: (content) => {
    content.timestamping = { authority: "x", nonce: "4".repeat(16), policy: null, missing: "was not asked" };
  },
  versions: ({ versions }) => {
    versions.driftlock = "9.9.9";
  },
  seeds: ({ seeds }) => {
    seeds[0] = 43;
  },
  settings: ({ settings }) => {
    (settings[0]!.body.detect as { seed: number }).seed = 43;
  },
  incidents: ({ incidents }) => {
    incidents[0]!.sentence = "nothing happened";
  },
  anomalies: ({ anomalies }) => {
    anomalies[0]!.service = "other";
  },
  left_out: (content) => {
    content.left_out = [];
  },
  retention: ({ retention }) => {
    retention.max_age_ms += 1;
  },
  audit: ({ audit }) => {
    audit.entries[0]!.entry.actor = "eve";
  },
  privacy: (content) => {
    content.privacy = { hash: "0".repeat(64), policy: {}, counts: [] };
  },
  limits: ({ limits }) => void limits.pop(),
  duties: () => {},
};

describe("the content", () => {
  it.each(Object.entries(members).filter(([name]) => name !== "format" && name !== "duties"))(
    "%s",
    async (name, change) => {
      const faults = await faultsIn(withContent(change));
      expect(faults.digest?.[0]).toContain(`altered: ${name}`);
    },
  );

  it.each<[string, (content: Bundle["content"]) => void, Check["name"], string]>([
    ["settings", members.settings, "settings", "do not fit their hash"],
    [
      "settings that are missing",
      (content) => {
        content.settings = [];
      },
      "settings",
      "are missing",
    ],
    [
      "a report",
      ({ anomalies: [one] }) => {
        one!.reports[0]!.message = other(one!.reports[0]!.message);
      },
      "reports",
      "does not fit its digest",
    ],
    [
      "a figure",
      ({ anomalies: [one] }) => {
        one!.reports[0]!.report.score = 1;
      },
      "reports",
      "the readable form differs in score: 1 is stored, 30 is computed",
    ],
    ["an entry of the log", members.audit, "chain", "Entry 1 of the audit log does not fit its hash"],
    [
      "an entry's hash",
      ({ audit: { entries } }) => {
        entries[0]!.hash = digit(entries[0]!.hash);
      },
      "chain",
      "Entry 1 of the audit log does not fit its hash",
    ],
    [
      "a proof",
      ({ audit: { entries } }) => {
        entries[0]!.proof[0] = digit(entries[0]!.proof[0]!);
      },
      "proofs",
      "Entry 1 is not proven",
    ],
    [
      "the size of the log",
      ({ audit }) => {
        audit.checkpoint = audit.checkpoint.replace("\n5\n", "\n6\n");
      },
      "checkpoint",
      "is not signed by the bundle's key",
    ],
    [
      "the form of the checkpoint",
      ({ audit }) => {
        audit.checkpoint = audit.checkpoint.replace("— ", "");
      },
      "checkpoint",
      "is not a checkpoint",
    ],
    [
      "the proof that the log has only grown",
      ({ audit }) => {
        audit.previous!.proof[0] = digit(audit.previous!.proof[0]!);
      },
      "checkpoint",
      "is not proven to begin with",
    ],
    [
      "the number of entries",
      ({ retention }) => {
        retention.audit_entries -= 1;
      },
      "retention",
      "of another number of entries",
    ],
    [
      "a deletion that is not contained",
      ({ retention }) => {
        retention.deletions = 1;
      },
      "retention",
      "Of 1 entry about deletions, the bundle has 0",
    ],
    [
      "the public key",
      ({ signing }) => {
        signing.public_key = signing.public_key.replace("MCow", "MCox");
      },
      "signature",
      "is no Ed25519 public key",
    ],
    [
      "the time",
      (content) => {
        content.created_at = "2020-01-01T00:00:00.000Z";
      },
      "time",
      "is later than the bundle",
    ],
  ])("%s is named", async (_, change, name, text) => {
    const faults = await faultsIn(withContent(change));
    expect(faults[name]?.join("\n")).toContain(text);
    expect(faults.digest).toBeDefined();
  });
});

it("finds any byte that is altered, wherever it is", async () => {
  const bytes = Buffer.from(file);
  for (let at = 0; at < bytes.length; at += 211) {
    const altered = Buffer.from(bytes);
    altered[at]! ^= 1;
    expect(Object.keys(await faultsIn(altered.toString())).length).toBeGreaterThan(0);
  }
});
