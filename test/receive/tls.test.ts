import { once } from "node:events";
import { mkdtemp, rename, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { connect as connectHttp2 } from "node:http2";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { credentials } from "@grpc/grpc-js";
import { generate } from "selfsigned";
import { describe, expect, test } from "vitest";
import { Code } from "../../src/otlp/protocol.ts";
import { startReceivers } from "../../src/receive/index.ts";
import { afterwards, grpcClient, grpcExport, receiveConfig, requests, start, until } from "./support.ts";

interface Pem {
  private: string;
  cert: string;
}

const localhost = [
  { type: 2 as const, value: "localhost" },
  { type: 7 as const, ip: "127.0.0.1" },
];

async function authority(name: string): Promise<Pem> {
  return generate([{ name: "commonName", value: name }], {
    keyType: "ec",
    algorithm: "sha256",
    extensions: [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
}

async function certificate(name: string, ca: Pem): Promise<Pem> {
  return generate([{ name: "commonName", value: name }], {
    keyType: "ec",
    algorithm: "sha256",
    ca: { key: ca.private, cert: ca.cert },
    extensions: [{ name: "subjectAltName", altNames: localhost }],
  });
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "driftlock-tls-"));
  afterwards(() => rm(path, { recursive: true }));
  return path;
}

/** Puts a file in place at once: a server that looks meanwhile never sees half of it. */
async function put(dir: string, name: string, content: string) {
  await writeFile(join(dir, "new.pem"), content);
  await rename(join(dir, "new.pem"), join(dir, name));
}

async function write(dir: string, pem: Pem) {
  await put(dir, "cert.pem", pem.cert);
  await put(dir, "key.pem", pem.private);
}

function files(dir: string, more: object = {}) {
  return { cert_file: join(dir, "cert.pem"), key_file: join(dir, "key.pem"), reload_interval: 20, ...more };
}

/** Resolves to the common name of the certificate that the server currently presents. */
async function shown(address: string, ca: Pem): Promise<string> {
  const [host, port] = address.split(":");
  const socket = connect({ host, port: Number(port), ca: ca.cert, ALPNProtocols: ["h2", "http/1.1"] });
  await new Promise((resolve, reject) => {
    socket.once("secureConnect", resolve);
    socket.once("error", reject);
  });
  const name = String(socket.getPeerCertificate().subject.CN);
  socket.destroy();
  return name;
}

function httpsExport(address: string, ca: Pem, client?: Pem): Promise<number> {
  const [host, port] = address.split(":");
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/x-protobuf" };
    const tls = { ca: ca.cert, cert: client?.cert, key: client?.private };
    const sent = request(
      { host, port, path: "/v1/logs", method: "POST", headers, agent: false, ...tls },
      (response) => {
        response.resume();
        resolve(response.statusCode!);
      },
    );
    sent.on("error", reject);
    sent.end(requests.logs);
  });
}

const ca = await authority("authority");
const first = await certificate("first", ca);
const second = await certificate("second", ca);

describe("TLS", () => {
  test("both protocols are served", async () => {
    const dir = await folder();
    await write(dir, first);
    const running = await start({ grpc: { tls: files(dir) }, http: { tls: files(dir) } });
    const client = grpcClient(running.grpc, credentials.createSsl(Buffer.from(ca.cert)));
    expect(await grpcExport(client, "logs", requests.logs)).toMatchObject({ code: Code.OK });
    expect(await httpsExport(running.http, ca)).toBe(200);
    for (const { body } of running.taken) expect(body).toEqual(Buffer.from(requests.logs));
    // The port does not accept plain text.
    const clear = grpcClient(running.grpc);
    expect((await grpcExport(clear, "logs", requests.logs)).code).toBe(Code.UNAVAILABLE);
    expect(running.taken).toHaveLength(2);
  });

  test.each([{ ALPNProtocols: ["http/1.1"] }, {}])(
    "a client of HTTP/1.1 at the port of OTLP/gRPC is told so: %o",
    async (offer) => {
      const dir = await folder();
      await write(dir, first);
      const running = await start({ grpc: { tls: files(dir) } });
      const [host, port] = running.grpc.split(":");
      const socket = connect({ host, port: Number(port), ca: ca.cert, ...offer });
      socket.on("error", () => {}).write("POST /v1/logs HTTP/1.1\r\nhost: x\r\n\r\n");
      let answer = "";
      socket.on("data", (chunk) => {
        answer += chunk;
      });
      await once(socket, "close");
      expect(answer).toMatch(/^HTTP\/1\.1 505 /);
      expect(running.closedConnections).toEqual(["grpc protocol"]);
    },
  );

  test("HTTP/1.1 at the port of OTLP/gRPC is told that it is wrong, and idle connections are closed", async () => {
    const dir = await folder();
    await write(dir, first);
    const keepalive = { max_connection_idle: 50 };
    const running = await start({ grpc: { tls: files(dir), keepalive } });
    expect(await httpsExport(running.grpc, ca)).toBe(505);
    const session = connectHttp2(`https://${running.grpc}`, { ca: ca.cert });
    await new Promise((resolve) => session.once("close", resolve));
    expect(running.closedConnections).toEqual(["grpc protocol", "grpc idle"]);
  });

  test("a new certificate is served once its files are there; a broken one is not", async () => {
    const dir = await folder();
    await write(dir, first);
    const running = await start({ grpc: { tls: files(dir) }, http: { tls: files(dir) } });
    const both = async () => [await shown(running.grpc, ca), await shown(running.http, ca)];
    const open = grpcClient(running.grpc, credentials.createSsl(Buffer.from(ca.cert)));
    expect((await grpcExport(open, "logs", requests.logs)).code).toBe(Code.OK);
    expect(await both()).toEqual(["first", "first"]);

    // A certificate without its key, then rubbish: each is reported once per protocol.
    const complaints = () =>
      running.logged.filter(({ msg }) => String(msg).includes("keeping the previous ones"));
    await put(dir, "cert.pem", second.cert);
    await until(() => complaints().length === 2);
    expect(await both()).toEqual(["first", "first"]);
    await put(dir, "cert.pem", "rubbish");
    await until(() => complaints().length === 4);
    expect(await both()).toEqual(["first", "first"]);
    await unlink(join(dir, "cert.pem"));
    await until(() => complaints().length === 6);
    expect(await both()).toEqual(["first", "first"]);
    expect(
      complaints()
        .map(({ msg }) => String(msg).split(":")[0])
        .sort(),
    ).toEqual(["receive.grpc.tls", "receive.http.tls"].flatMap((key) => [key, key, key]));

    // The certificate comes last, so that one step makes the pair whole.
    await put(dir, "key.pem", second.private);
    await put(dir, "cert.pem", second.cert);
    await until(
      () =>
        running.logged.filter(({ msg }) => String(msg).includes("certificate files have changed")).length ===
        2,
    );
    expect(await both()).toEqual(["second", "second"]);
    // Connections that were open remain open.
    expect((await grpcExport(open, "logs", requests.logs)).code).toBe(Code.OK);
    expect(complaints()).toHaveLength(6);
  });

  test("a link that is swapped under the files is seen", async () => {
    const [root, one, two] = [await folder(), await folder(), await folder()];
    await write(one, first);
    await write(two, second);
    const link = join(root, "current");
    await symlink(one, link);
    const running = await start({ grpc: { enabled: false }, http: { tls: files(link) } });
    expect(await shown(running.http, ca)).toBe("first");
    await unlink(link);
    await symlink(two, link);
    await until(() =>
      running.logged.some(({ msg }) => String(msg).includes("certificate files have changed")),
    );
    expect(await shown(running.http, ca)).toBe("second");
  });

  test("files that are not there or do not fit refuse the start, by key", async () => {
    const dir = await folder();
    const hooks = {
      log: console as never,
      onRequest: () => {},
      onRequestCut: () => {},
      onConnectionRefused: () => {},
      onConnectionClosed: () => {},
    };
    const attempt = (protocol: "grpc" | "http") =>
      startReceivers(receiveConfig({ [protocol]: { tls: files(dir) } }), async () => undefined, hooks);
    await expect(attempt("grpc")).rejects.toThrow(/^receive\.grpc\.tls\.cert_file: cannot read .*cert\.pem/);
    await writeFile(join(dir, "cert.pem"), first.cert);
    await expect(attempt("http")).rejects.toThrow(/^receive\.http\.tls\.key_file: cannot read .*key\.pem/);
    await writeFile(join(dir, "key.pem"), second.private);
    await expect(attempt("http")).rejects.toThrow(/^receive\.http\.tls: .*cert\.pem, .*key\.pem/);
    for (const cut of ["", "rubbish", second.cert.slice(0, -10), second.cert + second.cert.slice(0, 100)]) {
      await writeFile(join(dir, "cert.pem"), cut);
      await expect(attempt("grpc")).rejects.toThrow(
        /^receive\.grpc\.tls\.cert_file: .*cert\.pem (holds no PEM certificate|ends within a PEM block; write it whole)$/,
      );
    }
  });
});

describe("mTLS", () => {
  test("clients show a certificate of the authority, or are refused", async () => {
    const dir = await folder();
    await write(dir, first);
    await writeFile(join(dir, "ca.pem"), ca.cert);
    const tls = files(dir, { client_ca_file: join(dir, "ca.pem") });
    const running = await start({ grpc: { tls }, http: { tls } });
    const other = await authority("another authority");
    const foreign = await certificate("foreign", other);

    const grpc = async (client?: Pem) => {
      const root = Buffer.from(ca.cert);
      const creds = client
        ? credentials.createSsl(root, Buffer.from(client.private), Buffer.from(client.cert))
        : credentials.createSsl(root);
      return (await grpcExport(grpcClient(running.grpc, creds), "logs", requests.logs)).code;
    };
    expect(await grpc(second)).toBe(Code.OK);
    expect(await grpc()).toBe(Code.UNAVAILABLE);
    expect(await grpc(foreign)).toBe(Code.UNAVAILABLE);
    expect(await httpsExport(running.http, ca, second)).toBe(200);
    await expect(httpsExport(running.http, ca)).rejects.toThrow();
    await expect(httpsExport(running.http, ca, foreign)).rejects.toThrow();
    expect(running.taken).toHaveLength(2);

    // A file of the authority that is being written would trust nobody: it is not used yet.
    await put(dir, "ca.pem", other.cert.slice(0, -10));
    const incomplete = () =>
      running.logged.filter(({ err }) =>
        /tls\.client_ca_file: .*ca\.pem ends within a PEM block/.test(
          (err as Error | undefined)?.message ?? "",
        ),
      );
    await until(() => incomplete().length === 2);
    expect(await grpc(second)).toBe(Code.OK);
    expect(await httpsExport(running.http, ca, second)).toBe(200);

    // The authority changes with its file as well.
    await put(dir, "ca.pem", other.cert);
    await until(
      () =>
        running.logged.filter(({ msg }) => String(msg).includes("certificate files have changed")).length ===
        2,
    );
    expect(await grpc(foreign)).toBe(Code.OK);
    expect(await grpc(second)).toBe(Code.UNAVAILABLE);
    expect(await httpsExport(running.http, ca, foreign)).toBe(200);
    await expect(httpsExport(running.http, ca, second)).rejects.toThrow();
  });
});
