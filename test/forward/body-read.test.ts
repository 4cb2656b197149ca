/** When the body of a request is read no more, so that its memory can be given back. */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { DurableForwarder } from "../../src/forward/durable.ts";
import { Forwarder } from "../../src/forward/index.ts";
import { Code } from "../../src/otlp/protocol.ts";
import { cleanups, downstream, newFolder } from "./cleanups.ts";
import { forwardConfig, type Protocol, patient, startDownstream, unavailable, watch } from "./downstream.ts";
import { respond, startRaw } from "./raw-grpc.ts";

type Overrides = Parameters<typeof forwardConfig>[2];

/** More than a connection takes that nobody reads from. */
const large = Buffer.alloc(8 * 2 ** 20, "a");
const quickly: Overrides = { timeout: 500, retry: { initial_interval: 10, max_interval: 10 } };

async function exportOne(protocol: Protocol, endpoint: string, overrides: Overrides = {}) {
  const seen = watch();
  const forward = new Forwarder(forwardConfig(protocol, endpoint, overrides), seen);
  cleanups.push(() => forward.close(0));
  let read = 0;
  await forward.export("logs", large, patient(), () => read++);
  return { attempts: seen.attempts, read };
}

/** Starts a server that does not read the first request with a body, and answers the others. Returns its endpoint. */
async function unreadAtFirst(protocol: Protocol): Promise<string> {
  if (protocol === "grpc") {
    const raw = await startRaw(async (call, index) => {
      if (index === 0) return call.stream.pause();
      await call.body;
      respond(call);
    });
    cleanups.push(() => raw.close());
    return raw.endpoint;
  }
  const unread: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    // An empty request checks whether the downstream is available.
    if (unread.length === 0 && request.headers["content-length"] !== "0") return unread.push(request);
    request.resume().on("end", () => response.writeHead(200).end());
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  cleanups.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe.each<Protocol>(["grpc", "http"])("over %s", (protocol) => {
  it("is said once a request was delivered", async () => {
    const server = await downstream(protocol);
    for (const compression of ["none", "gzip"] as const) {
      const { attempts, read } = await exportOne(protocol, server.endpoint, { compression });
      expect({ attempts, read }).toEqual({ attempts: [Code.OK], read: 1 });
    }
    expect(server.received[0]!.body.equals(large)).toBe(true);
  });

  it("is not said while the connection of an attempt that failed may still read it", async () => {
    const { attempts, read } = await exportOne(protocol, await unreadAtFirst(protocol), quickly);
    expect({ attempts, read }).toEqual({ attempts: [Code.DEADLINE_EXCEEDED, Code.OK], read: 0 });
  });

  it("is not said of a request that the downstream refuses, of which the sender hears", async () => {
    const server = await downstream(protocol, () => unavailable(protocol));
    await expect(exportOne(protocol, server.endpoint, { retry: { enabled: false } })).rejects.toThrow(
      "UNAVAILABLE",
    );
  });
});

it("is not said of a request that is kept on disk", async () => {
  const server = await startDownstream("grpc");
  cleanups.push(() => server.close());
  const config = forwardConfig("grpc", server.endpoint, { queue: { storage: "disk" } });
  const forward = await DurableForwarder.open(config, watch(), await newFolder());
  cleanups.push(() => forward.close(0));
  let read = 0;
  const exporter: Pick<Forwarder, "export"> = forward;
  await exporter.export("logs", Buffer.from("a request"), patient(), () => read++);
  expect(read).toBe(0);
});
