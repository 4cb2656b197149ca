import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { errorCodes } from "../../src/base/error-codes.ts";
import * as driftlock from "../../src/index.ts";
import * as math from "../../src/math.ts";
import { logsRequest } from "../engine/requests.ts";

// biome-ignore lint/suspicious/noExplicitAny: what the types forbid is what these calls do.
const api = { ...driftlock, ...math } as any;
const bytes = Buffer.from("some bytes");
const test = { permutations: 9, block: 1, stopAfter: 0, seed: 1n, codec: "zstd" };
const engine = () => new driftlock.Engine(driftlock.parseConfig({}).detect, { mode: "all" });

const argument = { name: "TypeError", code: "ERR_DRIFTLOCK_INVALID_ARGUMENT" };
const range = { name: "RangeError", code: "ERR_DRIFTLOCK_OUT_OF_RANGE" };
const size = { name: "RangeError", code: "ERR_DRIFTLOCK_SIZE_LIMIT" };
const damaged = { name: "Error", code: "ERR_DRIFTLOCK_DAMAGED_INPUT" };
const config = { name: "ConfigError", code: "ERR_DRIFTLOCK_CONFIG" };

const calls: Record<string, [error: object, call: () => unknown]> = {
  "compress: a codec that does not exist": [argument, () => api.compress("brotli", bytes)],
  "compress: no bytes": [argument, () => api.compress("zstd", "text")],
  "compress: a level out of range": [range, () => api.compress("zstd", bytes, 100)],
  "compress: a column that does not fit": [
    argument,
    () => api.compress("openzl", bytes, undefined, { kind: "numeric", width: 8 }),
  ],
  "compressedSize: no codec": [argument, () => api.compressedSize()],
  "decompress: damaged zstd": [damaged, () => api.decompress("zstd", bytes, 100)],
  "decompress: damaged lz4": [damaged, () => api.decompress("lz4", bytes, 1_000)],
  "decompress: damaged gzip": [damaged, () => api.decompress("gzip", bytes, 100)],
  "decompress: damaged openzl": [damaged, () => api.decompress("openzl", bytes, 100)],
  "decompress: more than maxSize": [
    size,
    () => api.decompress("zstd", api.compress("zstd", Buffer.alloc(1_000)), 10),
  ],
  "entropy: shared memory": [argument, () => api.entropy(new Uint8Array(new SharedArrayBuffer(8)))],
  "compressionRatio: no bytes to divide by": [size, () => api.compressionRatio(Buffer.alloc(0), "zstd")],
  "deltaBits: no window": [size, () => api.deltaBits(bytes, Buffer.alloc(0), "zstd")],
  "ncd: shared memory": [argument, () => api.ncd(new Uint8Array(new SharedArrayBuffer(8)), bytes, "zstd")],
  "ncd: more than the codec reaches": [size, () => api.ncd(Buffer.alloc(2 ** 20), bytes, "lz4")],
  "ncdSizeMatched: no bytes": [argument, () => api.ncdSizeMatched(1, 2, "zstd")],
  "windowMetrics: no baseline": [size, () => api.windowMetrics(Buffer.alloc(0), bytes, "zstd")],
  "permutationTest: an option is missing": [argument, () => api.permutationTest([bytes], [bytes], {})],
  "permutationTest: an option is unknown": [
    argument,
    () => api.permutationTest([bytes], [bytes], { ...test, lvl: 3 }),
  ],
  "permutationTest: no records": [range, () => api.permutationTest([], [bytes], test)],
  "chacha20: a short key": [range, () => api.chacha20(Buffer.alloc(3), 0, Buffer.alloc(12), 8)],
  "chacha20: past the last block": [
    size,
    () => api.chacha20(Buffer.alloc(32), 2 ** 32 - 1, Buffer.alloc(12), 65),
  ],
  "parseConfig: an unknown key": [config, () => api.parseConfig({ detect: { budgt: {} } })],
  "parseConfig: a wrong value": [config, () => api.parseConfig({ detect: { threads: 17 } })],
  "parseConfig: keys that contradict each other": [
    config,
    () => api.parseConfig({ detect: { window: { records: 8, hop: 9 } } }),
  ],
  "Engine: a key file that does not exist": [
    config,
    () => new api.Engine(api.parseConfig({ detect: { key_file: "/nowhere/key" } }).detect, { mode: "all" }),
  ],
  "process: a signal that does not exist": [argument, () => engine().process("events" as "logs", "t", bytes)],
  "process: shared memory": [
    argument,
    () => engine().process("logs", "t", Buffer.from(new SharedArrayBuffer(8))),
  ],
  "process: a request that is none": [
    { name: "Error", code: "ERR_DRIFTLOCK_OTLP_MALFORMED" },
    () => engine().process("logs", "t", Buffer.from([0x0a, 0x05])),
  ],
  "process: cancelled": [
    { name: "Error", code: "ERR_DRIFTLOCK_ENGINE_CANCELLED" },
    () => {
      const busy = engine();
      const request = logsRequest(Array.from({ length: 2_000 }, (_, i) => ({ body: `hello ${i}` })));
      const pending = Promise.all(Array.from({ length: 50 }, () => busy.process("logs", "t", request)));
      busy.cancel();
      return pending;
    },
  ],
  "process: closed": [
    { name: "Error", code: "ERR_DRIFTLOCK_ENGINE_CLOSED" },
    async () => {
      const closed = engine();
      await closed.close();
      return closed.process("logs", "t", bytes);
    },
  ],
  "restore: after the first request": [
    { name: "Error", code: "ERR_DRIFTLOCK_ENGINE_STARTED" },
    async () => {
      const started = engine();
      await started.process("logs", "t", Buffer.alloc(0));
      return started.restore(Buffer.alloc(0));
    },
  ],
  "advance: too much time": [range, () => engine().advance(60_001)],
  "accept: no anomaly": [argument, () => engine().accept("t", 1 as unknown as string)],
};

it.each(Object.entries(calls))("%s", async (_name, [error, call]) => {
  await expect(async () => call()).rejects.toMatchObject(error);
});

it("the native addon and the table have the same codes", () => {
  const header = readFileSync(new URL("../../native/binding/errors.hpp", import.meta.url), "utf8");
  const native = [...header.matchAll(/"(ERR_\w+)"/g)].map(([, code]) => code);
  const elsewhere = ["ERR_DRIFTLOCK_CONFIG"];
  expect([...native, ...elsewhere].sort()).toEqual(Object.keys(errorCodes).sort());
});
