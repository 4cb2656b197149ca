/** Which partition a resource group belongs to, and the division of requests by it. Bytes are cut and joined, never decoded. */
import type { DetectConfig, KafkaConfig } from "../config/schema.ts";

/** Hashes bytes by FNV-1a, continuing from a former hash. */
function hash(bytes: Uint8Array, from: number): number {
  let sum = from;
  for (const byte of bytes) sum = Math.imul(sum ^ byte, 0x01000193);
  return sum;
}

const offsetBasis = 0x811c9dc5;

/** Spreads what FNV-1a leaves in the low bits (the last step of MurmurHash3). */
function spread(sum: number): number {
  let mixed = Math.imul(sum ^ (sum >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

const tenantHash = (tenant: string) => hash(Buffer.from(tenant), offsetBasis);

/** Returns the partition of what concerns a whole tenant. */
export function partitionOfTenant(tenant: string, partitions: number): number {
  return spread(tenantHash(tenant)) % partitions;
}

interface Field {
  number: number;
  /** Undefined if the field is not of bytes. */
  bytes: Buffer | undefined;
  /** The whole field, with its tag. */
  whole: Buffer;
}

/** A request is not the message that it should be. */
export class Malformed extends Error {}

function readVarint(bytes: Buffer, at: number): { value: number; end: number } {
  let value = 0;
  for (let i = 0; i < 10; i += 1) {
    const byte = bytes[at + i];
    if (byte === undefined) break;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { value, end: at + i + 1 };
  }
  throw new Malformed(`a number is cut off at byte ${at}`);
}

function endOf(bytes: Buffer, wire: number, at: number): number {
  switch (wire) {
    case 0:
      return readVarint(bytes, at).end;
    case 1:
      return at + 8;
    case 5:
      return at + 4;
    default:
      throw new Malformed(`wire type ${wire} at byte ${at}`);
  }
}

function* fieldsOf(bytes: Buffer): Generator<Field> {
  for (let at = 0; at < bytes.length; ) {
    const tag = readVarint(bytes, at);
    const wire = tag.value & 7;
    const size = wire === 2 ? readVarint(bytes, tag.end) : undefined;
    const end = size === undefined ? endOf(bytes, wire, tag.end) : size.end + size.value;
    if (end > bytes.length) throw new Malformed(`a field at byte ${at} is cut off`);
    yield {
      number: Math.floor(tag.value / 8),
      bytes: size && bytes.subarray(size.end, end),
      whole: bytes.subarray(at, end),
    };
    at = end;
  }
}

const emptyText = Buffer.of(0x0a, 0x00);
const nameless = Buffer.alloc(0);

/** Chooses partitions as the engine chooses resource groups, so that the streams of a group stay together. */
export class Partitioning {
  readonly #partitions: number;
  readonly #groupBy: readonly Buffer[];
  readonly #streamBy: readonly Buffer[];

  constructor(
    { group_by, stream_by }: Pick<DetectConfig, "group_by" | "stream_by">,
    { partitions }: Pick<KafkaConfig, "partitions">,
  ) {
    this.#partitions = partitions;
    this.#groupBy = group_by.map((name) => Buffer.from(name));
    this.#streamBy = stream_by.map((name) => Buffer.from(name));
  }

  /**
   * Divides an Export*ServiceRequest by partition. Resources keep their order.
   * @throws {Malformed} if it is none.
   */
  divide(tenant: string, request: Buffer): Map<number, Buffer> {
    const base = tenantHash(tenant);
    const parts = new Map<number, Buffer[]>();
    for (const { number, bytes, whole } of fieldsOf(request)) {
      // What the protocol does not know yet stays with whatever it stands beside.
      const partition =
        number === 1 && bytes !== undefined
          ? this.#partitionOf(base, bytes)
          : (parts.keys().next().value ?? spread(base) % this.#partitions);
      const part = parts.get(partition);
      if (part === undefined) parts.set(partition, [whole]);
      else part.push(whole);
    }
    if (parts.size === 1) return new Map([[parts.keys().next().value!, request]]);
    return new Map([...parts].map(([partition, fields]) => [partition, Buffer.concat(fields)]));
  }

  /** @param resource a ResourceLogs, ResourceSpans or ResourceMetrics, whose first field is the resource */
  #partitionOf(base: number, resource: Buffer): number {
    const values = this.#valuesOf(resource);
    const group = this.#groupBy.findIndex((_, i) => isName(values[i]));
    const sum =
      group >= 0
        ? hash(values[group]!, hash(this.#groupBy[group]!, base))
        : values
            .slice(this.#groupBy.length)
            .reduce((from, value) => hash(value ?? nameless, hash(emptyText, from)), base);
    return spread(sum) % this.#partitions;
  }

  /** Returns the values of the attributes that name groups, then of those that name streams, as AnyValue. The first of a name counts. */
  #valuesOf(resource: Buffer): (Buffer | undefined)[] {
    const names = [...this.#groupBy, ...this.#streamBy];
    const values: (Buffer | undefined)[] = names.map(() => undefined);
    for (const outer of fieldsOf(resource)) {
      if (outer.number !== 1 || outer.bytes === undefined) continue;
      for (const { number, bytes } of fieldsOf(outer.bytes)) {
        if (number !== 1 || bytes === undefined) continue;
        const { key, value } = pairOf(bytes);
        for (const [i, name] of names.entries()) {
          if (values[i] === undefined && name.equals(key)) values[i] = value;
        }
      }
    }
    return values;
  }
}

const isName = (value: Buffer | undefined) =>
  value !== undefined && value.length > 0 && !value.equals(emptyText);

function pairOf(bytes: Buffer): { key: Buffer; value: Buffer } {
  let key: Buffer = nameless;
  let value: Buffer = nameless;
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1 && field.bytes) key = field.bytes;
    if (field.number === 2 && field.bytes) value = field.bytes;
  }
  return { key, value };
}
