/**
 * The client library, behind what the rest of the room needs of it. This is the only file that imports it, and it does so when a role
 * needs it: the library is an optional dependency.
 */
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type * as Library from "@platformatic/kafka";
import { parseTarget } from "../base/address.ts";
import { endsWithin } from "../base/deadline.ts";
import { readPem } from "../base/pem-files.ts";
import type { KafkaConfig } from "../config/schema.ts";

/** A record as it is read from a topic. */
export interface LogRecord {
  partition: number;
  offset: bigint;
  /** When its producer sent it, in milliseconds since 1970. */
  timestamp: number;
  key: Buffer;
  /** Null for a tombstone. */
  value: Buffer | null;
  headers: ReadonlyMap<string, string>;
}

/** A record to be written. */
export interface NewRecord {
  topic: string;
  partition: number;
  key: Buffer;
  /** Null deletes the key from a compacted topic. */
  value: Buffer | null;
  headers?: Readonly<Record<string, string>>;
}

/** What a fetch found in one partition. */
export interface Fetched {
  records: LogRecord[];
  /** The offset to go on from, which may be beyond the last record: markers of transactions have offsets as well. */
  next: bigint;
  /** The offset of the next record that is not committed yet. */
  end: bigint;
}

/** Aimed size of the records that are written to a partition at once; a record that is larger goes alone. */
export const batchBytes = 512 * 2 ** 10;
/** The largest record, which the topics are created for. */
export const maxRecordBytes = 8 * 2 ** 20;
/** What a record takes beside its key and its value. */
const recordOverhead = 128;

const requestTimeoutMs = 15_000;
/** After this time brokers abort a transaction whose worker has gone and that nobody takes over. */
const transactionTimeoutMs = 60_000;

/** The library's own default, one second, allows 23 transactions per second, because each begins with a step that needs a second try. */
const retryDelay = (_client: unknown, _operation: string, attempt: number) =>
  Math.min(500, 20 * 2 ** Math.min(attempt - 1, 8));
const retries = 12;
const adminRetries = 4;

/** The offset of a partition's first or next record. */
export const earliest = -2n;
export const latest = -1n;

type BaseOptions = Library.BaseOptions;

/** Makes the clients of a process. */
export class Kafka {
  readonly #library: typeof Library;
  readonly #options: Omit<BaseOptions, "clientId">;
  readonly #sessionTimeout: number;

  private constructor(library: typeof Library, config: KafkaConfig) {
    this.#library = library;
    this.#sessionTimeout = config.session_timeout;
    this.#options = {
      bootstrapBrokers: [...config.brokers],
      timeout: requestTimeoutMs,
      requestTimeout: 2 * requestTimeoutMs,
      connectTimeout: 5_000,
      retries,
      retryDelay,
      ...securityOf(library, config),
    };
  }

  /** @throws {Error} that names the key and the remedy if the library is not installed or the files of `kafka.tls` cannot be read. */
  static async load(config: KafkaConfig): Promise<Kafka> {
    let library: typeof Library;
    try {
      library = await import("@platformatic/kafka");
    } catch (cause) {
      throw new Error(
        "kafka.brokers: the package @platformatic/kafka is not installed; install driftlock with its optional dependencies",
        { cause },
      );
    }
    return new Kafka(library, config);
  }

  admin(): Admin {
    // Whoever waits for it wants to know at once what is wrong.
    const options = { ...this.#options, retries: adminRetries, clientId: "driftlock" };
    return new Admin(this.#library, new this.#library.Admin(options));
  }

  producer(): LogProducer {
    return new LogProducer(
      new this.#library.Producer({ ...this.#options, clientId: "driftlock", idempotent: true, retries }),
    );
  }

  /** A producer whose transactions fence those of any other one with the same id. */
  transactor(transactionalId: string): Transactor {
    return new Transactor(
      new this.#library.Producer({
        ...this.#options,
        clientId: "driftlock",
        timeout: transactionTimeoutMs,
        idempotent: true,
        retries,
        transactionalId,
        // Without them, the library asks for the epoch 0 of the producer 0, which is refused if the id is known.
        producerId: -1n,
        producerEpoch: -1,
      }),
      this.#library.findErrorBy,
    );
  }

  reader(topic: string): Reader {
    return new Reader(this.#consumer(`${topic}-reader`), topic);
  }

  member(group: string, topic: string): Member {
    return new Member(this.#consumer(group), topic);
  }

  #consumer(groupId: string): Library.Consumer {
    return new this.#library.Consumer({
      ...this.#options,
      clientId: "driftlock",
      groupId,
      autocommit: false,
      isolationLevel: this.#library.FetchIsolationLevels.READ_COMMITTED,
      sessionTimeout: this.#sessionTimeout,
      rebalanceTimeout: Math.max(this.#sessionTimeout, 10_000),
      // The answer to a heartbeat is how a member hears that others come or go.
      heartbeatInterval: Math.min(3_000, Math.max(300, Math.floor(this.#sessionTimeout / 5))),
      protocols: [{ name: this.#library.COOPERATIVE_STICKY_ASSIGNOR, version: 1 }],
      partitionAssigner: this.#library.cooperativeStickyAssigner,
    });
  }
}

function securityOf(
  { AuthenticationError }: typeof Library,
  { brokers, sasl, tls }: KafkaConfig,
): Pick<BaseOptions, "sasl" | "tls" | "tlsServerName"> {
  const { ca_file, cert_file, key_file } = tls ?? {};
  const pem = readPem("kafka.tls", { ca_file, cert_file, key_file });
  return {
    ...(tls && {
      tls: {
        ca: pem.ca_file,
        cert: pem.cert_file,
        key: pem.key_file,
        rejectUnauthorized: !tls.insecure_skip_verify,
      },
      // Names alone may be sent to the server; addresses are verified without.
      tlsServerName: !brokers.every((broker) => isIP(parseTarget(`kafka://${broker}`).host)),
    }),
    ...(sasl && {
      sasl: {
        mechanism: sasl.mechanism,
        ...(sasl.token_file === undefined
          ? { username: sasl.username!, password: sasl.password! }
          : {
              token: async () => (await readFile(sasl.token_file!, "utf8")).trim(),
              // Brokers answer a token that they refuse as if it were taken, and say why (RFC 7628, section 3.2.2).
              authBytesValidator: (answer: Buffer, done: Library.CallbackWithPromise<Buffer>) =>
                answer.length === 0
                  ? done(null, answer)
                  : done(
                      new AuthenticationError(`kafka.sasl.token_file: the token was refused: ${answer}`),
                      answer,
                    ),
            }),
      },
    }),
  };
}

/** Why a call failed, for people: of all tries the last one, with what caused it. */
export function reasonOf(error: unknown): string {
  const { message, errors, cause } = error as Error & { errors?: Error[] };
  if (errors !== undefined && errors.length > 0) return reasonOf(errors.at(-1));
  return cause instanceof Error ? `${message} ${reasonOf(cause)}` : message;
}

export interface TopicState {
  partitions: number;
  replicas: number;
  settings: ReadonlyMap<string, string>;
}

export class Admin {
  readonly #library: typeof Library;
  readonly #admin: Library.Admin;

  constructor(library: typeof Library, admin: Library.Admin) {
    this.#library = library;
    this.#admin = admin;
  }

  /** Returns the topics of these names that exist, with the values of these settings. */
  async describe(names: readonly string[], settings: readonly string[]): Promise<Map<string, TopicState>> {
    const existing = new Set(await this.#admin.listTopics());
    const topics = names.filter((name) => existing.has(name));
    if (topics.length === 0) return new Map();
    const metadata = await this.#admin.metadata({ topics });
    const described = await this.#admin.describeConfigs({
      resources: topics.map((resourceName) => ({
        resourceType: this.#library.ConfigResourceTypes.TOPIC,
        resourceName,
        configurationKeys: [...settings],
      })),
    });
    return new Map(
      topics.map((name) => {
        const { partitions } = metadata.topics.get(name)!;
        const configs = described.find(({ resourceName }) => resourceName === name)?.configs ?? [];
        return [
          name,
          {
            partitions: partitions.length,
            replicas: partitions[0]?.replicas.length ?? 0,
            settings: new Map(configs.map((config) => [config.name, config.value ?? ""])),
          },
        ];
      }),
    );
  }

  async create(
    name: string,
    partitions: number,
    replicas: number,
    settings: ReadonlyMap<string, string>,
  ): Promise<void> {
    const configs = [...settings].map(([key, value]) => ({ name: key, value }));
    await this.#admin.createTopics({ topics: [name], partitions, replicas, configs });
  }

  async delete(name: string): Promise<void> {
    await this.#admin.deleteTopics({ topics: [name] });
  }

  async set(name: string, settings: ReadonlyMap<string, string>): Promise<void> {
    await this.#admin.incrementalAlterConfigs({
      resources: [
        {
          resourceType: this.#library.ConfigResourceTypes.TOPIC,
          resourceName: name,
          configs: [...settings].map(([key, value]) => ({
            name: key,
            value,
            configOperation: this.#library.IncrementalAlterConfigOperationTypes.SET,
          })),
        },
      ],
    });
  }

  /** Returns the number of members that a group has. */
  async members(group: string): Promise<number> {
    const groups = await this.#admin.describeGroups({ groups: [group] }).catch(() => undefined);
    return groups?.get(group)?.members.size ?? 0;
  }

  close(): Promise<void> {
    return this.#admin.close();
  }
}

const outgoing = ({ topic, partition, key, value, headers }: NewRecord) => ({
  topic,
  partition,
  key,
  value: value as Buffer,
  headers: new Map(
    Object.entries(headers ?? {}).map(([name, text]) => [Buffer.from(name), Buffer.from(text)] as const),
  ),
});

/** Divides records, in their order, into batches that brokers accept. */
export function* batches(records: readonly NewRecord[]): Generator<NewRecord[]> {
  let batch: NewRecord[] = [];
  // Brokers limit what a partition receives at once; for what goes to many of them at once, the memory is the limit.
  let size = 0;
  for (const record of records) {
    const bytes = recordOverhead + record.key.length + (record.value?.length ?? 0);
    if (size > 0 && size + bytes > batchBytes) {
      yield batch;
      batch = [];
      size = 0;
    }
    batch.push(record);
    size += bytes;
  }
  if (batch.length > 0) yield batch;
}

/** Writes records that count as written once all replicas have them. Calls must follow one another. */
export class LogProducer {
  readonly #producer: Library.Producer;

  constructor(producer: Library.Producer) {
    this.#producer = producer;
  }

  /** @throws {Error} if it is not certain that all were written; some may be. */
  async write(records: readonly NewRecord[]): Promise<void> {
    for (const batch of batches(records)) await this.#producer.send({ messages: batch.map(outgoing) });
  }

  close(): Promise<void> {
    return this.#producer.close(true);
  }
}

type FindError = typeof Library.findErrorBy;

/** What brokers answer to a producer whose id somebody else has taken over. */
const fencedCodes = ["PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH", "INVALID_TXN_STATE"] as const;

/** Writes records in transactions: all of one become visible, or none. Calls must follow one another. */
export class Transactor {
  readonly #producer: Library.Producer;
  readonly #find: FindError;

  constructor(producer: Library.Producer, find: FindError) {
    this.#producer = producer;
    this.#find = find;
  }

  /**
   * Writes records as one transaction. The first call fences all other holders of the id. Resolves to the number of records by topic.
   * @throws {Error} after which nothing else may be written: another holder has taken over, or nobody knows what was written.
   */
  async commit(
    records: readonly NewRecord[] | AsyncIterable<readonly NewRecord[]>,
  ): Promise<Map<string, number>> {
    const pieces = Symbol.asyncIterator in records ? records : [records];
    const written = new Map<string, number>();
    const transaction = await this.#producer.beginTransaction();
    // The library commits only the first of several concurrent calls, so they follow one another.
    for await (const piece of pieces) {
      for (const batch of batches(piece)) await transaction.send({ messages: batch.map(outgoing) });
      for (const { topic } of piece) written.set(topic, (written.get(topic) ?? 0) + 1);
    }
    await transaction.commit();
    return written;
  }

  /** Whether an error of `commit` says that another holder has taken over. */
  isFenced(error: unknown): boolean {
    return fencedCodes.some((code) => this.#find(error as Error, "apiId", code) !== null);
  }

  close(): Promise<void> {
    return this.#producer.close(true);
  }
}

/** Reads what is committed in the partitions of a topic. Calls must follow one another: a reader has one session with each broker. */
export class Reader {
  readonly #consumer: Library.Consumer;
  readonly #topic: string;

  constructor(consumer: Library.Consumer, topic: string) {
    this.#consumer = consumer;
    this.#topic = topic;
    this.#consumer.topics.track(topic);
  }

  /** Returns the offset of each partition's first record (`earliest`), or of the next one that is not committed yet (`latest`). */
  async offsets(
    partitions: readonly number[],
    of: typeof earliest | typeof latest,
  ): Promise<Map<number, bigint>> {
    const found = await this.#consumer.listOffsets({
      topics: [this.#topic],
      partitions: { [this.#topic]: [...partitions] },
      timestamp: of,
    });
    const all = found.get(this.#topic)!;
    return new Map(partitions.map((partition) => [partition, all[partition]!]));
  }

  /**
   * Returns the records from given offsets on, as many as there are within the bounds, or none once `waitMs` have passed.
   * @throws {Error} with the property `outOfRange` if the log does not reach back to an offset.
   */
  async fetch(
    from: ReadonlyMap<number, bigint>,
    { waitMs, bytes }: { waitMs: number; bytes: number },
  ): Promise<Map<number, Fetched>> {
    const metadata = await this.#consumer.metadata({ topics: [this.#topic] });
    const topic = metadata.topics.get(this.#topic)!;
    const byNode = Map.groupBy(from, ([partition]) => topic.partitions[partition]!.leader);
    const found = new Map<number, Fetched>();
    await Promise.all(
      [...byNode].map(async ([node, wanted]) => {
        const response = await this.#consumer.fetch({
          node,
          isolationLevel: readCommitted,
          maxWaitTime: waitMs,
          minBytes: 1,
          maxBytes: bytes,
          topics: [
            {
              topicId: topic.id,
              partitions: wanted.map(([partition, fetchOffset]) => ({
                partition,
                fetchOffset,
                currentLeaderEpoch: -1,
                lastFetchedEpoch: -1,
                partitionMaxBytes: bytes,
              })),
            },
          ],
        });
        for (const { partitions } of response.responses) {
          for (const { partitionIndex, records, abortedTransactions, lastStableOffset } of partitions) {
            const start = from.get(partitionIndex);
            if (start === undefined || !records) continue;
            const committed = withoutAborted(records, abortedTransactions ?? []);
            found.set(partitionIndex, {
              ...read(partitionIndex, records, committed, start),
              end: lastStableOffset,
            });
          }
        }
      }),
    );
    return found;
  }

  close(): Promise<void> {
    return this.#consumer.close(true);
  }
}

const isTransactional = 0b1_0000;
const isControl = 0b10_0000;
const noKey = Buffer.alloc(0);

/**
 * Asks brokers for what is committed, as 1 does, without the library's own filter, which compares with `===`. The library drops
 * committed records between an aborted transaction and the end of a later one that wrote nothing to the partition; it returns records
 * of an aborted transaction whose end is not in the same answer, and of all but the last one of a producer.
 */
const readCommitted = Object(1) as number;

/** Returns the batches that no aborted transaction wrote. */
function withoutAborted(
  batches: readonly Library.RecordsBatch[],
  aborted: readonly { producerId: bigint; firstOffset: bigint }[],
): Library.RecordsBatch[] {
  const beginnings = aborted.toSorted((a, b) => Number(a.firstOffset - b.firstOffset));
  const open = new Set<bigint>();
  return batches.filter(({ firstOffset, producerId, attributes }) => {
    while (beginnings.length > 0 && beginnings[0]!.firstOffset <= firstOffset) {
      open.add(beginnings.shift()!.producerId);
    }
    if (attributes & isControl) {
      open.delete(producerId);
      return false;
    }
    return !(attributes & isTransactional && open.has(producerId));
  });
}

function read(
  partition: number,
  all: readonly Library.RecordsBatch[],
  committed: readonly Library.RecordsBatch[],
  from: bigint,
): Omit<Fetched, "end"> {
  const records: LogRecord[] = [];
  let next = from;
  for (const { firstOffset, lastOffsetDelta } of all) {
    const after = firstOffset + BigInt(lastOffsetDelta) + 1n;
    if (after > next) next = after;
  }
  for (const batch of committed) {
    for (const { offsetDelta, timestampDelta, key, value, headers } of batch.records) {
      const offset = batch.firstOffset + BigInt(offsetDelta);
      // A batch that contains the offset is sent whole.
      if (offset < from) continue;
      records.push({
        partition,
        offset,
        timestamp: Number(batch.firstTimestamp + timestampDelta),
        key: key ?? noKey,
        value,
        headers: new Map(headers.map(([name, text]) => [name?.toString() ?? "", text?.toString() ?? ""])),
      });
    }
  }
  return { records, next };
}

/** How long to wait before joining a group again after that has failed. */
const rejoinMs = 1_000;
/** How long a member tries to leave its group. */
const leaveMs = 5_000;

/** A member of a consumer group, which is given partitions of a topic. */
export class Member {
  readonly #consumer: Library.Consumer;
  readonly #topic: string;
  #closing = false;
  #joining = false;
  /** Why the member is not in the group; undefined if it is. */
  outside: string | undefined = "joining the group";
  /** Called with all partitions that the member has, each time that they may have changed. */
  onAssigned: (partitions: ReadonlySet<number>) => void = () => {};
  /** Called if the group cannot be joined, which is tried again. */
  onError: (reason: string) => void = () => {};

  constructor(consumer: Library.Consumer, topic: string) {
    this.#consumer = consumer;
    this.#topic = topic;
    consumer.topics.track(topic);
    const report = () => {
      this.outside = undefined;
      const partitions = consumer.assignments?.find((each) => each.topic === topic)?.partitions ?? [];
      this.onAssigned(new Set(partitions));
    };
    consumer.on("consumer:group:join", report);
    consumer.on("consumer:group:rebalance", report);
    // Without a listener the event would end the process. Nobody else joins again after it.
    (consumer as unknown as NodeJS.EventEmitter).on("error", (error: Error) => this.#rejoin(error));
  }

  /** Joins the group, however long that takes. */
  join(): void {
    void this.#join();
  }

  async commit(offsets: ReadonlyMap<number, bigint>): Promise<void> {
    const all = [...offsets].map(([partition, offset]) => ({
      topic: this.#topic,
      partition,
      offset,
      leaderEpoch: -1,
    }));
    await this.#consumer.commit({ offsets: all });
  }

  /** Returns the offsets that the group has committed; -1 for a partition without one. */
  async committed(partitions: readonly number[]): Promise<Map<number, bigint>> {
    const found = await this.#consumer.listCommittedOffsets({
      topics: [{ topic: this.#topic, partitions: [...partitions] }],
    });
    const all = found.get(this.#topic) ?? [];
    return new Map(partitions.map((partition) => [partition, all[partition] ?? -1n]));
  }

  /** Leaves the group, so that others take over at once; if the brokers do not let it, they do so after the session's timeout. */
  async close(): Promise<void> {
    this.#closing = true;
    // As a part of closing, the library asks once, and not at all without a connection. Brokers that have just started refuse at first.
    const left = promisify((done: (error?: Error | null) => void) => this.#consumer.leaveGroup(true, done))();
    await endsWithin(leaveMs, left).catch(() => {});
    await this.#consumer.close(true);
  }

  async #join(): Promise<void> {
    if (this.#joining) return;
    this.#joining = true;
    while (!this.#closing) {
      try {
        await this.#consumer.joinGroup();
        break;
      } catch (error) {
        if (!this.#closing) this.#rejoin(error);
        await sleep(rejoinMs, undefined, { ref: false });
      }
    }
    this.#joining = false;
  }

  #rejoin(error: unknown): void {
    if (this.#closing) return;
    this.outside = reasonOf(error);
    this.onError(this.outside);
    void this.#join();
  }
}
