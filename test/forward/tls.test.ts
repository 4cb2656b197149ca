import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generate } from "selfsigned";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { checkForward, Forwarder } from "../../src/forward/index.ts";
import { Code, type ExportError } from "../../src/otlp/protocol.ts";
import { cleanups, downstream } from "./cleanups.ts";
import { forwardConfig, type Protocol, patient, watch } from "./downstream.ts";

interface Pair {
  cert: string;
  key: string;
}

const subject = (name: string) => [{ name: "commonName", value: name }];
const ec = { keyType: "ec", algorithm: "sha256" } as const;

async function authority(name: string): Promise<Pair> {
  const made = await generate(subject(name), {
    ...ec,
    extensions: [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "keyUsage", keyCertSign: true, digitalSignature: true, critical: true },
    ],
  });
  return { cert: made.cert, key: made.private };
}

async function issue(ca: Pair, name: string, addresses: string[] = [], notAfterDate?: Date): Promise<Pair> {
  const altNames = [{ type: 2 as const, value: name }, ...addresses.map((ip) => ({ type: 7 as const, ip }))];
  const made = await generate(subject(name), {
    ...ec,
    ca,
    ...(notAfterDate && { notBeforeDate: new Date(0), notAfterDate }),
    extensions: [
      { name: "basicConstraints", cA: false },
      { name: "subjectAltName", altNames },
    ],
  });
  return { cert: made.cert, key: made.private };
}

let folder: string;
let ca: Pair;
let otherCa: Pair;
let server: Pair;
let client: Pair;
const files = { ca: "", other: "", cert: "", key: "" };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "driftlock-tls-"));
  [ca, otherCa] = await Promise.all([authority("Downstream CA"), authority("Other CA")]);
  [server, client] = await Promise.all([issue(ca, "localhost", ["127.0.0.1"]), issue(ca, "driftlock")]);
  for (const name of ["ca", "other", "cert", "key"] as const) files[name] = join(folder, `${name}.pem`);
  await writeFile(files.ca, ca.cert);
  await writeFile(files.other, otherCa.cert);
  await writeFile(files.cert, client.cert);
  await writeFile(files.key, client.key);
});
afterAll(() => rm(folder, { recursive: true }));

function forwarder(...args: Parameters<typeof forwardConfig>) {
  const forward = new Forwarder(forwardConfig(...args), watch());
  cleanups.push(() => forward.close(0));
  return forward;
}

const body = Buffer.from("a request");
const once = { retry: { enabled: false } };

async function message(forward: Forwarder): Promise<string> {
  const error = (await forward.export("logs", body, patient()).catch((reason) => reason)) as ExportError;
  expect(error.code).toBe(Code.UNAVAILABLE);
  return error.message;
}

describe.each<Protocol>(["grpc", "http"])("TLS over %s", (protocol) => {
  it("trusts the authority in ca_file", async () => {
    const { endpoint, received } = await downstream(protocol, undefined, { tls: server });
    await forwarder(protocol, endpoint, { tls: { ca_file: files.ca } }).export("logs", body, patient());
    expect(received).toHaveLength(1);
  });

  it("shows its certificate to a downstream that asks for one", async () => {
    const { endpoint, received } = await downstream(protocol, undefined, { tls: { ...server, ca: ca.cert } });
    const tls = { ca_file: files.ca, cert_file: files.cert, key_file: files.key };
    await forwarder(protocol, endpoint, { tls }).export("logs", body, patient());
    expect(received).toHaveLength(1);
    await message(forwarder(protocol, endpoint, { ...once, tls: { ca_file: files.ca } }));
    expect(received).toHaveLength(1);
  });

  it("says what to do about an authority that it does not trust", async () => {
    const { endpoint, received } = await downstream(protocol, undefined, { tls: server });
    expect(await message(forwarder(protocol, endpoint, once))).toContain("set forward.tls.ca_file");
    const tls = { ca_file: files.other };
    expect(await message(forwarder(protocol, endpoint, { ...once, tls }))).toContain(
      "set forward.tls.ca_file",
    );
    expect(received).toHaveLength(0);
  });

  it("says what to do about a certificate for another name, and takes server_name_override", async () => {
    const named = await issue(ca, "otel.example");
    const { endpoint, received } = await downstream(protocol, undefined, { tls: named });
    const tls = { ca_file: files.ca };
    expect(await message(forwarder(protocol, endpoint, { ...once, tls }))).toContain("server_name_override");
    expect(received).toHaveLength(0);
    await forwarder(protocol, endpoint, { tls: { ...tls, server_name_override: "otel.example" } }).export(
      "logs",
      body,
      patient(),
    );
    expect(received).toHaveLength(1);
  });

  it("says that a certificate has expired", async () => {
    const expired = await issue(ca, "localhost", ["127.0.0.1"], new Date(Date.now() - 86_400_000));
    const { endpoint } = await downstream(protocol, undefined, { tls: expired });
    const forward = forwarder(protocol, endpoint, { ...once, tls: { ca_file: files.ca } });
    expect(await message(forward)).toContain("renew the downstream's certificate");
  });

  it("takes any certificate with insecure_skip_verify", async () => {
    const { endpoint, received } = await downstream(protocol, undefined, { tls: await issue(otherCa, "x") });
    await forwarder(protocol, endpoint, { tls: { insecure_skip_verify: true } }).export(
      "logs",
      body,
      patient(),
    );
    expect(received).toHaveLength(1);
  });

  it("says what to do where TLS meets plain text, either way", async () => {
    const plain = await downstream(protocol);
    const toPlain = forwarder(protocol, plain.endpoint.replace("http:", "https:"), once);
    expect(await message(toPlain)).toMatch(/http:\/\/ .*forward\.endpoint/);
    const secure = await downstream(protocol, undefined, { tls: server });
    const toSecure = forwarder(protocol, secure.endpoint.replace("https:", "http:"), once);
    expect(await message(toSecure)).toMatch(/https:\/\/ .*forward\.endpoint/);
  });

  it("takes new files while it runs, and keeps the former where the new are broken", async () => {
    const mutual = { ...server, ca: ca.cert };
    const { endpoint, received } = await downstream(protocol, undefined, { tls: mutual });
    const [certFile, keyFile] = [join(folder, `${protocol}-cert.pem`), join(folder, `${protocol}-key.pem`)];
    await writeFile(certFile, client.cert);
    await writeFile(keyFile, client.key);
    const log: string[] = [];
    const hooks = watch();
    hooks.log.info = (_: unknown, text?: string) => void log.push(text ?? String(_));
    hooks.log.error = (_: unknown, text?: string) => void log.push(text ?? String(_));
    const tls = { ca_file: files.ca, cert_file: certFile, key_file: keyFile, reload_interval: 10 };
    const forward = new Forwarder(forwardConfig(protocol, endpoint, { ...once, tls }), hooks);
    cleanups.push(() => forward.close(0));
    await forward.export("logs", body, patient());

    await writeFile(certFile, "not a certificate");
    await vi.waitFor(() => expect(log.some((line) => line.includes("are invalid"))).toBe(true));
    await forward.export("logs", body, patient());

    // A pair that the downstream rejects shows that the new one is in use.
    const stranger = await issue(otherCa, "stranger");
    await writeFile(keyFile, stranger.key);
    await writeFile(certFile, stranger.cert);
    await vi.waitFor(() => expect(log.some((line) => line.includes("new connections use them"))).toBe(true));
    await message(forward);
    expect(received).toHaveLength(2);

    log.length = 0;
    const renewed = await issue(ca, "driftlock");
    await writeFile(keyFile, renewed.key);
    await writeFile(certFile, renewed.cert);
    await vi.waitFor(() => expect(log.some((line) => line.includes("new connections use them"))).toBe(true));
    await forward.export("logs", body, patient());
    expect(received).toHaveLength(3);
  });

  it("finishes on the former connection what was under way when the files changed", async () => {
    let open = () => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const { endpoint, received } = await downstream(
      protocol,
      async (_, index) => {
        if (index === 0) await opened;
        return {};
      },
      { tls: server },
    );
    const caFile = join(folder, `${protocol}-ca.pem`);
    await writeFile(caFile, ca.cert);
    const hooks = watch();
    let reloaded = false;
    hooks.log.info = () => {
      reloaded = true;
    };
    const config = forwardConfig(protocol, endpoint, {
      ...once,
      tls: { ca_file: caFile, reload_interval: 10 },
    });
    const forward = new Forwarder(config, hooks);
    cleanups.push(() => forward.close(0));
    const first = forward.export("logs", body, patient());
    await vi.waitFor(() => expect(received).toHaveLength(1));
    reloaded = false;
    await writeFile(caFile, ca.cert + otherCa.cert);
    await vi.waitFor(() => expect(reloaded).toBe(true));
    await forward.export("logs", body, patient());
    open();
    await first;
    expect(received).toHaveLength(2);
  });
});

describe("files", () => {
  it("names the field whose file does not serve", async () => {
    const junk = join(folder, "junk.pem");
    await writeFile(junk, "junk");
    const check = (tls: object) => checkForward(forwardConfig("grpc", "https://127.0.0.1:1", { tls }));
    expect(check({ ca_file: files.ca, cert_file: files.cert, key_file: files.key })).toEqual([]);
    expect(check({ ca_file: join(folder, "none.pem") })).toEqual([
      expect.stringMatching(/^forward\.tls\.ca_file: cannot read .*none\.pem: ENOENT/),
    ]);
    expect(check({ ca_file: junk })).toEqual([expect.stringMatching(/^forward\.tls\.ca_file: .*no PEM/)]);
    expect(check({ cert_file: junk, key_file: files.key })).toEqual([
      expect.stringMatching(/^forward\.tls\.cert_file: .*no PEM/),
    ]);
    const { key } = await issue(ca, "another");
    await writeFile(junk, key);
    expect(check({ cert_file: files.cert, key_file: junk })).toEqual([
      expect.stringMatching(/^forward\.tls\.cert_file and key_file: not a pair/),
    ]);
    const config = forwardConfig("http", "https://127.0.0.1:1", {
      tls: { ca_file: join(folder, "none.pem") },
    });
    expect(() => new Forwarder(config, watch())).toThrow("forward.tls.ca_file");
  });
});

describe("peers that speak something else", () => {
  it("names the protocol as the likely fault", async () => {
    const grpc = await downstream("grpc");
    expect(await message(forwarder("http", grpc.endpoint, once))).toContain("check forward.protocol");
    const http = await downstream("http");
    expect(await message(forwarder("grpc", http.endpoint, once))).toMatch(/forward\.(protocol|endpoint)/);
  });

  it("connects again after a peer that accepts and stays silent", async () => {
    let connections = 0;
    const silent = createServer((socket) => {
      connections++;
      socket.on("error", () => {});
    });
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port } = silent.address() as AddressInfo;
    const forward = forwarder("grpc", `http://127.0.0.1:${port}`, { timeout: 100 });
    const waiting = forward.export("logs", body, patient());
    await vi.waitFor(() => expect(connections).toBeGreaterThan(2), 10_000);
    silent.close();
    const real = await downstream("grpc", undefined, { port });
    await waiting;
    expect(real.received).toHaveLength(1);
  });
});
