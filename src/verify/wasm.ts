/**
 * Computes verdicts again in WebAssembly: in a browser, or in Node without the addon. It depends on nothing else. The module is what
 * `make wasm` builds.
 */

/** What the module exports. */
interface Exports {
  memory: { buffer: ArrayBuffer };
  _initialize(): void;
  reserve(size: number): number;
  recompute(recording: number, size: number): void;
  result(): number;
  size(): number;
  failure(): number;
}

/** The part of the global WebAssembly that is used, which Node and browsers share. */
interface WebAssemblyLike {
  compile(bytes: Uint8Array): Promise<object>;
  Instance: new (module: object, imports: object) => { exports: unknown };
}

/** By the number of the failure: 1 to 3. */
const codes = [
  "ERR_DRIFTLOCK_INTERNAL",
  "ERR_DRIFTLOCK_DAMAGED_INPUT",
  "ERR_DRIFTLOCK_RECORDING_FORMAT",
  "ERR_DRIFTLOCK_NEEDS_ADDON",
] as const;

/** Why a verdict cannot be computed again. The code ERR_DRIFTLOCK_NEEDS_ADDON says that the addon can do it. */
export class RecomputeError extends Error {
  override readonly name = "RecomputeError";
  readonly code: (typeof codes)[number];

  constructor(message: string, code: (typeof codes)[number]) {
    super(message);
    this.code = code;
  }
}

/** Computes the verdict of a driftlock.v1.Recording again and returns its report, a driftlock.v1.Anomaly, as the addon does. */
export type Recompute = (recording: Uint8Array) => Uint8Array;

/** The module asks the system only for what nobody reads: it would write the reason of a crash. */
const system = { fd_close: () => 8, fd_seek: () => 8, fd_write: () => 8 };

/** @param bytes the module, driftlock-verify.wasm. */
export async function loadRecompute(bytes: Uint8Array): Promise<Recompute> {
  const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyLike };
  const module = await WebAssembly.compile(bytes);
  return (recording) => {
    // What failed is in no defined state, and what succeeded has used memory: each call has its own instance.
    const instance = new WebAssembly.Instance(module, { wasi_snapshot_preview1: system });
    const exports = instance.exports as Exports;
    const result = () => new Uint8Array(exports.memory.buffer, exports.result(), exports.size()).slice();
    exports._initialize();
    const at = exports.reserve(recording.length);
    if (at === 0) throw new RecomputeError("the recording is too large", codes[1]);
    new Uint8Array(exports.memory.buffer).set(recording, at);
    try {
      exports.recompute(at, recording.length);
    } catch (error) {
      const code = codes[exports.failure()];
      if (!code || code === codes[0])
        throw new RecomputeError(`the module failed: ${String(error)}`, codes[0]);
      throw new RecomputeError(new TextDecoder().decode(result()), code);
    }
    return result();
  };
}
