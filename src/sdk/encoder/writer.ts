/** Writes protobuf messages front to back into one buffer, which grows. */

/** Strings of at most so many UTF-16 units are copied unit by unit, which is faster than a call into Node.js. */
const longestCopied = 12;
/** So many bytes at most are copied four by four, which is faster than a call into V8. */
const longestMoved = 40;
/** Where the key of an attribute is that `shortPair` has written, after two tags and lengths. */
const keyInPair = 4;
const two32 = 2 ** 32;

const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** Memory for the next writers: the first use of new memory takes longer than encoding what is written to it. */
const spare: Buffer[] = [];
const mostSpare = 2;
const mostSpareBytes = 2 ** 20;

/** Gives the memory of what a writer has written to another writer. Neither the writer nor the bytes may be used any more. */
export function recycle(written: Buffer): void {
  const { buffer } = written;
  if (spare.length < mostSpare && buffer.byteLength <= mostSpareBytes) spare.push(Buffer.from(buffer));
}

const viewOf = ({ buffer, byteOffset, byteLength }: Buffer) => new DataView(buffer, byteOffset, byteLength);

export class Writer {
  #bytes: Buffer;
  /** The same memory. */
  #view: DataView;
  /** The latest second that was written, and its nanoseconds since 1970 as two halves. */
  #second = 0;
  #low = 0;
  #high = 0;
  /** Number of bytes written so far. Setting it back forgets what was written since. */
  size = 0;

  constructor(capacity = 4096) {
    this.#bytes = spare.pop() ?? Buffer.allocUnsafeSlow(capacity);
    this.#view = viewOf(this.#bytes);
  }

  /** Returns what was written. The bytes are valid until more is written. */
  written(): Buffer {
    return this.#bytes.subarray(0, this.size);
  }

  /** Makes room for so many bytes. */
  #room(size: number): void {
    const needed = this.size + size;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.size);
    this.#bytes = larger;
    this.#view = viewOf(larger);
  }

  #tag(field: number, type: number): void {
    const tag = field * 8 + type;
    if (tag > 127) {
      this.#varint(tag);
      return;
    }
    this.#room(1);
    this.#bytes[this.size++] = tag;
  }

  /** @param value a whole number from 0 to 2^32 - 1 */
  #varint(value: number): void {
    this.#room(5);
    this.size = putVarint(this.#bytes, this.size, value);
  }

  uint32(field: number, value: number): void {
    if (field < 16 && value >= 0 && value < 128) {
      this.#room(2);
      const bytes = this.#bytes;
      bytes[this.size] = field * 8;
      bytes[this.size + 1] = value;
      this.size += 2;
      return;
    }
    this.#tag(field, wire.varint);
    this.#varint(value >>> 0);
  }

  sint32(field: number, value: number): void {
    this.uint32(field, (value << 1) ^ (value >> 31));
  }

  /** @param value a whole number from -2^63 up to, but not including, 2^63 */
  int64(field: number, value: number): void {
    this.#tag(field, wire.varint);
    this.varint64(value);
  }

  /** Writes a varint without a tag, as an element of a packed field. */
  varint64(value: number): void {
    if (value >= 0 && value < two32) {
      this.#varint(value);
      return;
    }
    this.#room(10);
    let [low, high] = halves(value);
    while (high > 0 || low > 127) {
      this.#bytes[this.size++] = (low & 127) | 128;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    this.#bytes[this.size++] = low;
  }

  fixed32(field: number, value: number): void {
    this.#tag(field, wire.fixed32);
    this.#room(4);
    this.#view.setUint32(this.size, value, true);
    this.size += 4;
  }

  /** @param value a whole number; negative ones as two's complement */
  fixed64(field: number, value: number): void {
    this.#tag(field, wire.fixed64);
    this.packedFixed64(value);
  }

  packedFixed64(value: number): void {
    this.#room(8);
    this.#halves(...halves(value));
  }

  double(field: number, value: number): void {
    this.#tag(field, wire.fixed64);
    this.packedDouble(value);
  }

  packedDouble(value: number): void {
    this.#room(8);
    this.#view.setFloat64(this.size, value, true);
    this.size += 8;
  }

  /** Writes the nanoseconds of a time of seconds and nanoseconds, exactly. */
  time(field: number, time: readonly [number, number]): void {
    this.#tag(field, wire.fixed64);
    this.#room(8);
    if (time[0] !== this.#second) this.#startSecond(time[0]);
    const low = this.#low + time[1];
    this.#halves(low, this.#high + Math.floor(low / two32));
  }

  /** Multiplies seconds by 10^9. All products stay below 2^53. */
  #startSecond(seconds: number): void {
    const blocks = Math.floor(seconds / 65_536);
    const upper = blocks * 1e9;
    const carried = Math.floor(upper / 65_536);
    const lower = (seconds - blocks * 65_536) * 1e9 + (upper - carried * 65_536) * 65_536;
    const high = Math.floor(lower / two32);
    this.#second = seconds;
    this.#low = lower - high * two32;
    this.#high = carried + high;
  }

  /** Writes the lower 32 bits of each half. */
  #halves(low: number, high: number): void {
    this.#view.setUint32(this.size, low, true);
    this.#view.setUint32(this.size + 4, high, true);
    this.size += 8;
  }

  string(field: number, value: string): void {
    this.#tag(field, wire.bytes);
    const { length } = value;
    // A UTF-16 unit takes at most three bytes.
    this.#room(length * 3 + 5);
    const before = this.size;
    if (length < 128) {
      this.#bytes[this.size++] = length;
      if (this.#ascii(value)) return;
      this.size = before;
    }
    const start = this.#begin(1);
    this.size += this.#bytes.write(value, this.size);
    this.end(start);
  }

  /**
   * Writes a message whose fields are a short string, and a message of another short string: an attribute. Returns false, and writes
   * nothing, if they are too long or not ASCII.
   * @param former where such a message with this key is, or -1
   */
  shortPair(field: number, key: string, value: string, former = -1): boolean {
    const size = key.length + value.length + 6;
    if (size > 127) return false;
    const before = this.size;
    this.#tag(field, wire.bytes);
    this.#room(size * 3);
    const bytes = this.#bytes;
    let at = this.size;
    bytes[at++] = size;
    bytes[at++] = 0x0a;
    bytes[at++] = key.length;
    this.size = at;
    if (former >= 0) this.#move(former + keyInPair, key.length);
    if (former >= 0 || this.#ascii(key)) {
      at = this.size;
      bytes[at++] = 0x12;
      bytes[at++] = value.length + 2;
      bytes[at++] = 0x0a;
      bytes[at++] = value.length;
      this.size = at;
      if (this.#ascii(value)) return true;
    }
    this.size = before;
    return false;
  }

  /** Writes a string, for which there is room in any encoding, if it is ASCII. Returns whether it is. */
  #ascii(value: string): boolean {
    const { length } = value;
    const bytes = this.#bytes;
    let at = this.size;
    if (length > longestCopied) {
      // Every other character has more bytes in UTF-8 than units in UTF-16.
      if (bytes.write(value, at) !== length) return false;
      this.size += length;
      return true;
    }
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 127) return false;
      bytes[at++] = code;
    }
    this.size = at;
    return true;
  }

  bytes(field: number, value: Uint8Array): void {
    this.#tag(field, wire.bytes);
    this.#varint(value.length);
    this.append(value);
  }

  /** Appends bytes as they are. */
  append(value: Uint8Array): void {
    this.#room(value.length);
    this.#bytes.set(value, this.size);
    this.size += value.length;
  }

  /** Writes once more what was written from one position up to another. */
  repeat(from: number, to: number): void {
    if (from === to) return;
    this.#room(to - from + 3);
    if (to - from <= longestMoved) {
      this.#move(from, to - from);
      return;
    }
    this.#bytes.copyWithin(this.size, from, to);
    this.size += to - from;
  }

  /** Copies a few bytes. There is room for three more, which may be overwritten. */
  #move(from: number, length: number): void {
    const view = this.#view;
    for (let i = 0; i < length; i += 4) view.setUint32(this.size + i, view.getUint32(from + i, true), true);
    this.size += length;
  }

  /** Writes hexadecimal digits as bytes. Other characters become any bytes. */
  hex(field: number, value: string): void {
    this.#tag(field, wire.bytes);
    const length = value.length >> 1;
    this.#varint(length);
    this.#room(length);
    const bytes = this.#bytes;
    let at = this.size;
    for (let i = 0; i < value.length - 1; i += 2) {
      bytes[at++] = (digit(value.charCodeAt(i)) << 4) | digit(value.charCodeAt(i + 1));
    }
    this.size = at;
  }

  /**
   * Begins a nested message. Its result is for `end`.
   * @param reserved bytes of its length: 1 if it is usually shorter than 128 bytes, 2 below 16 KiB, 3 below 2 MiB
   */
  begin(field: number, reserved = 1): number {
    this.#tag(field, wire.bytes);
    return this.#begin(reserved);
  }

  /** Reserves room for a length. */
  #begin(reserved: number): number {
    this.#room(reserved);
    this.size += reserved;
    return this.size;
  }

  /** Ends a nested message. Returns whether it had to be moved. @param reserved as with `begin` */
  end(start: number, reserved = 1): boolean {
    const length = this.size - start;
    let needed = 1;
    for (let rest = length >>> 7; rest > 0; rest >>>= 7) needed += 1;
    const moved = needed - reserved;
    if (moved !== 0) {
      this.#room(Math.max(moved, 0));
      this.#bytes.copyWithin(start + moved, start, this.size);
      this.size += moved;
    }
    // There is room for the length, and new memory would not have the message after it.
    putVarint(this.#bytes, start - reserved, length);
    return moved !== 0;
  }
}

/** Writes a whole number from 0 to 2^32 - 1 at a position where there is room for it. Returns the position after it. */
function putVarint(bytes: Uint8Array, position: number, value: number): number {
  let at = position;
  let rest = value;
  while (rest > 127) {
    bytes[at++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}

/** Returns the value of a hexadecimal digit: the lower half of its code, to which a letter, from 64 on, adds 9. */
function digit(code: number): number {
  return (code & 15) + (code >> 6) * 9;
}

/** Returns the lower and the upper 32 bits of a whole number as two's complement. */
function halves(value: number): [number, number] {
  if (value >= 0) return [value % two32, Math.floor(value / two32)];
  const low = -value % two32;
  const high = ~Math.floor(-value / two32) >>> 0;
  return low === 0 ? [0, (high + 1) >>> 0] : [two32 - low, high];
}
