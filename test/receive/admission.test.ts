import { describe, expect, test } from "vitest";
import { peerOf } from "../../src/base/peer.ts";
import { Code, type ExportError } from "../../src/otlp/protocol.ts";
import { Admission, type Permit } from "../../src/receive/admission.ts";
import { GrowingBuffer } from "../../src/receive/growing-buffer.ts";
import { receiveConfig } from "./support.ts";

function admission(limits: Record<string, number> = {}) {
  const cut: string[] = [];
  const { limits: all } = receiveConfig({ limits });
  return { admission: new Admission(all, (reason) => void cut.push(reason)), cut };
}

/** Takes as many places as `address` can have. */
function fill(admission: Admission, address: string, tenant = "default"): Permit[] {
  const permits: Permit[] = [];
  for (;;) {
    let permit: Permit | undefined;
    try {
      permit = admission.admit(address);
      permit.assign(tenant);
      permits.push(permit);
    } catch (error) {
      expect((error as ExportError).code).toBe(Code.UNAVAILABLE);
      expect((error as ExportError).retryAfterMs).toBe(1_000);
      permit?.release();
      return permits;
    }
  }
}

function ticks(admission: Admission, count: number): void {
  for (let i = 0; i < count; i += 1) admission.tick();
}

describe("shares", () => {
  test("one sender may have seven eighths of the requests, and those who come later the rest", () => {
    const { admission: it } = admission({ max_concurrent_requests: 256 });
    expect(fill(it, "127.0.0.1")).toHaveLength(224);
    expect(fill(it, "127.0.0.2").length).toBeGreaterThanOrEqual(16);
    expect(it.requests).toBeLessThan(256);
  });

  test("a sender by another tenant at the same address is another sender", () => {
    const { admission: it } = admission({ max_concurrent_requests: 256 });
    expect(fill(it, "127.0.0.1", "a")).toHaveLength(224);
    expect(fill(it, "127.0.0.1", "b").length).toBeGreaterThanOrEqual(28);
  });

  test("a tenant with many addresses leaves room for others", () => {
    const { admission: it } = admission({ max_concurrent_requests: 256 });
    for (let i = 0; i < 100; i += 1) fill(it, `10.0.0.${i}`, "a");
    expect(it.requests).toBeLessThanOrEqual(240);
    expect(fill(it, "10.0.1.1", "b").length).toBeGreaterThanOrEqual(12);
  });

  test("what is given back is free for all", () => {
    const { admission: it } = admission({ max_concurrent_requests: 64, max_inflight_size: 6_400 });
    for (const permit of fill(it, "127.0.0.1")) {
      permit.hold(20);
      permit.release();
      permit.release();
      permit.hold(10);
    }
    expect([it.requests, it.bytes]).toEqual([0, 0]);
    expect(fill(it, "127.0.0.2")).toHaveLength(56);
  });

  test("limits of a few requests are not made smaller", () => {
    for (const most of [1, 2, 4, 7]) {
      const { admission: it } = admission({ max_concurrent_requests: most });
      expect(fill(it, "127.0.0.1")).toHaveLength(most);
    }
  });

  test("one sender may hold seven eighths of the bytes; one request, while it is alone, all", () => {
    const { admission: it } = admission({ max_inflight_size: 8_000 });
    const [first, second] = [it.admit("127.0.0.1"), it.admit("127.0.0.1")];
    first.hold(8_000);
    expect(() => second.hold(1)).toThrow("receive.limits.max_inflight_size");
    first.hold(3_500);
    second.hold(3_500);
    expect(() => second.hold(3_501)).toThrow("receive.limits.max_inflight_size");
    const other = it.admit("127.0.0.2");
    other.hold(875);
    expect(() => other.hold(876)).toThrow("receive.limits.max_inflight_size");
    expect(() => other.hold(8_001)).toThrow("send smaller requests");
    expect(it.bytes).toBe(7_875);
  });

  test("what is made of a request counts until it is answered, even beyond the limit", () => {
    const { admission: it } = admission({ max_inflight_size: 8_000 });
    const [first, second] = [it.admit("127.0.0.1"), it.admit("127.0.0.2")];
    first.hold(1_000);
    first.add(9_000);
    expect(it.bytes).toBe(10_000);
    expect(() => second.hold(1)).toThrow("receive.limits.max_inflight_size");
    first.release();
    second.hold(8_000);
    second.release();
    second.add(1);
    expect(it.bytes).toBe(0);
  });

  test("what arrived before the sender was known counts against its share afterwards", () => {
    const { admission: it } = admission({ max_inflight_size: 8_000 });
    const [first, second] = [it.admit("127.0.0.1"), it.admit("127.0.0.1")];
    first.assign("a");
    first.hold(6_000);
    second.hold(1_500);
    expect(() => second.assign("a")).toThrow("receive.limits.max_inflight_size");
    second.assign("b");
    second.release();
    first.release();
    expect([it.requests, it.bytes]).toEqual([0, 0]);
  });

  test("addresses of one host are one peer", () => {
    expect(peerOf("::ffff:10.1.2.3")).toBe(peerOf("10.1.2.3"));
    expect(peerOf("2001:db8::1")).toBe(peerOf("2001:db8:0:0:ffff::2"));
    expect(peerOf("2001:db8::1")).not.toBe(peerOf("2001:db8:0:1::1"));
    expect(peerOf("fe80::1%eth0")).toBe(peerOf("fe80::2"));
    expect(peerOf("::1")).not.toBe(peerOf("10.1.2.3"));
    expect(peerOf("127.0.0.1")).not.toBe(peerOf("127.0.0.2"));
  });
});

describe("bodies on their way", () => {
  /** Admits a request whose body has begun to arrive; returns its permit and the errors that it was aborted with. */
  function arriving(it: Admission, address = "127.0.0.1") {
    const permit = it.admit(address);
    const errors: ExportError[] = [];
    permit.arriving((error) => void errors.push(error));
    return { permit, errors };
  }

  test("one that stalls or trickles is cut, one that keeps coming is not", () => {
    const { admission: it, cut } = admission();
    const [stalled, trickling, steady] = [arriving(it), arriving(it), arriving(it)];
    for (let second = 0; second < 60; second += 1) {
      trickling.permit.progress(1);
      steady.permit.progress(1_024);
      it.tick();
    }
    for (const { errors } of [stalled, trickling]) {
      expect(errors).toMatchObject([{ code: Code.DEADLINE_EXCEEDED, reason: "slow" }]);
    }
    expect(steady.errors).toEqual([]);
    expect(cut).toEqual(["slow", "slow"]);
    expect(it.requests).toBe(1);
  });

  test("what came at once does not pay for a long pause", () => {
    const { admission: it } = admission();
    const { permit, errors } = arriving(it);
    permit.progress(2 ** 26);
    ticks(it, 9);
    expect(errors).toEqual([]);
    ticks(it, 3);
    expect(errors).toHaveLength(1);
  });

  test("a body that has arrived is waited for no longer", () => {
    const { admission: it } = admission();
    const { permit, errors } = arriving(it);
    permit.arrived();
    ticks(it, 100);
    permit.release();
    expect(errors).toEqual([]);
  });

  test("a permit that is released ends the reading of its body", () => {
    const { admission: it } = admission();
    const { permit, errors } = arriving(it);
    permit.release();
    expect(errors).toHaveLength(1);
    permit.arriving((error) => void errors.push(error));
    expect(errors).toHaveLength(2);
  });

  test("those that have stalled give way to others, places and bytes", () => {
    const { admission: it, cut } = admission({ max_concurrent_requests: 4, max_inflight_size: 8_000 });
    const stalled = Array.from({ length: 4 }, () => arriving(it));
    for (const { permit } of stalled) permit.hold(1_500);
    expect(() => it.admit("127.0.0.1")).toThrow("receive.limits.max_concurrent_requests");
    ticks(it, 2);
    const next = it.admit("127.0.0.1");
    expect(cut).toEqual(["stalled"]);
    expect(stalled[0]!.errors).toMatchObject([{ code: Code.UNAVAILABLE, retryAfterMs: 1_000 }]);
    next.hold(4_000);
    expect(cut).toEqual(["stalled", "stalled"]);
    expect(it.requests).toBe(3);
    expect(it.bytes).toBe(7_000);
  });

  test("a sender that holds little is not cut for one that holds much", () => {
    const { admission: it, cut } = admission({ max_concurrent_requests: 64 });
    const slow = arriving(it, "127.0.0.2");
    slow.permit.assign("default");
    ticks(it, 5);
    fill(it, "127.0.0.1");
    expect(slow.errors).toEqual([]);
    expect(cut).toEqual([]);
  });
});

describe("a growing buffer", () => {
  test.each([
    { announced: false, times: 8 },
    { announced: true, times: 32 },
  ])("holds in proportion to what has arrived, and in the end exactly that: %o", ({ announced, times }) => {
    const { admission: it } = admission();
    const permit = it.admit("127.0.0.1");
    const buffer = new GrowingBuffer(permit, { most: 2 ** 26, announced });
    const piece = Buffer.from("0123456789");
    for (let i = 0; i < 100_000; i += 1) {
      buffer.push(piece);
      expect(it.bytes).toBeLessThanOrEqual(
        Math.max(2 * buffer.length, Math.min(times * buffer.length, 2 ** 20)),
      );
    }
    const whole = buffer.finish();
    expect(whole.equals(Buffer.alloc(1_000_000, piece))).toBe(true);
    expect(whole.buffer.byteLength).toBe(1_000_000);
    expect(it.bytes).toBe(1_000_000);
  });

  test("never takes more than the length that was announced", () => {
    const { admission: it } = admission();
    const buffer = new GrowingBuffer(it.admit("127.0.0.1"), { most: 70_000 });
    for (let i = 0; i < 7; i += 1) buffer.push(Buffer.alloc(9_999));
    expect(it.bytes).toBe(70_000);
    buffer.push(Buffer.alloc(6));
    expect(it.bytes).toBe(70_000);
    buffer.push(Buffer.alloc(1));
    expect(buffer.finish()).toHaveLength(70_000);
  });
});
