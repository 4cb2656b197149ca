import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createZstdCompress } from "node:zlib";
import { describe, expect, test } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { native } from "../../src/native.ts";
import { Code } from "../../src/otlp/protocol.ts";
import { Admission } from "../../src/receive/admission.ts";
import { decompress } from "../../src/receive/decompress.ts";
import { TooLarge } from "../../src/receive/too-large.ts";

const MiB = 2 ** 20;
const { limits } = configSchema.parse({}).receive;

/** Decompresses a body; returns the result and the most that its permit held. */
async function unzstd(bytes: Buffer, { maxSize = 64 * MiB, inflight = 256 * MiB } = {}) {
  const admission = new Admission({ ...limits, max_inflight_size: inflight }, () => undefined);
  const permit = admission.admit(undefined);
  let most = 0;
  const hold = permit.hold.bind(permit);
  permit.hold = (size) => {
    most = Math.max(most, size);
    hold(size);
  };
  let turns = 0;
  const turn = () => {
    turns++;
    timer = setImmediate(turn);
  };
  let timer = setImmediate(turn);
  try {
    const result = await decompress("zstd", bytes, maxSize, permit);
    expect(admission.bytes).toBe(result.length);
    return { result, most, turns };
  } finally {
    clearImmediate(timer);
    permit.release();
    expect(admission.bytes).toBe(0);
  }
}

const repeated = (unit: Buffer, size: number) => Buffer.alloc(size - (size % unit.length), unit);
/** A frame without content, a skippable frame, and the beginning and end of a frame of many blocks (RFC 8878). */
const empty = Buffer.from("28b52ffd2000010000", "hex");
const skippable = Buffer.from("502a4d1800000000", "hex");
const [head, last] = [Buffer.from("28b52ffd0058", "hex"), Buffer.from("010000", "hex")];

describe("zstd", () => {
  test("frames one behind the other, with some to be skipped between them, are one body", async () => {
    const frames = ["hello ", "", "world"].map((text) => native.compress("zstd", Buffer.from(text)));
    const { result } = await unzstd(
      Buffer.concat([frames[0]!, skippable, frames[1]!, empty, frames[2]!, skippable]),
    );
    expect(result.toString()).toBe("hello world");
  });

  test.each([
    ["empty frames", repeated(empty, 8 * MiB), 0],
    ["frames to be skipped", Buffer.concat([repeated(skippable, 8 * MiB), empty]), 0],
    ["empty blocks", Buffer.concat([head, repeated(Buffer.from("000000", "hex"), 8 * MiB), last]), 0],
    [
      "blocks of one byte",
      Buffer.concat([head, repeated(Buffer.from("0a000061", "hex"), 8 * MiB), last]),
      2 * MiB,
    ],
  ])("does not hold the event loop: %s", async (_, bytes, size) => {
    const { result, turns } = await unzstd(bytes);
    expect(result.length).toBe(size);
    expect(turns).toBeGreaterThan(0);
  });

  test("content whose size is not declared may expand by any ratio", async () => {
    const content = Buffer.concat([randomBytes(1_000), Buffer.alloc(20 * MiB), randomBytes(1_000)]);
    const stream = createZstdCompress();
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.write(content);
    stream.end();
    await once(stream, "end");
    const bytes = Buffer.concat(chunks);
    const { result, most } = await unzstd(bytes);
    expect(result.equals(content)).toBe(true);
    expect(most).toBeLessThanOrEqual(4 * content.length + 2 * bytes.length);
  });

  test.each([1, 200, 1_000, 100_000, 3 * MiB])(
    "no more is held than a frame of %i bytes declares",
    async (size) => {
      const bytes = native.compress("zstd", randomBytes(size));
      const { result, most } = await unzstd(bytes);
      expect(result.length).toBe(size);
      expect(most).toBe(2 * bytes.length + Math.max(size, 64 * 2 ** 10));
    },
  );

  test("what is larger than allowed is refused, whether its frames say so or not", async () => {
    const declared = native.compress("zstd", Buffer.alloc(2 * MiB));
    // Each block is 128 KiB from 4 bytes.
    const silent = Buffer.concat([head, repeated(Buffer.from("02001061", "hex"), 64), last]);
    for (const bytes of [declared, silent, Buffer.concat([declared, declared])]) {
      await expect(unzstd(bytes, { maxSize: MiB })).rejects.toThrow(TooLarge);
    }
  });

  test("a body for which there is no room is refused before it has expanded", async () => {
    const bytes = native.compress("zstd", Buffer.alloc(32 * MiB));
    await expect(unzstd(bytes, { inflight: 8 * MiB })).rejects.toMatchObject({
      code: Code.RESOURCE_EXHAUSTED,
    });
  });

  test.each([
    ["nothing", Buffer.alloc(0)],
    ["half a frame", native.compress("zstd", randomBytes(1_000)).subarray(0, -10)],
    [
      "a frame and something else",
      Buffer.concat([native.compress("zstd", Buffer.from("a")), Buffer.from("something")]),
    ],
    ["a window that is too large", Buffer.from("28b52ffd00ff010000", "hex")],
  ])("%s is no body", async (_, bytes) => {
    await expect(unzstd(bytes)).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: /not valid zstd/,
    });
  });
});
