/** Records of one signal, encoded as they come, until they are taken as one OTLP request. */
import { Repeated } from "./repeated.ts";
import { beginResource, beginScope, endRecords, type ResourceLike, type ScopeLike } from "./values.ts";
import { recycle, Writer } from "./writer.ts";

/** Writes the fields of a record. @param repeated writes what may be as in the record before, for all records of the writer */
export type WriteRecord<Item> = (writer: Writer, item: Item, repeated: Repeated) => void;

/** The records of one resource and scope, as a request of their own that is not ended yet. */
interface Section {
  readonly resource: ResourceLike;
  readonly scope: ScopeLike;
  readonly writer: Writer;
  readonly repeated: Repeated;
  /** Where the messages of its resource and scope begin, and its records. */
  readonly ofResource: number;
  readonly ofScope: number;
  readonly start: number;
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
      const writer = new Writer();
      const ofResource = beginResource(writer, resource);
      const ofScope = beginScope(writer, scope);
      const start = writer.size;
      section = { resource, scope, writer, repeated: new Repeated(), ofResource, ofScope, start };
      scopes.set(scope, section);
    }
    this.#latest = section;
    return section;
  }

  /** Returns the request and empties the batch. Its records are in the order of `orderOf` if none was refused. */
  take(): Buffer {
    const sections = [...this.#sections.values()].flatMap((scopes) => [...scopes.values()]);
    const request = sections.length === 1 ? ended(sections[0]!) : this.#joined();
    this.#sections = new Map();
    this.#latest = undefined;
    this.records = 0;
    this.bytes = 0;
    return request;
  }

  /** Returns a copy of all sections as one request. */
  #joined(): Buffer {
    const writer = new Writer(this.bytes + 1024);
    for (const [resource, scopes] of this.#sections) {
      const ofResource = beginResource(writer, resource);
      for (const { scope, writer: own, start } of scopes.values()) {
        const written = own.written();
        if (written.length > start) {
          const ofScope = beginScope(writer, scope);
          writer.append(written.subarray(start));
          endRecords(writer, scope, ofScope);
        }
        recycle(written);
      }
      endRecords(writer, resource, ofResource);
    }
    return writer.written();
  }
}

/** Returns a section as a request, without a copy. */
function ended({ resource, scope, writer, ofResource, ofScope }: Section): Buffer {
  endRecords(writer, scope, ofScope);
  endRecords(writer, resource, ofResource);
  return writer.written();
}

/** Returns the positions of records in the order in which a request has them: by resource, then by scope. */
export function orderOf(
  records: readonly { readonly resource: ResourceLike; readonly instrumentationScope: ScopeLike }[],
): number[] {
  const ofResources = Map.groupBy(records.keys(), (position) => records[position]!.resource);
  return [...ofResources.values()].flatMap((positions) => {
    const ofScopes = Map.groupBy(positions, (position) => records[position]!.instrumentationScope);
    return [...ofScopes.values()].flat();
  });
}
