/** Misuse of the native surface, each case run by a process of its own: `node cases.ts NAME`. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import vm from "node:vm";
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { type EngineOptions, type NativeEngine, native } from "../../../src/native.ts";
import { logsRequest } from "../../engine/requests.ts";

const options: EngineOptions = {
  streamBy: ["service.name"],
  groupBy: ["service.name"],
  instanceBy: ["service.instance.id"],
  baselineRecords: 100,
  dictionarySize: 24_576,
  acceptAfterMs: 86_400_000,
  windowRecords: 256,
  windowHop: 128,
  alarmsPerStreamPerDay: 1,
  alarmsPerGroupPerDay: 0,
  alarmsPerTenantPerDay: 50,
  alarmsPerProcessPerDay: 1_000,
  codec: "zstd",
  permutations: 199,
  seed: 42n,
  threads: 2,
  maxStreams: 1_000,
  streamsPerTenant: 0,
  flaggedOnly: false,
  scores: false,
};

const make = (given: Partial<EngineOptions> = {}) => new native.Engine({ ...options, ...given });
/** Returns a request's bytes on an ArrayBuffer of its own. */
const request = (records = 2_000) =>
  new Uint8Array(
    logsRequest(
      Array.from({ length: records }, (_, i) => ({ body: `hello ${"abcdefghij"[i % 10]} world ${i}` })),
    ),
  );
const shared = (bytes: Uint8Array) => {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
};
const resizable = (bytes: Uint8Array) => {
  const buffer = new ArrayBuffer(bytes.length, { maxByteLength: 2 * bytes.length });
  const copy = new Uint8Array(buffer);
  copy.set(bytes);
  return copy;
};
const lines = (word: string, count = 40) =>
  Array.from({ length: count }, (_, i) => Buffer.from(`${word} ${i}\n`));
const test = { permutations: 100_000, block: 1, stopAfter: 0, seed: 1n, codec: "zstd" } as const;
// biome-ignore lint/suspicious/noExplicitAny: what the types forbid is what these cases do.
const any = (value: unknown) => value as any;

/** TypeScript has no types for WebAssembly without those of the DOM. */
const wasm = any(globalThis).WebAssembly;

/** Reads a copy of all that an engine has learned. Returns its size. */
async function copy(engine: NativeEngine): Promise<number> {
  let size = 0;
  await engine.checkpoint("copy");
  for (let piece = await engine.checkpointPiece(); piece.length > 0; piece = await engine.checkpointPiece())
    size += piece.length;
  await engine.endCheckpoint();
  return size;
}

/** Calls that take one bytes argument each, for which `bytes` is passed. */
const withBytes = (engine: NativeEngine, bytes: Uint8Array): Record<string, () => unknown> => ({
  request: () => engine.process("logs", "t", bytes),
  piece: () => engine.restore(bytes),
  compress: () => native.compress("zstd", bytes),
  compressedSize: () => native.compressedSize("openzl", bytes),
  decompress: () => native.decompress("zstd", bytes, 1_000),
  decompressAsync: () => native.decompressAsync("zstd", bytes, 1_000),
  split: () => native.split("logs", any(bytes), 100),
  countRecords: () => native.countRecords("logs", any(bytes)),
  spendAlarms: () => native.spendAlarms({ perDay: 1, perTenantPerDay: 1 }, any(bytes), 1, []),
  entropy: () => native.entropy(bytes),
  compressionRatio: () => native.compressionRatio(bytes, "lz4"),
  deltaBits: () => native.deltaBits(bytes, bytes, "gzip"),
  ncd: () => native.ncd(bytes, bytes, "zstd"),
  ncdSizeMatched: () => native.ncdSizeMatched(bytes, bytes, "zstd"),
  windowMetrics: () => native.windowMetrics(bytes, bytes, "zstd"),
  permutationTest: () => native.permutationTest([bytes], [bytes], test),
  chacha20: () => native.chacha20(bytes, 0, Buffer.alloc(12), 8),
});

/** Ends workers at arbitrary times in their lives. */
async function endWorkers(name: string, rounds: number): Promise<void> {
  for (let i = 0; i < rounds; i++) {
    const workers = [0, 1, 2].map(() => new Worker(fileURLToPath(import.meta.url), { workerData: name }));
    const ended = workers.map((worker) => new Promise((resolve) => worker.once("exit", resolve)));
    for (const worker of workers) worker.on("error", (error) => assert.fail(error));
    await sleep(40 + ((i * 67) % 300));
    await Promise.all(workers.map((worker) => worker.terminate()));
    await Promise.all(ended);
  }
}

/** The endless work of such workers. */
const workers: Record<string, () => Promise<void>> = {
  async everything() {
    const [one, two] = [make({ threads: 4 }), make({ threads: 1 })];
    const bytes = request();
    let copying = false;
    for (;;) {
      for (let i = 0; i < 10; i++) {
        void one.process("logs", `t${i}`, bytes);
        void two.process("logs", "t", bytes);
      }
      if (!copying) {
        copying = true;
        void copy(one).finally(() => {
          copying = false;
        });
      }
      void one.statistics(10);
      void two.advance(1_000, []);
      void native.permutationTest(lines("a"), lines("b"), test);
      void native.decompressAsync("zstd", native.compress("zstd", bytes), 2 ** 20);
      await sleep(1);
    }
  },
  async hoarding() {
    const engine = make();
    const bytes = request();
    const kept: unknown[] = [];
    for (;;) {
      for (let i = 0; i < 20; i++) {
        kept.push(engine.process("logs", "t", bytes), native.permutationTest(lines("a"), lines("b"), test));
      }
      kept.push(Array.from({ length: 20_000 }, (_, i) => ({ i })));
      await new Promise(setImmediate);
    }
  },
  async constructors() {
    for (;;) {
      make({ threads: 4 });
      await new Promise(setImmediate);
    }
  },
  /** The environment ends inside a constructor, where the option is read. */
  async insideConstructor() {
    const slow = Object.defineProperty({ ...options }, "scores", {
      get() {
        for (;;);
      },
    });
    new native.Engine(slow);
  },
};

const cases: Record<string, () => unknown> = {
  async closeTwice() {
    const engine = make();
    const pending = engine.process("logs", "t", request());
    const closing = [engine.close(), engine.close()];
    assert.throws(() => engine.process("logs", "t", request(1)), { code: "ERR_DRIFTLOCK_ENGINE_CLOSED" });
    await Promise.all([pending, ...closing]);
    await engine.close();
    for (const late of [
      () => engine.process("logs", "t", request(1)),
      () => engine.advance(1_000, []),
      () => engine.observeTime("t", 1n),
      () => engine.checkpoint("copy"),
      () => engine.checkpointPiece(),
      () => engine.endCheckpoint(),
      () => engine.restore(Buffer.alloc(0)),
      () => engine.completeRestore(true),
      () => engine.statistics(1),
      () => engine.feedback("t", "id", "accept"),
    ])
      assert.throws(late, { code: "ERR_DRIFTLOCK_ENGINE_CLOSED" });
    engine.cancel();
    assert.equal(engine.stats().streams, 0);
  },
  async closeFromPromises() {
    const engine = make();
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        await engine.process("logs", "t", request(100));
        await engine.close();
      }).map((each) => each.catch((error) => assert.equal(error.code, "ERR_DRIFTLOCK_ENGINE_CLOSED"))),
    );
  },
  async checkpointsOutOfTurn() {
    const engine = make();
    const code = "ERR_DRIFTLOCK_INVALID_CALL";
    for (const early of [() => engine.checkpointPiece(), () => engine.endCheckpoint()])
      assert.throws(early, { code });
    const begun = engine.checkpoint("changes");
    assert.throws(() => engine.checkpointPiece(), { code });
    assert.throws(() => engine.checkpoint("copy"), { code });
    await begun;
    assert.throws(() => engine.checkpoint(any("some")), { code: "ERR_DRIFTLOCK_INVALID_ARGUMENT" });
    const pieces = [engine.checkpointPiece(), engine.checkpointPiece()];
    await engine.endCheckpoint();
    await Promise.all(pieces);
    assert.throws(() => engine.restore(Buffer.alloc(0)), { code: "ERR_DRIFTLOCK_ENGINE_STARTED" });
    await engine.close();

    const fresh = make();
    const restoring = fresh.restore(Buffer.from("no records"));
    assert.throws(() => fresh.process("logs", "t", request(1)), { code });
    await restoring;
    assert.match(await fresh.completeRestore(true), /damaged/);
    assert.equal((await fresh.process("logs", "t", request(1))).records, 1);
    await fresh.checkpoint("all");
    await fresh.close();
  },
  closeFromGetter() {
    const engine = make();
    const heard = Object.defineProperty(["a", "b"], 1, {
      get() {
        void engine.close();
        return "b";
      },
    });
    assert.throws(() => engine.advance(1_000, heard), { code: "ERR_DRIFTLOCK_ENGINE_CLOSED" });
  },
  /** Promises look for `then` in the value that they resolve to. */
  async callsFromThenGetter() {
    const engine = make();
    const pending = [
      engine.process("logs", "t", request(10)),
      engine.checkpoint("copy"),
      engine.process("logs", "t", request(10)),
    ];
    let calls = 0;
    // biome-ignore lint/suspicious/noThenProperty: that it is looked for is what the case is about.
    Object.defineProperty(Object.prototype, "then", {
      configurable: true,
      get() {
        if (calls++ > 100) return undefined;
        try {
          void engine.process("logs", "t", request(1)).catch(() => undefined);
          engine.cancel();
          if (calls > 1) void engine.close();
        } catch {}
        return undefined;
      },
    });
    await Promise.allSettled(pending);
    // @ts-expect-error: it was defined above.
    delete Object.prototype.then;
    await engine.close();
    assert.ok(calls > 0);
  },
  async detached() {
    const engine = make();
    for (let i = 0; i < 20; i++) {
      const bytes = request();
      const pending = engine.process("logs", "t", bytes);
      structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
      globalThis.gc!();
      assert.equal((await pending).records, 2_000);
    }
  },
  async shrunk() {
    const engine = make();
    const bytes = resizable(request());
    const pending = engine.process("logs", "t", bytes);
    (bytes.buffer as ArrayBuffer).resize(10);
    assert.equal((await pending).records, 2_000);
    for (const [name, call] of Object.entries(withBytes(engine, bytes))) {
      await Promise.resolve()
        .then(call)
        .catch((error) => assert.ok(error instanceof Error, name));
    }
  },
  /** Requests beyond what is copied at once wait in JavaScript's memory. */
  async detachedWhileItWaits() {
    const engine = make();
    const large = new Uint8Array(20 * 2 ** 20);
    const pending = [large, large, resizable(request()), request(), request()].map(
      (bytes) => [bytes, engine.process("logs", "t", bytes)] as const,
    );
    structuredClone(pending[3]![0].buffer, { transfer: [pending[3]![0].buffer] });
    (pending[2]![0].buffer as ArrayBuffer).resize(1);
    const outcomes = await Promise.allSettled(pending.map(([, outcome]) => outcome));
    assert.deepEqual(
      outcomes.map((outcome) => outcome.status === "fulfilled" || outcome.reason.name),
      ["Error", "Error", "TypeError", "TypeError", true],
    );
    assert.equal(engine.stats().pending, 0);
  },
  async cancelledWhileItWaits() {
    const engine = make();
    const large = request(60_000);
    const pending = Array.from({ length: 20 }, () => engine.process("logs", "t", large));
    const size = copy(engine);
    engine.cancel();
    const after = engine.process("logs", "t", request(5));
    const outcomes = await Promise.allSettled(pending);
    assert.equal(outcomes.at(-1)!.status, "rejected");
    assert.ok((await size) > 0);
    assert.equal((await after).records, 5);
    await engine.close();
  },
  async changed() {
    const engine = make();
    const bytes = request();
    const pending = Array.from({ length: 10 }, () => engine.process("logs", "t", bytes));
    bytes.fill(0xff);
    for (const outcome of await Promise.all(pending)) assert.equal(outcome.records, 2_000);
  },
  async sharedMemory() {
    const memory = new wasm.Memory({ initial: 1, maximum: 4, shared: true });
    for (const bytes of [shared(request(10)), new Uint8Array(memory.buffer)]) {
      const engine = make();
      for (const [name, call] of Object.entries(withBytes(engine, bytes))) {
        await assert.rejects(async () => call(), { name: "TypeError", message: /SharedArrayBuffer/ }, name);
      }
    }
  },
  async growingWebAssemblyMemory() {
    const memory = new wasm.Memory({ initial: 2, maximum: 100 });
    const bytes = request(100);
    const inside = new Uint8Array(memory.buffer, 64, bytes.length);
    inside.set(bytes);
    const engine = make();
    const pending = engine.process("logs", "t", inside);
    memory.grow(50);
    globalThis.gc!();
    assert.equal((await pending).records, 100);
  },
  wrongReceivers() {
    const methods = Object.getOwnPropertyNames(native.Engine.prototype).filter(
      (name) => name !== "constructor",
    );
    assert.ok(methods.length >= 9);
    const receivers = [
      {},
      Object.create(native.Engine.prototype),
      new Proxy(make(), {}),
      1,
      null,
      native,
      Buffer.alloc(64),
    ];
    for (const method of methods)
      for (const receiver of receivers)
        assert.throws(
          () => any(native.Engine.prototype)[method].call(receiver, "logs", "t", Buffer.alloc(1)),
          TypeError,
          method,
        );
    assert.throws(() => any(native.Engine)(options), TypeError);
    class Half extends native.Engine {
      constructor() {
        super(any({}));
      }
    }
    assert.throws(() => new Half(), TypeError);
    globalThis.gc!();
  },
  optionsNameTheField() {
    const wrong: [keyof EngineOptions, unknown[]][] = [
      [
        "streamBy",
        [
          undefined,
          null,
          "a",
          [1],
          [Symbol("a")],
          ["x".repeat(2_000)],
          Array(2 ** 32 - 1),
          new Proxy({}, {}),
        ],
      ],
      ...(
        ["baselineRecords", "dictionarySize", "windowRecords", "windowHop", "threads", "maxStreams"] as const
      ).map((name): [keyof EngineOptions, unknown[]] => [
        name,
        [undefined, "1", 0, -1, 1.5, NaN, Infinity, 2 ** 53, {}, 1n],
      ]),
      ["permutations", [undefined, -1, 10_000, NaN]],
      ["streamsPerTenant", [undefined, -1, 2 ** 32, NaN]],
      ["acceptAfterMs", [undefined, -1, NaN, 1e300, Infinity]],
      ["groupBy", [undefined, "a", [1], Array(9).fill("a")]],
      ["instanceBy", [undefined, "a", [1], Array(9).fill("a")]],
      ["changeAttributes", [null, "a", [1], Array(17).fill("a")]],
      ["alarmsPerStreamPerDay", [undefined, 0, -1, NaN, Infinity]],
      ["alarmsPerGroupPerDay", [undefined, -1, NaN, Infinity]],
      ["alarmsPerTenantPerDay", [undefined, -1, NaN, Infinity]],
      ["alarmsPerProcessPerDay", [undefined, -1, NaN, Infinity]],
      ["codec", [undefined, 1, "brotli", "zstd".repeat(2 ** 20), Symbol("zstd")]],
      ["seed", [undefined, 1, -1n, 2n ** 64n]],
      ["hashKey", [null, "key", Buffer.alloc(31), shared(Buffer.alloc(32))]],
      ["flaggedOnly", [undefined, 1, null]],
      ["scores", [undefined, "true"]],
    ];
    for (const [name, values] of wrong)
      for (const value of values)
        assert.throws(
          () => make({ [name]: value }),
          (error: Error) =>
            error.message.startsWith(`options.${name}`) && /^(Type|Range)Error$/.test(error.name),
          name,
        );
    make({ hashKey: undefined });
    for (const value of [undefined, null, 1, "x"])
      assert.throws(() => new native.Engine(any(value)), /options must be an object/);
    const argument = "ERR_DRIFTLOCK_INVALID_ARGUMENT";
    assert.throws(() => new native.Engine(any({})), {
      code: argument,
      message: "options.streamBy is missing",
    });
    for (const name of Object.keys(options)) {
      const rest = Object.fromEntries(Object.entries(options).filter(([other]) => other !== name));
      const message = `options.${name} is missing`;
      assert.throws(() => new native.Engine(any(rest)), { code: argument, message }, name);
    }
    const message = "options.windowRecord is not an option";
    assert.throws(() => make(any({ windowRecord: 256 })), { code: argument, message });
    // An inherited property is no option.
    new native.Engine(Object.assign(Object.create({ windowRecord: 256 }), options));
    const thrown = new Error("from a getter");
    const throwing = new Proxy(
      { ...options },
      {
        get: () => {
          throw thrown;
        },
      },
    );
    assert.throws(() => new native.Engine(throwing), thrown);
  },
  async longTexts() {
    const long = "x".repeat(2 ** 28);
    const engine = make();
    const range = { name: "RangeError" };
    assert.throws(() => engine.process(any(long), "t", request(1)), range);
    assert.throws(() => engine.process("logs", long, request(1)), range);
    assert.throws(() => engine.advance(1_000, [long]), range);
    assert.throws(() => engine.feedback(long, "id", "accept"), range);
    assert.throws(() => engine.feedback("t", long, "accept"), range);
    assert.throws(() => engine.feedback("t", "id", any(long)), range);
    assert.throws(() => native.compress(any(long), request(1)), { name: "TypeError" });
    // The same records a thousand times over exceed what any codec looks back on.
    const once = Buffer.alloc(2 ** 28);
    await assert.rejects(native.permutationTest(Array(1_000).fill(once), [once], test), range);
    await assert.rejects(native.permutationTest(Array(2 ** 32 - 1), [once], test), range);
  },
  /** Scripts end while the addon reads their objects. */
  async endedInsideGetters() {
    const engine = make();
    const never = {
      get(): never {
        for (;;);
      },
    };
    const given = {
      native,
      options,
      engine,
      proxy: new Proxy({}, never),
      lines: Object.defineProperty([1, 2], 0, never),
    };
    for (const script of [
      "new native.Engine(proxy)",
      "engine.advance(1_000, lines)",
      "native.permutationTest([], [], proxy)",
      "native.permutationTest(lines, [], { permutations: 5, block: 1, stopAfter: 0, seed: 1n, codec: 'zstd' })",
      "native.compress('openzl', new Uint8Array(8), undefined, proxy)",
      "for (;;) void engine.process('logs', 't', new Uint8Array(0))",
    ])
      assert.throws(
        () => vm.runInNewContext(script, given, { timeout: 30 }),
        { code: "ERR_SCRIPT_EXECUTION_TIMEOUT" },
        script,
      );
    assert.equal((await engine.process("logs", "t", request(10))).records, 10);
  },
  /** Whatever a getter throws is thrown again; a setter on Object.prototype does no harm either. */
  async thrownByGetters() {
    for (const value of [undefined, null, 0, "text", Symbol("s"), new Error("e")]) {
      const throwing = new Proxy(options, {
        get() {
          throw value;
        },
      });
      try {
        new native.Engine(throwing);
        assert.fail("nothing was thrown");
      } catch (error) {
        assert.equal(error, value);
      }
    }
    const engine = make();
    for (const [name, call] of [
      ["code", () => engine.process("logs", "t", Buffer.from("garbage"))],
      ["records", () => engine.process("logs", "t", request(1))],
      ["found", () => engine.feedback("t", "id", "accept")],
      ["pValue", () => native.permutationTest(lines("a"), lines("b"), { ...test, permutations: 5 })],
    ] as const) {
      Object.defineProperty(Object.prototype, name, {
        configurable: true,
        set() {
          throw new Error("from a setter");
        },
      });
      const rejected = assert.rejects(call(), /from a setter/);
      await rejected.finally(() => Reflect.deleteProperty(Object.prototype, name));
    }
  },
  /** Workers that run out of memory have pending work as well. */
  async workersWithoutMemory() {
    for (let i = 0; i < 3; i++) {
      const worker = new Worker(fileURLToPath(import.meta.url), {
        workerData: "hoarding",
        resourceLimits: { maxOldGenerationSizeMb: 24 },
      });
      const failed = new Promise<NodeJS.ErrnoException>((resolve) => worker.once("error", resolve));
      await new Promise((resolve) => worker.once("exit", resolve));
      assert.equal((await failed).code, "ERR_WORKER_OUT_OF_MEMORY");
    }
  },
  async anyArguments() {
    let state = 7;
    const below = (n: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) % n;
    };
    const values: (() => unknown)[] = [
      () => undefined,
      () => null,
      () => NaN,
      () => -1,
      () => 0,
      () => 1.5,
      () => 2 ** 31,
      () => 2 ** 53,
      () => 7n,
      () => -(2n ** 70n),
      () => "",
      () => "logs",
      () => "zstd",
      () => "openzl",
      () => "accept",
      () => Symbol("s"),
      () => true,
      () => [],
      () => ["a", "b"],
      () => [Buffer.from("a")],
      () => [null],
      () => ({}),
      () => ({ kind: "numeric", width: 8 }),
      () => ({ kind: "string", lengths: new Uint32Array([1, 2]) }),
      () => Buffer.alloc(0),
      () => Buffer.from("hello"),
      () => request(3),
      () => native.compress("zstd", request(3)),
      () => new Float64Array(3),
      () => new DataView(new ArrayBuffer(8)),
      () => new ArrayBuffer(8),
      () => shared(request(2)),
      () => resizable(request(2)),
      () => () => 1,
      () => new Proxy([], {}),
      () => new Proxy(Buffer.alloc(3), {}),
      () => ({ ...options }),
      () => ({ ...test, permutations: 5 }),
      () => make({ threads: 1 }),
      () => ({
        valueOf: () => {
          throw new Error("valueOf");
        },
        toString: () => {
          throw new Error("toString");
        },
      }),
      () => {
        const bytes = request(2);
        structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
        return bytes;
      },
    ];
    const functions = Object.entries(native).filter(
      ([name, value]) => typeof value === "function" && name !== "Engine",
    );
    const methods = Object.getOwnPropertyNames(native.Engine.prototype).filter(
      (name) => name !== "constructor",
    );
    let engine = make();
    const pending: Promise<unknown>[] = [];
    for (let i = 0; i < 4_000; i++) {
      const given = Array.from({ length: below(6) }, () => values[below(values.length)]!());
      const [, call] = i % 2 === 0 ? functions[below(functions.length)]! : ["", undefined];
      try {
        const result = call
          ? (call as (...all: unknown[]) => unknown)(...given)
          : any(engine)[methods[below(methods.length)]!](...given);
        if (result instanceof Promise)
          pending.push(result.catch((error) => assert.ok(error instanceof Error)));
      } catch (error) {
        assert.ok(error instanceof Error);
      }
      if (i % 50 === 0) engine = make({ threads: 1 + below(3) });
      if (i % 500 === 0) globalThis.gc!();
    }
    await Promise.all(pending);
  },
  async abandoned() {
    for (let i = 0; i < 60; i++) void make().process("logs", "t", request(500));
    for (let i = 0; i < 10; i++) {
      globalThis.gc!();
      await sleep(10);
    }
  },
  exitWithWorkPending() {
    const engine = make();
    const bytes = request(20_000);
    for (let i = 0; i < 100; i++) void engine.process("logs", "t", bytes);
    for (let i = 0; i < 100; i++) void native.permutationTest(lines("a", 500), lines("b", 500), test);
    setTimeout(() => process.exit(0), 5);
  },
  terminateWithWorkPending: () => endWorkers("everything", 8),
  terminateBetweenConstructors: () => endWorkers("constructors", 8),
  terminateInsideConstructor: () => endWorkers("insideConstructor", 4),
  exitWhileWorkersWork() {
    for (let i = 0; i < 3; i++) new Worker(fileURLToPath(import.meta.url), { workerData: "everything" });
    setTimeout(() => process.exit(0), 300);
  },
  /** There is room for a few more threads only. */
  async threadsRefused() {
    assert.throws(() => make({ threads: 16 }), /^Error: threads: .*16/);
    const engine = make({ threads: 1 });
    assert.equal((await engine.process("logs", "t", request(10))).records, 10);
    await engine.close();
  },
};

if (isMainThread) await cases[process.argv[2]!]!();
else await workers[workerData as string]!();
