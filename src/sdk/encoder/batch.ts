/** Records of one signal, encoded as they come, until they are taken as one OTLP request. */
import { type ResourceLike, type ScopeLike, writeResource, writeScope } from "./values.ts";
import { Writer } from "./writer.ts";

/** The records of one resource and scope. */
interface Section {
  readonly scope: ScopeLike;
  readonly writer: Writer;
  /** The positions of its records in the order in which they were added. */
  readonly positions: number[];
}

/** Resources and scopes are told apart by identity. @typeParam Item what is added */
export class Batch<Item> {
  readonly #write: (writer: Writer, item: Item) => void;
  /** Takes the records of the first resource and scope, which are often all, from batch to batch. */
  readonly #first: Writer;
  #sections = new Map<ResourceLike, Map<ScopeLike, Section>>();
  /** Number of records. */
  records = 0;
  /** Bytes of the records. */
  bytes = 0;

  /**
   * @param write writes the fields of a record
   * @param first an empty writer that nothing else uses before `take`, which empties it again
   */
  constructor(write: (writer: Writer, item: Item) => void, first = new Writer(1024)) {
    this.#write = write;
    this.#first = first;
  }

  /** Adds a record. If it cannot be encoded, this throws, and the batch is as before. */
  add(resource: ResourceLike, scope: ScopeLike, item: Item): void {
    const section = this.#section(resource, scope);
    const { writer } = section;
    const before = writer.size;
    try {
      const start = writer.beginLong(2);
      this.#write(writer, item);
      writer.endLong(start);
    } catch (error) {
      writer.size = before;
      throw error;
    }
    section.positions.push(this.records);
    this.records += 1;
    this.bytes += writer.size - before;
  }

  #section(resource: ResourceLike, scope: ScopeLike): Section {
    let scopes = this.#sections.get(resource);
    if (scopes === undefined) {
      scopes = new Map();
      this.#sections.set(resource, scopes);
    }
    let section = scopes.get(scope);
    if (section === undefined) {
      const first = this.#sections.size === 1 && scopes.size === 0;
      section = { scope, writer: first ? this.#first : new Writer(1024), positions: [] };
      scopes.set(scope, section);
    }
    return section;
  }

  /** Returns the request and empties the batch. `order` has the position of each record of the request among those added. */
  take(): { request: Buffer; order: number[] } {
    const writer = new Writer(this.bytes + 1024);
    const order: number[] = [];
    for (const [resource, scopes] of this.#sections) {
      const ofResource = writer.begin(1);
      writeResource(writer, resource);
      for (const { scope, writer: records, positions } of scopes.values()) {
        if (positions.length === 0) continue;
        const ofScope = writer.begin(2);
        writeScope(writer, scope);
        writer.append(records.written());
        if (scope.schemaUrl) writer.string(3, scope.schemaUrl);
        writer.end(ofScope);
        for (const position of positions) order.push(position);
      }
      if (resource.schemaUrl) writer.string(3, resource.schemaUrl);
      writer.end(ofResource);
    }
    this.#sections = new Map();
    this.#first.clear();
    this.records = 0;
    this.bytes = 0;
    return { request: writer.written(), order };
  }
}
