import { describe, expect, it, vi } from "vitest";
import { Forwarder } from "../../src/forward/index.ts";
import { cleanups, downstream } from "./cleanups.ts";
import { startDns } from "./dns.ts";
import {
  type Downstream,
  forwardConfig,
  gate,
  type Protocol,
  patient,
  type startDownstream,
  watch,
} from "./downstream.ts";

/** A time longer than any test. */
const never = 600_000;
const [former, latter] = ["127.0.0.1", "127.0.0.2"];

const texts = ({ received }: Downstream) => received.map(({ body }) => body.toString());

describe.each<Protocol>(["grpc", "http"])("a downstream's name, over %s", (protocol) => {
  /** Starts two downstreams on the same port of two addresses, and a forwarder to a name that has the first. */
  async function start(recheckMs: number, handler?: Parameters<typeof startDownstream>[1]) {
    const first = await downstream(protocol, handler, { host: former });
    const second = await downstream(protocol, undefined, { host: latter, port: first.port });
    const dns = await startDns(former);
    cleanups.push(() => dns.close());
    const config = forwardConfig(protocol, `http://downstream.test:${first.port}`, {
      queue: { concurrency: 1_000 },
    });
    const forward = new Forwarder(config, watch(), { lookup: dns.lookup, recheckMs });
    cleanups.push(() => forward.close(0));
    const send = (text: string) => forward.export("logs", Buffer.from(text), patient());
    /** Resolves after `count` further look-ups. */
    const rechecks = (count: number) => {
      const enough = dns.asked + count;
      return vi.waitFor(() => expect(dns.asked).toBeGreaterThanOrEqual(enough));
    };
    return { first, second, dns, send, rechecks };
  }

  it("is looked up again when its connections are lost", async () => {
    const { first, second, dns, send } = await start(never);
    await send("before");
    dns.addresses = [latter];
    await first.close();
    await send("after");
    expect(texts(first)).toEqual(["before"]);
    expect(texts(second)).toEqual(["after"]);
  });

  it("that does not resolve for a while loses nothing", async () => {
    const { second, dns, send } = await start(never);
    dns.addresses = [];
    const sent = send("a request");
    await vi.waitFor(() => expect(dns.asked).toBeGreaterThan(2));
    dns.addresses = [latter];
    await sent;
    expect(texts(second)).toEqual(["a request"]);
  });

  it("is followed from a place that goes on running, and what is under way there ends there", async () => {
    const { opened, open } = gate();
    const { first, second, dns, send } = await start(20, () => opened.then(() => ({})));
    const slow = send("slow");
    await vi.waitFor(() => expect(texts(first)).toEqual(["slow"]));
    dns.addresses = [latter];
    // Until the move is noticed, requests still go to the former address, where they wait.
    const sent: Promise<unknown>[] = [];
    await vi.waitFor(() => {
      sent.push(send(`request ${sent.length}`));
      expect(second.received.length).toBeGreaterThan(0);
    });
    await send("later");
    expect(texts(second)).toContain("later");
    open();
    await Promise.all([slow, ...sent]);
    // Nothing was sent twice.
    expect(first.received.length + second.received.length).toBe(sent.length + 2);
  });

  it("holds where it was while it keeps that address, or cannot be looked up", async () => {
    const { first, second, dns, send, rechecks } = await start(20);
    await send("before");
    dns.addresses = [latter, former];
    await rechecks(3);
    await send("one of two");
    dns.addresses = [];
    await rechecks(3);
    await send("without");
    expect(texts(first)).toEqual(["before", "one of two", "without"]);
    expect(texts(second)).toEqual([]);
  });

  it("with several addresses is tried at each", async () => {
    const { first, second, dns, send } = await start(never);
    await first.close();
    dns.addresses = [former, latter];
    await send("a request");
    expect(texts(second)).toEqual(["a request"]);
  });
});
