/** Starting, connections over time, services beside OTLP's own, and closing. */

import { connect as connectHttp2 } from "node:http2";
import { createRequire } from "node:module";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { credentials, loadPackageDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { protoPath as healthProto } from "grpc-health-check";
import { describe, expect, test } from "vitest";
import { Code } from "../../src/otlp/protocol.ts";
import { startReceivers } from "../../src/receive/index.ts";
import {
  afterwards,
  grpcClient,
  grpcExport,
  Holding,
  httpExport,
  receiveConfig,
  requests,
  start,
  until,
} from "./support.ts";

const hooks = {
  log: console as never,
  onRequest: () => {},
  onRequestCut: () => {},
  onConnectionRefused: () => {},
  onConnectionClosed: () => {},
};

describe("starting", () => {
  test.each(["grpc", "http"] as const)("an address in use is named with its key: %s", async (protocol) => {
    const other = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    afterwards(() => other.close());
    const { port } = other.address() as { port: number };
    const config = receiveConfig({ [protocol]: { endpoint: `127.0.0.1:${port}` } });
    await expect(startReceivers(config, async () => undefined, hooks)).rejects.toThrow(
      `receive.${protocol}.endpoint: cannot listen on 127.0.0.1:${port}: another process listens there; stop it or choose another port`,
    );
  });

  test("addresses that are not this machine's, or no addresses, are named as well", async () => {
    for (const [endpoint, why] of [
      ["192.0.2.1:4317", "no interface of this machine has that address"],
      ["no-such-host.invalid:4317", "the host name does not resolve"],
    ] as const) {
      const config = receiveConfig({ grpc: { endpoint } });
      const expected = `receive.grpc.endpoint: cannot listen on ${endpoint}: ${why}`;
      await expect(startReceivers(config, async () => undefined, hooks)).rejects.toThrow(expected);
    }
  });

  test("a start that fails leaves no port open", async () => {
    const free = await start();
    const address = free.grpc;
    await free.receivers.close(0);
    const config = receiveConfig({ grpc: { endpoint: address }, http: { endpoint: "192.0.2.1:4318" } });
    await expect(startReceivers(config, async () => undefined, hooks)).rejects.toThrow(
      "receive.http.endpoint",
    );
    await start({ grpc: { endpoint: address } });
  });

  test("IPv6 and a protocol that is off", async () => {
    const running = await start({ grpc: { endpoint: "[::1]:0" }, http: { enabled: false } });
    expect(running.grpc).toMatch(/^\[::1\]:\d+$/);
    expect(running.receivers.addresses.http).toBeUndefined();
    expect((await grpcExport(grpcClient(running.grpc), "logs", requests.logs)).code).toBe(Code.OK);
  });
});

describe("gRPC connections over time", () => {
  test("an idle connection is closed, a busy one is not", async () => {
    const holding = new Holding();
    const running = await start({ grpc: { keepalive: { max_connection_idle: 100 } } }, holding.consumer);
    const session = connectHttp2(`http://${running.grpc}`);
    const closed = new Promise((resolve) => session.on("close", resolve));
    const held = grpcExport(grpcClient(running.grpc), "logs", requests.logs);
    await holding.arrived(1);
    await closed;
    holding.releaseAll();
    expect((await held).code).toBe(Code.OK);
  });

  test("an old connection is told to go, finishes its calls, and is cut after the grace", async () => {
    const holding = new Holding();
    const keepalive = { max_connection_age: 50, max_connection_age_grace: 100 };
    const running = await start({ grpc: { keepalive } }, holding.consumer);
    const session = connectHttp2(`http://${running.grpc}`);
    const told = new Promise((resolve) => session.on("goaway", resolve));
    const stream = session.request({
      ":method": "POST",
      ":path": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
      "content-type": "application/grpc",
    });
    stream.on("error", () => {});
    session.on("error", () => {});
    stream.end(Buffer.alloc(5));
    await told;
    await holding.arrived(1);
    expect(holding.requests[0]!.abort.aborted).toBe(false);
    await until(() => holding.requests[0]!.abort.aborted);
    holding.releaseAll();
  });

  test("a peer that answers no pings is cut; one that does is not", async () => {
    const running = await start({ grpc: { keepalive: { time: 30, timeout: 30 } } });
    const [host, port] = running.grpc.split(":");
    const silent = connect(Number(port), host);
    // The client sends a preface and empty settings, and nothing after them.
    silent.write(
      Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Buffer.of(0, 0, 0, 4, 0, 0, 0, 0, 0)]),
    );
    silent.resume();
    const client = connectHttp2(`http://${running.grpc}`);
    afterwards(() => client.destroy());
    let pings = 0;
    client.on("ping", () => {
      pings += 1;
    });
    await new Promise((resolve) => silent.on("close", resolve));
    await until(() => pings >= 3);
    expect(client.closed).toBe(false);
  });
});

describe("services beside OTLP's own", () => {
  // biome-ignore lint/suspicious/noExplicitAny: what proto-loader makes has no types.
  function service(file: string, name: string): any {
    const loaded = loadPackageDefinition(loadSync(file, { enums: String, oneofs: true, defaults: true }));
    // biome-ignore lint/suspicious/noExplicitAny: as above.
    return name.split(".").reduce((at: any, part) => at[part], loaded);
  }

  function healthClient(address: string) {
    const client = new (service(healthProto, "grpc.health.v1.Health"))(address, credentials.createInsecure());
    afterwards(() => client.close());
    const check = (name: string): Promise<string> =>
      new Promise((resolve, reject) => {
        // biome-ignore lint/suspicious/noExplicitAny: as above.
        client.check({ service: name }, (error: Error | null, answer: any) =>
          error ? reject(error) : resolve(answer.status),
        );
      });
    return { client, check };
  }

  test("health tells whether it serves, and watches end when it closes", async () => {
    const running = await start({ grpc: { health: true } });
    const { client, check } = healthClient(running.grpc);
    expect(await check("")).toBe("SERVING");
    expect(await check("opentelemetry.proto.collector.logs.v1.LogsService")).toBe("SERVING");
    await expect(check("what")).rejects.toMatchObject({ code: 5 });
    const watched: string[] = [];
    const watch = client.watch({ service: "" });
    watch.on("data", (answer: { status: string }) => watched.push(answer.status));
    const ended = new Promise((resolve) => watch.on("error", resolve));
    await until(() => watched.length === 1);
    running.receivers.setServing(false);
    await until(() => watched.length === 2);
    expect(watched).toEqual(["SERVING", "NOT_SERVING"]);
    expect(await check("")).toBe("NOT_SERVING");
    expect((await grpcExport(grpcClient(running.grpc), "logs", requests.logs)).code).toBe(Code.OK);
    await running.receivers.close(60_000);
    expect(await ended).toMatchObject({ code: Code.UNAVAILABLE, details: "shutting down" });
  });

  test("a call beside OTLP's own cannot send without end", async () => {
    const running = await start({ grpc: { reflection: true } });
    const session = connectHttp2(`http://${running.grpc}`);
    session.on("error", () => {});
    const stream = session.request({
      ":method": "POST",
      ":path": "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
      "content-type": "application/grpc",
    });
    const failed = new Promise<Error>((resolve) => stream.on("error", resolve));
    stream.write(Buffer.concat([Buffer.of(0, 0, 1, 0, 0), Buffer.alloc(70_000)]));
    expect((await failed).message).toContain("ENHANCE_YOUR_CALM");
    expect((await grpcExport(grpcClient(running.grpc), "logs", requests.logs)).code).toBe(Code.OK);
  });

  test("reflection describes OTLP's services", async () => {
    const running = await start({ grpc: { reflection: true } });
    const root = createRequire(import.meta.url).resolve("@grpc/reflection");
    const file = join(root, "../../proto/grpc/reflection/v1/reflection.proto");
    const client = new (service(file, "grpc.reflection.v1.ServerReflection"))(
      running.grpc,
      credentials.createInsecure(),
    );
    afterwards(() => client.close());
    const call = client.ServerReflectionInfo();
    // biome-ignore lint/suspicious/noExplicitAny: as above.
    const ask = (question: object): Promise<any> => {
      const answer = new Promise((resolve) => call.once("data", resolve));
      call.write(question);
      return answer;
    };
    const { listServicesResponse } = await ask({ listServices: "*" });
    expect(listServicesResponse.service.map(({ name }: { name: string }) => name).sort()).toEqual([
      "opentelemetry.proto.collector.logs.v1.LogsService",
      "opentelemetry.proto.collector.metrics.v1.MetricsService",
      "opentelemetry.proto.collector.trace.v1.TraceService",
    ]);
    const symbol = "opentelemetry.proto.logs.v1.LogRecord";
    const { fileDescriptorResponse } = await ask({ fileContainingSymbol: symbol });
    expect(fileDescriptorResponse.fileDescriptorProto.length).toBeGreaterThan(1);
    const status = new Promise((resolve) => call.on("status", resolve));
    call.end();
    expect(await status).toMatchObject({ code: Code.OK });
  });
});

describe("closing", () => {
  test("requests in flight are answered, later ones are not taken, idle connections do not hold it up", async () => {
    const holding = new Holding();
    const running = await start({}, holding.consumer);
    const [host, port] = running.http.split(":");
    const idle = connect(Number(port), host);
    await new Promise((resolve) => idle.once("connect", resolve));
    const silent = connect(Number(running.grpc.split(":")[1]), host);
    await new Promise((resolve) => silent.once("connect", resolve));
    const cut = new Promise((resolve) => silent.once("close", resolve));
    const client = grpcClient(running.grpc);
    const held = [
      grpcExport(client, "logs", requests.logs),
      httpExport(running.http, "logs", requests.logs),
    ] as const;
    await holding.arrived(2);
    let closed = false;
    const closing = running.receivers.close(60_000).then(() => {
      closed = true;
    });
    await expect(httpExport(running.http, "logs", requests.logs)).rejects.toThrow("ECONNREFUSED");
    expect((await grpcExport(client, "logs", requests.logs)).code).toBe(Code.UNAVAILABLE);
    expect(closed).toBe(false);
    expect(holding.requests.some(({ abort }) => abort.aborted)).toBe(false);
    holding.releaseAll();
    expect((await held[0]).code).toBe(Code.OK);
    const answer = await held[1];
    expect(answer.status).toBe(200);
    expect(answer.headers.connection).toBe("close");
    await Promise.all([closing, cut]);
    expect(running.receivers.inWork()).toEqual({ requests: 0, bytes: 0 });
    idle.destroy();
  });

  test("what is not answered by the deadline is cut and aborted", async () => {
    const holding = new Holding();
    const running = await start({}, holding.consumer);
    const http = httpExport(running.http, "logs", requests.logs).catch((error: Error) => error);
    const grpc = grpcExport(grpcClient(running.grpc), "logs", requests.logs);
    await holding.arrived(2);
    await running.receivers.close(50);
    await until(() => holding.requests.every(({ abort }) => abort.aborted));
    expect(await http).toBeInstanceOf(Error);
    expect((await grpc).code).not.toBe(Code.OK);
    expect(running.receivers.inWork().requests).toBe(2);
    holding.releaseAll();
    await until(() => running.receivers.inWork().requests === 0);
  });

  test("a second close is as good as one", async () => {
    const running = await start();
    await Promise.all([running.receivers.close(1_000), running.receivers.close(1_000)]);
    await running.receivers.close(0);
  });
});
