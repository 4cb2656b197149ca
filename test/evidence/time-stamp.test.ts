/** Time stamps of a local authority, and what is told if there is none or it does not fit. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pino from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { canonicalJson, type Json } from "../../src/base/canonical.ts";
import { type Bundle, bundleSchema } from "../../src/evidence/bundle.ts";
import { readLines, writeLines } from "../../src/evidence/layout.ts";
import { newNonce, readAuthorities, readToken, requestOf, tokenIn } from "../../src/evidence/token.ts";
import { type Check, verifyBundle } from "../../src/verify/index.ts";
import { id } from "../store/fixtures.ts";
import { type Authority, startAuthority } from "./authority.ts";
import { fill, folder, making } from "./made.ts";

let authority: Authority;
let stranger: Authority;
beforeAll(async () => {
  authority = await startAuthority(folder());
  stranger = await startAuthority(folder());
});
afterAll(() => {
  authority.close();
  stranger.close();
});

async function make(timestamps: object): Promise<{ file: string; logged: string[] }> {
  const logged: string[] = [];
  const log = pino({}, { write: (line: string) => void logged.push(line) });
  const made = await making({ timestamps }, {}, { log });
  await fill(made);
  return { file: await made.make({ anomaly: id(1) }), logged };
}

const check = async (file: string, authorities?: string): Promise<Check> => {
  const { checks } = await verifyBundle(file, authorities === undefined ? {} : { authorities });
  return checks.find(({ name }) => name === "timestamp")!;
};

const read = (file: string): Bundle => bundleSchema.parse(JSON.parse(file));

/** Asks an authority for a token. */
async function tokenOf({ url }: Authority, data: Uint8Array, nonce = newNonce()): Promise<Uint8Array> {
  const body = await requestOf({ data, nonce, policy: null });
  const headers = { "content-type": "application/timestamp-query" };
  const answer = await fetch(url, { method: "POST", headers, body });
  return tokenIn(new Uint8Array(await answer.arrayBuffer()));
}

describe("a bundle that is stamped", () => {
  let file: string;
  beforeAll(async () => {
    file = (await make({ url: authority.url, policy: "1.2.3.4.5" })).file;
  });

  it("verifies, against the root of the authority", async () => {
    const { ok, checks } = await verifyBundle(file, { authorities: authority.root });
    expect(checks.filter((each) => each.ok === false)).toEqual([]);
    expect(ok).toBe(true);
    const confirmed =
      /^Example authority confirms that the bundle was signed at \d{4}-.*Z; whether its certificates were revoked is not known/;
    expect(await check(file, authority.root)).toMatchObject({
      ok: true,
      details: [expect.stringMatching(confirmed)],
    });
  });

  it("verifies against revocation lists", async () => {
    const { root } = authority;
    const lists = [authority.revocations("root"), authority.revocations("intermediate")];
    expect(await check(file, [root, ...lists].join("\n"))).toMatchObject({
      ok: true,
      details: [expect.stringContaining("none of its certificates was revoked")],
    });
    expect((await check(file, `${root}\n${lists[0]}`)).details[0]).toContain("a revocation list is missing");
    const revoked = async (time: Date, reason: string) => {
      const list = authority.revocations("intermediate", { name: "authority", time, reason });
      return check(file, [root, lists[0], list].join("\n"));
    };
    const [before, after] = [new Date(Date.now() - 3_600_000), new Date(Date.now() + 3_600_000)];
    const fault = {
      ok: false,
      details: [expect.stringMatching(/certificate of Example authority was revoked at/)],
    };
    expect(await revoked(before, "superseded")).toMatchObject(fault);
    expect(await revoked(after, "keyCompromise")).toMatchObject(fault);
    // What was signed before a harmless end remains valid.
    expect(await revoked(after, "cessationOfOperation")).toMatchObject({ ok: true });
    // Somebody else has no say.
    const foreign = stranger.revocations("intermediate");
    const { ok, details } = await check(file, `${root}\n${foreign}`);
    expect([ok, details.join()]).toEqual([false, expect.stringContaining("is not signed by it")]);
  });

  it("verifies against an intermediate", async () => {
    const intermediate = readFileSync(join(authority.folder, "intermediate.pem"), "utf8");
    expect(await check(file, intermediate)).toMatchObject({ ok: true });
  });

  it("is not said to be of a trusted authority without one, and is refused with another one", async () => {
    expect(await check(file)).toMatchObject({
      ok: null,
      details: [expect.stringContaining("nobody has said whether that authority is trusted")],
    });
    expect(await check(file, stranger.root)).toMatchObject({
      ok: false,
      details: [expect.stringContaining("does not lead to an authority that is trusted")],
    });
  });

  it("is accepted by openssl, which finds that another signature is not the stamped one", () => {
    const { envelope, timestamp } = read(file);
    const signature = Buffer.from(envelope.signatures[0]!.sig, "base64");
    writeFileSync(join(authority.folder, "token"), Buffer.from(timestamp!, "base64"));
    const args = ["-data", "data", "-in", "token", "-token_in", "-CAfile", "root.pem"];
    for (const [data, status] of [
      [signature, 0],
      [signature.toReversed(), 1],
    ] as const) {
      writeFileSync(join(authority.folder, "data"), data);
      expect(spawnSync("openssl", ["ts", "-verify", ...args], { cwd: authority.folder }).status).toBe(status);
    }
  });

  it.each<[string, (bundle: Bundle) => void, string]>([
    [
      "is missing",
      (bundle) => {
        bundle.timestamp = null;
      },
      "is missing",
    ],
    [
      "is another nonce's",
      ({ content }) => {
        content.timestamping!.nonce = newNonce();
      },
      "Its nonce is",
    ],
    [
      "is another policy's",
      ({ content }) => {
        content.timestamping!.policy = "1.2.3.4.1";
      },
      "Its policy is 1.2.3.4.5 instead of 1.2.3.4.1.",
    ],
    [
      "is another signature's",
      ({ envelope }) => {
        envelope.signatures[0]!.sig = Buffer.alloc(64).toString("base64");
      },
      "It is about something else than the signature.",
    ],
    [
      "is said to be missing",
      ({ content }) => {
        content.timestamping!.missing = "could not be reached";
      },
      "has a time stamp that it does not name",
    ],
    [
      "is from another time",
      ({ content }) => {
        content.created_at = "2026-01-01T00:00:00.000Z";
      },
      "The bundle says that it was made at 2026-01-01",
    ],
    [
      "is no token",
      (bundle) => {
        bundle.timestamp = "AAAA";
      },
      "cannot be read",
    ],
  ])("is refused if its time stamp %s", async (_, change, text) => {
    const bundle = read(file);
    change(bundle);
    const lines = readLines(file);
    const line = (member: keyof Bundle) => canonicalJson(bundle[member] as Json);
    const altered = writeLines({
      ...lines,
      content: line("content"),
      envelope: line("envelope"),
      timestamp: line("timestamp"),
    });
    const found = await check(altered, authority.root);
    expect(found).toMatchObject({ ok: false });
    expect(found.details.join("\n")).toContain(text);
  });

  it("confirms the same time or none if any byte of its token is altered", async () => {
    const { envelope, timestamp, content } = read(file);
    const { nonce, policy } = content.timestamping!;
    const asked = { data: Buffer.from(envelope.signatures[0]!.sig, "base64"), nonce, policy };
    const anchors = await readAuthorities(authority.root);
    const token = Buffer.from(timestamp!, "base64");
    const own = await readToken(token, asked, anchors);
    let refused = 0;
    for (let at = 0; at < token.length; at += 3) {
      const altered = Buffer.from(token);
      altered[at]! ^= 1;
      const found = await readToken(altered, asked, anchors).catch(() => undefined);
      // The length of a field, the version and what else is not signed may differ without consequence.
      if (found?.faults.length === 0) expect(found).toEqual(own);
      else refused += 1;
    }
    expect(refused).toBeGreaterThan(0.9 * (token.length / 3));
  });
});

describe("a token", () => {
  const data = new Uint8Array(64).fill(7);

  it("of a certificate for other purposes is refused", async () => {
    const nonce = newNonce();
    // OpenSSL signs with a certificate for time stamps alone, so the purpose is altered after it has signed.
    const token = Buffer.from(await tokenOf(authority, data, nonce));
    const purpose = Buffer.from("2b06010505070308", "hex");
    const at = token.lastIndexOf(purpose);
    expect(at).toBeGreaterThan(0);
    token[at + 7] = 1;
    expect((await readToken(token, { data, nonce, policy: null })).faults).toContain(
      "Its certificate is not one for time stamps alone.",
    );
  });

  it("with certificates that certify each other in a circle is refused", async () => {
    const { folder: cwd } = stranger;
    const by = ["-CA", "intermediate.pem", "-CAkey", "intermediate.key", "-CAcreateserial"];
    const extensions = ["-extfile", "tsa.cnf", "-extensions", "root"];
    spawnSync("openssl", ["x509", "-req", "-in", "root.csr", ...by, ...extensions, "-out", "circle.pem"], {
      cwd,
    });
    const circle = ["intermediate.pem", "circle.pem"].map((name) => readFileSync(join(cwd, name), "utf8"));
    writeFileSync(join(cwd, "chain.pem"), circle.join(""));
    const nonce = newNonce();
    const token = await tokenOf(stranger, data, nonce);
    const anchors = await readAuthorities(authority.root);
    expect((await readToken(token, { data, nonce, policy: null }, anchors)).faults).toEqual([
      "Its certificate does not lead to an authority that is trusted: too many certificates.",
    ]);
  });
});

describe("a bundle whose authority", () => {
  const withAnswer = async (answer: Authority["answer"], timestamps: object = {}) => {
    authority.answer = answer;
    try {
      return await make({ url: authority.url, ...timestamps });
    } finally {
      authority.answer = undefined;
    }
  };

  it.each<[string, Authority["answer"], object, string]>([
    ["fails", (_, response) => response.writeHead(503).end(), {}, "answered with the status 503"],
    ["refuses", undefined, { policy: "1.2.3.4.9" }, "refused, with the status 2 (Requested policy"],
    ["sends something else", (_, response) => response.end("hello"), {}, "sent no answer of RFC 3161"],
    ["sends nothing", (_, response) => response.end(), {}, "sent no answer of RFC 3161"],
    ["never answers", () => {}, { timeout: "200ms" }, "did not answer within 200 ms"],
    [
      "never ends its answer",
      (_, response) => void response.write("0"),
      { timeout: "200ms" },
      "did not answer within 200 ms",
    ],
    ["sends far too much", (_, response) => response.end(Buffer.alloc(2 ** 21)), {}, "could not be reached"],
    [
      "sends more than a token",
      (_, response, own) => response.end(Buffer.concat([own(), Buffer.from("x")])),
      {},
      "sent no answer of RFC 3161",
    ],
    [
      "repeats an earlier answer",
      (() => {
        let first: Uint8Array | undefined;
        return (_, response, own) => {
          first ??= readFileSync(join(authority.folder, "reply"));
          own();
          response.end(first);
        };
      })(),
      {},
      "sent a token that does not fit: It is about something else than the signature. Its nonce is",
    ],
    ["points elsewhere", (_, response) => response.writeHead(307, { location: "/" }).end(), {}, "reached"],
  ])("%s says so, and is made without a time stamp", async (_, answer, timestamps, reason) => {
    const { file, logged } = await withAnswer(answer, timestamps);
    const { content, timestamp } = read(file);
    expect(timestamp).toBeNull();
    expect(content.timestamping!.missing).toContain(reason);
    expect(logged.map((line) => JSON.parse(line))).toEqual([
      expect.objectContaining({ level: 40, msg: "evidence: a bundle gets no time stamp" }),
    ]);
    const verdict = await verifyBundle(file, { authorities: authority.root });
    expect(verdict).toMatchObject({ ok: true });
    expect(await check(file)).toMatchObject({
      ok: null,
      details: [expect.stringContaining(`The bundle has no time stamp: the authority 127.0.0.1:`)],
    });
  });

  it("is away says so without its address, and does not hold up the bundles behind it", async () => {
    const made = await making({ timestamps: { url: "http://127.0.0.1:1/tsr" } });
    await fill(made);
    const files = [await made.make({ anomaly: id(1) }), await made.make({ anomaly: id(1) })];
    const missing = files.map((file) => read(file).content.timestamping!.missing);
    expect(missing).toEqual([
      "could not be reached",
      "was not asked, since shortly before, it could not be reached",
    ]);
  });

  it("is none says that none was asked", async () => {
    const made = await making();
    await fill(made);
    const file = await made.make({ anomaly: id(1) });
    expect(read(file).content.timestamping).toBeNull();
    expect(await check(file, authority.root)).toEqual({
      name: "timestamp",
      ok: null,
      details: ["The bundle has no time stamp, and none was asked for."],
    });
  });
});
