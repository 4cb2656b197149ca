/**
 * The measures of compression-based anomaly detection, and the codecs.
 *
 * Errors have a stable `code`; `errorCodes` says what each one means. Functions that take bytes throw a TypeError with the code
 * ERR_DRIFTLOCK_INVALID_ARGUMENT for an argument of the wrong type, and a RangeError with ERR_DRIFTLOCK_OUT_OF_RANGE for a value out
 * of range or ERR_DRIFTLOCK_SIZE_LIMIT for more than 2,113,929,216 bytes (LZ4's limit, which holds for all codecs). Typed arrays on a
 * SharedArrayBuffer are refused.
 */
import "./base/require-node.ts";
import {
  type CodecName,
  type CodecVersions,
  type ColumnType,
  native,
  type PermutationOptions,
  type PermutationResult,
  type WindowMetrics,
} from "./native.ts";

export type {
  CodecName,
  CodecVersions,
  ColumnType,
  PermutationOptions,
  PermutationResult,
  WindowMetrics,
} from "./native.ts";

/** Versions of the codecs' libraries. */
export const versions: CodecVersions = native.versions;

/**
 * Compresses bytes. The same bytes, level and column give the same result on every machine.
 * @param codec `openzl`, `zstd`, `lz4` (a bare block, without a frame) or `gzip`.
 * @param level 1 to 9 for openzl (6 by default) and gzip (6), 1 to 19 for zstd (3), 1 to 12 for lz4 (1).
 * @param column how OpenZL reads the bytes; other codecs ignore it. Bytes without a structure by default.
 */
export const compress: (codec: CodecName, bytes: Uint8Array, level?: number, column?: ColumnType) => Buffer =
  native.compress;

/**
 * Decompresses what `compress` returned, whatever its level and column.
 * @param maxSize the largest result, in bytes. More is refused before it is held in memory.
 * @throws {RangeError} with the code ERR_DRIFTLOCK_SIZE_LIMIT if the result is larger than `maxSize`.
 * @throws {Error} with the code ERR_DRIFTLOCK_DAMAGED_INPUT if the bytes are truncated, changed, or of another codec.
 */
export const decompress: (codec: CodecName, bytes: Uint8Array, maxSize: number) => Buffer = native.decompress;

/** Returns the number of bytes that `compress` would return, without copying them. The parameters are those of `compress`. */
export const compressedSize: (
  codec: CodecName,
  bytes: Uint8Array,
  level?: number,
  column?: ColumnType,
) => number = native.compressedSize;

/**
 * Returns the Shannon entropy H = -sum p log2 p of the bytes' histogram, in bits per byte: from 0 (constant or empty) to 8 (all
 * values equally often). It does not depend on the order of the bytes.
 */
export const entropy: (bytes: Uint8Array) => number = native.entropy;

/**
 * Returns the compression ratio C / |bytes|: compressed bytes per byte. It exceeds 1 if headers outweigh what repeats.
 * @throws {RangeError} with the code ERR_DRIFTLOCK_SIZE_LIMIT if `bytes` is empty.
 */
export const compressionRatio: (bytes: Uint8Array, codec: CodecName, level?: number) => number =
  native.compressionRatio;

/**
 * Returns ((C_B - C_W) x 8) / |W|, in bits per byte of the window: by how much the compressed baseline is larger than the compressed
 * window. Compare it between windows of one length; it falls when the window compresses worse.
 * @throws {RangeError} with the code ERR_DRIFTLOCK_SIZE_LIMIT if `window` is empty.
 */
export const deltaBits: (
  baseline: Uint8Array,
  window: Uint8Array,
  codec: CodecName,
  level?: number,
) => number = native.deltaBits;

/**
 * Returns the normalized compression distance (C_AB - min(C_A, C_B)) / max(C_A, C_B), in which AB is `a` followed by `b`: about 0 for
 * equal texts and 1 for unrelated ones. It is not clamped: real codecs give some hundredths below 0 and up to 0.2 above 1.
 * R. Cilibrasi and P. Vitanyi, Clustering by Compression, IEEE Trans. Inf. Theory 51(4), 2005.
 * @throws {RangeError} with the code ERR_DRIFTLOCK_SIZE_LIMIT if a text is longer than the distance that the codec's matches reach,
 * such as 65,535 bytes with lz4 and 32,506 with gzip: the result would measure the codec and not the texts.
 */
export const ncd: (a: Uint8Array, b: Uint8Array, codec: CodecName, level?: number) => number = native.ncd;

/**
 * Returns the normalized compression distance of the window and the last |W| bytes of the baseline, or all of a shorter one. Unlike
 * `ncd`, it does not depend on how long the baseline is.
 * @throws {RangeError} with the code ERR_DRIFTLOCK_SIZE_LIMIT if `window` is longer than the codec's matches reach.
 */
export const ncdSizeMatched: (
  baseline: Uint8Array,
  window: Uint8Array,
  codec: CodecName,
  level?: number,
) => number = native.ncdSizeMatched;

/**
 * Returns all measures of a window beside its baseline at once, with five compressions at most.
 * @throws {RangeError} with the code ERR_DRIFTLOCK_SIZE_LIMIT if either is empty or longer than the codec's matches reach.
 */
export const windowMetrics: (
  baseline: Uint8Array,
  window: Uint8Array,
  codec: CodecName,
  level?: number,
) => WindowMetrics = native.windowMetrics;

/**
 * Tests whether the records of a window hold more that is new than chance would put there. The statistic ((C_BW - C_B) x 8) / |W| of
 * the records as they are is compared with that of random exchanges of blocks between baseline and window. With g of N permutations
 * at least as extreme, p = (1 + g) / (1 + N); stopped at the h-th of them after l permutations, p = h / l. It runs on a thread of
 * libuv's pool, and the same input gives the same result.
 * J. Besag and P. Clifford, Sequential Monte Carlo p-values, Biometrika 78(2), 1991.
 * @param baseline records, oldest first; at most 2^20. They are copied.
 * @param window likewise.
 * @throws {RangeError} with the code ERR_DRIFTLOCK_OUT_OF_RANGE if an option is out of range or a part has fewer records than a
 * block; with ERR_DRIFTLOCK_SIZE_LIMIT if a part is longer than the codec's matches reach, or the window has no bytes.
 */
export const permutationTest: (
  baseline: Uint8Array[],
  window: Uint8Array[],
  options: PermutationOptions,
) => Promise<PermutationResult> = native.permutationTest;

/**
 * Returns the key stream of ChaCha20 (RFC 8439), which seeds all random choices of Driftlock.
 * @param key 32 bytes.
 * @param counter the first block, from 0 to 2^32 - 1.
 * @param nonce 12 bytes.
 * @param length how many bytes to return.
 */
export const chacha20: (key: Uint8Array, counter: number, nonce: Uint8Array, length: number) => Buffer =
  native.chacha20;
