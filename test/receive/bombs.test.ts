/** Decompression bombs (CVE-2024-36129), over both protocols: 1 GiB of zeros against a limit of 8 MiB. */

import { connect as connectTcp } from "node:net";
import { constants, deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { native } from "../../src/native.ts";
import {
  afterwards,
  framed,
  httpExport,
  lz4Frame,
  openCall,
  type Running,
  start,
  until,
  writePieces,
} from "./support.ts";

const mib = 2 ** 20;
const gib = 2 ** 30;
const zeros = Buffer.alloc(16 * mib);
const limits = { max_request_size: 8 * mib, max_inflight_size: 64 * mib };

/** A stream of one gibibyte: 64 blocks of 16 MiB of zeros. */
function expanding(head: Buffer, tail: Buffer): Buffer {
  const block = deflateRawSync(zeros, { finishFlush: constants.Z_SYNC_FLUSH });
  return Buffer.concat([head, ...Array.from({ length: gib / zeros.length }, () => block), tail]);
}

const gzipHead = gzipSync("").subarray(0, 10);

/** Builds a gzip stream of one gibibyte whose trailer declares `size`, true or not. */
function gzipBomb(size: number): Buffer {
  const tail = Buffer.alloc(10);
  tail[0] = 3;
  tail.writeUInt32LE(size, 6);
  return expanding(gzipHead, tail);
}

const bombs: [string, string, Buffer][] = [
  ["gzip", "gzip", gzipBomb(gib)],
  ["gzip that says it is small", "gzip", gzipBomb(100)],
  ["gzip that says it is larger still", "gzip", gzipBomb(2 ** 32 - 1)],
  [
    "gzip of many members",
    "gzip",
    Buffer.concat(Array.from({ length: gib / zeros.length }, () => gzipSync(zeros))),
  ],
  ["deflate", "deflate", expanding(deflateSync("").subarray(0, 2), Buffer.of(3, 0, 0, 0, 0, 0))],
  [
    "zstd of many frames",
    "zstd",
    Buffer.concat(Array.from({ length: gib / zeros.length }, () => native.compress("zstd", zeros))),
  ],
  ["lz4", "lz4", lz4Frame(Buffer.alloc(256 * mib))],
  ["snappy", "snappy", snappyBomb()],
];

/** A block of Snappy: one byte, and copies of 64 bytes of it; each takes three bytes. */
function snappyBomb(): Buffer {
  const copies = 2 ** 18;
  const length = 1 + 64 * copies;
  const varint = Buffer.of(
    0x80 | (length & 0x7f),
    0x80 | ((length >> 7) & 0x7f),
    0x80 | ((length >> 14) & 0x7f),
    length >> 21,
  );
  return Buffer.concat([varint, Buffer.of(0, 0), Buffer.alloc(3 * copies, Buffer.of(0xfe, 1, 0))]);
}

/** Resolves to the value of grpc-status. */
async function grpcBomb({ grpc }: Running, encoding: string, bomb: Buffer): Promise<string | undefined> {
  const { stream } = openCall(grpc, { "grpc-encoding": encoding });
  let status: string | undefined;
  let retry: unknown;
  const note = (headers: Record<string, unknown>) => {
    status ??= headers["grpc-status"] as string;
    retry ??= headers["grpc-status-details-bin"];
  };
  stream.on("response", note);
  stream.on("trailers", note);
  stream.resume();
  stream.end(framed(bomb, 1));
  await new Promise((resolve) => stream.on("close", resolve));
  expect(retry === undefined).toBe(status !== "14");
  return status;
}

/**
 * Observes memory while `work` runs: the peak of resident bytes beyond those at the start, and of bytes held by
 * permits.
 */
async function peak(
  running: Running,
  work: () => Promise<unknown>,
): Promise<{ resident: number; held: number }> {
  const before = process.memoryUsage.rss();
  let resident = 0;
  let held = 0;
  let done = false;
  const watch = async () => {
    while (!done) {
      resident = Math.max(resident, process.memoryUsage.rss() - before);
      held = Math.max(held, running.receivers.inWork().bytes);
      await new Promise(setImmediate);
    }
  };
  const watching = watch();
  await work();
  done = true;
  await watching;
  return { resident, held };
}

describe.each(bombs)("%s", (_name, encoding, bomb) => {
  test("is a small thing that grows", () => {
    expect(bomb.length).toBeLessThan(2 * mib);
  });

  test("is refused over gRPC before it has grown", async () => {
    const running = await start({ limits });
    const { resident, held } = await peak(running, async () => {
      expect(await grpcBomb(running, encoding, bomb)).toBe("8");
    });
    expect(running.taken).toEqual([]);
    expect(held).toBeLessThan(20 * mib);
    expect(resident).toBeLessThan(128 * mib);
    expect(running.receivers.inWork()).toEqual({ requests: 0, bytes: 0 });
  });

  test("is refused over HTTP before it has grown", async () => {
    const running = await start({ limits });
    const { resident, held } = await peak(running, async () => {
      const answer = await httpExport(running.http, "logs", bomb, {
        headers: { "content-encoding": encoding },
      });
      expect(answer.status).toBe(413);
    });
    expect(running.taken).toEqual([]);
    expect(held).toBeLessThan(20 * mib);
    expect(resident).toBeLessThan(128 * mib);
    expect(running.receivers.inWork()).toEqual({ requests: 0, bytes: 0 });
  });
});

test("output in pieces of one byte takes what its bytes take", async () => {
  const running = await start({ limits });
  const count = 20_000;
  const body = Buffer.concat(Array.from({ length: count }, () => gzipSync("x")));
  const { held } = await peak(running, async () => {
    const answer = await httpExport(running.http, "logs", body, { headers: { "content-encoding": "gzip" } });
    expect(answer.status).toBe(200);
  });
  expect(running.taken[0]!.body.equals(Buffer.alloc(count, "x"))).toBe(true);
  expect(held).toBeLessThan(mib);
});

test("many bombs at once stay within max_inflight_size (CVE-2024-37168)", async () => {
  const running = await start({ limits });
  const bomb = bombs[1]![2];
  const { resident, held } = await peak(running, async () => {
    const statuses = await Promise.all(Array.from({ length: 40 }, () => grpcBomb(running, "gzip", bomb)));
    // The request is too large, or there is no room at the moment.
    for (const status of statuses) expect(status).toMatch(/^(8|14)$/);
  });
  expect(running.taken).toEqual([]);
  expect(held).toBeLessThanOrEqual(64 * mib);
  expect(resident).toBeLessThan(256 * mib);
  expect(running.receivers.inWork()).toEqual({ requests: 0, bytes: 0 });
});

test("messages announced and not sent take nothing from those that are", async () => {
  const running = await start({ limits });
  for (let i = 0; i < 30; i += 1) {
    openCall(running.grpc).stream.write(framed(Buffer.alloc(1), 0, 8 * mib));
  }
  await until(() => running.receivers.inWork().bytes > 0 && running.receivers.inWork().requests === 30);
  expect(running.receivers.inWork().bytes).toBeLessThanOrEqual(30 * 64 * 2 ** 10);
  expect((await httpExport(running.http, "logs", Buffer.alloc(8 * mib))).status).toBe(200);
});

test.each([
  ["chunks of HTTP/1.1", "http"],
  ["DATA frames of HTTP/2", "grpc"],
] as const)("a body in %s of one byte takes what its bytes take", async (_name, transport) => {
  const running = await start({ limits });
  const [host, port] = running[transport].split(":");
  const bytes = 2 * mib;
  const { resident, held } = await peak(running, async () => {
    if (transport === "http") {
      const socket = connectTcp(Number(port), host);
      socket.on("error", () => {});
      afterwards(() => socket.destroy());
      socket.resume();
      const head =
        "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ntransfer-encoding: chunked\r\n\r\n";
      socket.write(head);
      const chunk = "1\r\n\n\r\n";
      await writePieces(socket, Buffer.from(chunk.repeat(4_096)), bytes / 4_096);
    } else {
      const { stream } = openCall(running.grpc);
      stream.write(framed(Buffer.alloc(0), 0, bytes));
      await writePieces(stream, Buffer.alloc(1), bytes - 1);
    }
    // This is the capacity that 2 MiB need, and no more.
    await until(() => running.receivers.inWork().bytes === bytes);
  });
  expect(held).toBe(bytes);
  expect(resident).toBeLessThan(128 * mib);
});
