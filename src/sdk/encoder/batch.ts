/** Records of one signal, encoded as they come, until they are taken as one OTLP request. */
import { Repeated } from "./repeated.ts";
import { type ResourceLike, type ScopeLike, writeResource, writeScope } from "./values.ts";
import { recycle, Writer } from "./writer.ts";

/** Writes the fields of a record. @param repeated writes what may be as in the record before, for all records of the writer */
export type WriteRecord<Item> = (writer: Writer, item: Item, repeated: Repeated) => void;

/** The records of one resource and scope. */
interface Section {
  readonly resource: ResourceLike;
  readonly scope: ScopeLike;
  readonly writer: Writer;
  readonly repeated: Repeated;
  /** The positions of its records in the order in which they were added. */
  readonly positions: number[];
}

/** Resources and scopes are told apart by identity. @typeParam Item what is added */
export class Batch<Item> {
  readonly #write: WriteRecord<Item>;
  #sections = new Map<ResourceLike, Map<ScopeLike, Section>>();
  /** The section of the latest record. */
  #latest: Section | undefined;
  /** Number of records. */
  records = 0;
  /** Bytes of the records. */
  bytes = 0;

  constructor(write: WriteRecord<Item>) {
    this.#write = write;
  }

  /** Adds a record. If it cannot be encoded, this throws, and the batch is as before. */
  add(resource: ResourceLike, scope: ScopeLike, item: Item): void {
    const section = this.#section(resource, scope);
    const { writer, repeated } = section;
    const before = writer.size;
    try {
      const start = writer.begin(2, 2);
      this.#write(writer, item, repeated);
      if (writer.end(start, 2)) repeated.forget();
    } catch (error) {
      writer.size = before;
      repeated.forget();
      throw error;
    }
    section.positions.push(this.records);
    this.records += 1;
    this.bytes += writer.size - before;
  }

  #section(resource: ResourceLike, scope: ScopeLike): Section {
    const latest = this.#latest;
    if (latest?.resource === resource && latest.scope === scope) return latest;
    let scopes = this.#sections.get(resource);
    if (scopes === undefined) {
      scopes = new Map();
      this.#sections.set(resource, scopes);
    }
    let section = scopes.get(scope);
    if (section === undefined) {
      section = { resource, scope, writer: new Writer(), repeated: new Repeated(), positions: [] };
      scopes.set(scope, section);
    }
    this.#latest = section;
    return section;
  }

  /** Returns the request and empties the batch. `order` has the position of each record of the request among those added. */
  take(): { request: Buffer; order: number[] } {
    const writer = new Writer(this.bytes + 1024);
    const order: number[] = [];
    for (const [resource, scopes] of this.#sections) {
      const ofResource = writer.begin(1, 3);
      writeResource(writer, resource);
      for (const { scope, writer: records, positions } of scopes.values()) {
        if (positions.length === 0) continue;
        const ofScope = writer.begin(2, 3);
        writeScope(writer, scope);
        writer.append(records.written());
        recycle(records.written());
        if (scope.schemaUrl) writer.string(3, scope.schemaUrl);
        writer.end(ofScope, 3);
        for (const position of positions) order.push(position);
      }
      if (resource.schemaUrl) writer.string(3, resource.schemaUrl);
      writer.end(ofResource, 3);
    }
    this.#sections = new Map();
    this.#latest = undefined;
    this.records = 0;
    this.bytes = 0;
    return { request: writer.written(), order };
  }
}
