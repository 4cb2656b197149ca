/** One partition in the hands of this worker: taking it over, judging it, and writing all that comes of it in transactions. */
import type { KafkaConfig } from "../config/schema.ts";
import { type Engine, settingsChanges, snapshotFormat } from "../engine/index.ts";
import type { Kafka, NewRecord, Transactor } from "./client.ts";
import type { Engines } from "./engines.ts";
import { Fenced, type Log, Refused, type Task } from "./group.ts";
import type { WorkerHooks } from "./hooks.ts";
import { Cut, Inbox } from "./inbox.ts";
import { freshClock, Judge, type JudgeClock } from "./judge.ts";
import { startOf } from "./resume.ts";
import {
  type Checkpoint,
  checkpointRecord,
  ownerRecord,
  type PartitionState,
  type Progress,
  progressRecord,
  readState,
} from "./state.ts";
import { groupName, topicKinds, topicName } from "./topics.ts";

export interface Parts {
  kafka: Kafka;
  config: KafkaConfig;
  makeEngine(): Engine;
  /** Knows the engines that are in use. */
  engines: Engines;
  /** The settings that what was learned depends on, by key. */
  settings: Record<string, unknown>;
  /** Names this process for people. */
  owner: string;
  hooks: WorkerHooks;
  log: Log;
}

/** A transaction is begun when its first record has waited for so long, or there are so many bytes of records. */
const gatherMs = 100;
const gatherBytes = 2 ** 20;
/** How often what was counted of streams is reported, by the log's clock. */
const tellMs = 10_000;

export class JudgedPartition implements Task {
  readonly inbox = new Inbox();
  readonly #number: number;
  readonly #parts: Parts;
  readonly #state: { topic: string; partition: number };
  readonly #transactor: Transactor;
  readonly #judge: Judge;
  #progress: Progress | undefined;
  /** The offset of the record that the judge expects next; less than the progress while it replays. */
  #judgedTo = 0n;
  /** Up to where others have reported what was found. */
  #replayTo = 0n;
  /** The offset to which statistics have been reported by others, as long as it is not reached. */
  #replayTold: bigint | undefined;
  #toldClock = 0;
  /** When the engine was handed the records that it has, by a monotonic clock. */
  #judgingSince: number | undefined;
  #checkpointAt = 0;
  /** The offset of the latest checkpoint. */
  #checkpointed = -1n;

  constructor(number: number, parts: Parts) {
    const { kafka, config } = parts;
    this.#number = number;
    this.#parts = parts;
    this.#state = { topic: topicName(config, "state"), partition: number };
    this.#transactor = kafka.transactor(`${groupName(config, "worker")}-${number}`);
    const topics = {
      out: topicName(config, "out"),
      anomalies: topicName(config, "anomalies"),
      statistics: topicName(config, "statistics"),
    };
    const place = { partition: number, partitions: config.partitions };
    this.#judge = new Judge(parts.makeEngine(), topics, place, parts.hooks);
    parts.engines.add(this.#judge.engine);
  }

  get doneTo(): bigint | undefined {
    return this.#progress?.offset;
  }

  get judgingFor(): number {
    return this.#judgingSince === undefined ? 0 : performance.now() - this.#judgingSince;
  }

  /** Takes the partition over and judges it. If another process fails meanwhile or this one does, whoever comes next goes on. */
  async run(): Promise<void> {
    try {
      await this.#takeOver();
      while (!this.inbox.stopped) await this.#once();
      await this.#keep();
    } catch (error) {
      if (error instanceof Cut) throw cutOff(error);
      if (!this.#transactor.isFenced(error)) throw error;
      this.#parts.hooks.onFenced();
      throw new Fenced("another process has taken it over");
    } finally {
      this.inbox.stop();
      await this.#transactor.close().catch(() => {});
      this.#parts.engines.remove(this.#judge.engine);
      await this.#judge.engine.close();
    }
  }

  async #takeOver(): Promise<void> {
    const { kafka, owner, engines, hooks, log, config } = this.#parts;
    const since = performance.now();
    // From here on no former owner can write anything: what is read below stays true.
    const fence = ownerRecord(this.#state, owner);
    await this.#transactor.commit([fence]);
    const stored = await readState(kafka, this.#state, fence).catch((error) => {
      throw error instanceof SyntaxError ? damaged("its own records cannot be read") : error;
    });
    const start = await startOf(kafka, { topic: topicName(config, "in"), partition: this.#number });
    const from = await this.#restore(stored, start);
    this.#progress = stored.progress ?? { offset: from, toldAt: from };
    this.#judgedTo = from;
    this.#replayTo = this.#progress.offset;
    this.#replayTold = this.#progress.toldAt;
    this.#toldClock = this.#judge.clock.now;
    // Partitions that are taken over together do not make their checkpoints together.
    this.#checkpointAt =
      performance.now() + config.checkpoint_interval * (0.5 + this.#number / config.partitions / 2);
    await this.#forgetTold(from);
    if (from === this.#replayTo) engines.replayed(this.#judge.engine);
    this.inbox.open(from);
    const ms = performance.now() - since;
    hooks.onTakeOver(ms / 1_000);
    log.info(
      {
        partition: this.#number,
        from: String(from),
        replay: String(this.#replayTo - from),
        streams: this.#judge.engine.stats().streams,
        ms: Math.round(ms),
      },
      "kafka: took a partition over",
    );
  }

  /** Restores the engine. @returns the offset to judge from. */
  async #restore({ progress, checkpoint, learned }: PartitionState, start: bigint): Promise<bigint> {
    if (checkpoint === undefined) {
      const from = progress?.offset ?? start;
      if (from < start) throw cutOff({ wanted: from, start });
      // Until the next one, whoever takes over begins where this one does.
      const first = { offset: from, toldAt: from };
      await this.#transactor.commit([
        this.#checkpointRecord(from, freshClock(), false),
        progressRecord(this.#state, progress ?? first),
      ]);
      return from;
    }
    const { offset, clock, hasLearned } = checkpoint;
    const changes = changesOf(checkpoint, this.#parts.settings);
    if (changes.length > 0) throw new Refused(`${changes.join("; ")}: ${remedies}`);
    if (offset < start) throw cutOff({ wanted: offset, start });
    if (hasLearned) {
      const restored = await this.#judge.engine.restoreFrom([learned]);
      if (restored.kind === "refused") throw damaged(restored.reason);
    }
    await this.#judge.resume(clock as JudgeClock);
    this.#checkpointed = offset;
    return offset;
  }

  /** Gathers records, judges them, and writes what comes of them, or how far they have been judged. */
  async #once(): Promise<void> {
    const replays = this.#judgedTo < this.#replayTo;
    const batch = await this.inbox.gather(replays ? 0 : gatherMs, gatherBytes);
    const replayed = batch.filter(({ offset }) => offset < this.#replayTo);
    for (const record of replayed) {
      await this.#forgetTold(record.offset);
      await this.#judged(this.#judge.apply(record, true));
      this.#judgedTo = record.offset + 1n;
    }
    const { engines, hooks } = this.#parts;
    if (replayed.length > 0) hooks.onReplayed(replayed.length);
    if (replays && this.#judgedTo >= this.#replayTo) engines.replayed(this.#judge.engine);
    const live = batch.slice(replayed.length);
    if (live.length === 0) return;
    await this.#forgetTold(live[0]!.offset);
    // They are judged in the order of calls, and waited for together.
    const found = (await this.#judged(Promise.all(live.map((record) => this.#judge.apply(record))))).flat();
    const offset = live.at(-1)!.offset + 1n;
    this.#judgedTo = offset;
    const isDue = performance.now() >= this.#checkpointAt && offset !== this.#checkpointed;
    await this.#commit(offset, found, isDue);
    hooks.onConsumed(live.length);
  }

  /** Notes for how long the engine has records. */
  async #judged<T>(verdicts: Promise<T>): Promise<T> {
    this.#judgingSince = performance.now();
    try {
      return await verdicts;
    } finally {
      this.#judgingSince = undefined;
    }
  }

  /** Stores what was learned before others go on with it. */
  async #keep(): Promise<void> {
    const done = this.#progress?.offset;
    if (done === undefined || this.#judgedTo !== done || this.#checkpointed === done) return;
    await this.#commit(done, [], true);
  }

  /** What was found, how far the partition is judged, and what it has learned become true together. */
  async #commit(offset: bigint, found: readonly NewRecord[], checkpoint: boolean): Promise<void> {
    const { now } = this.#judge.clock;
    const tells = checkpoint || now - this.#toldClock >= tellMs;
    const told = tells ? await this.#judge.statistics() : [];
    const progress = { offset, toldAt: tells ? offset : this.#progress!.toldAt };
    const records = [...found, ...told, progressRecord(this.#state, progress)];
    const written = await this.#transactor.commit(
      checkpoint ? this.#withCheckpoint(records, offset) : records,
    );
    const { hooks, config } = this.#parts;
    for (const kind of topicKinds) {
      const count = written.get(topicName(config, kind));
      if (count !== undefined) hooks.onProduced(kind, count);
    }
    this.#progress = progress;
    if (tells) this.#toldClock = now;
    if (!checkpoint) return;
    this.#checkpointAt = performance.now() + this.#parts.config.checkpoint_interval;
    this.#checkpointed = offset;
  }

  async *#withCheckpoint(records: NewRecord[], offset: bigint): AsyncGenerator<NewRecord[]> {
    yield [...records, this.#checkpointRecord(offset, this.#judge.clock, true)];
    for await (const piece of this.#judge.engine.checkpoint()) {
      yield piece.map(({ key, value }) => ({ ...this.#state, key, value }));
    }
  }

  #checkpointRecord(offset: bigint, clock: JudgeClock, hasLearned: boolean): NewRecord {
    const { settings } = this.#parts;
    return checkpointRecord(this.#state, { offset, format: snapshotFormat, settings, clock, hasLearned });
  }

  /** Drops what has been counted of streams up to where others have reported it. */
  async #forgetTold(offset: bigint): Promise<void> {
    if (this.#replayTold === undefined || offset < this.#replayTold) return;
    this.#replayTold = undefined;
    await this.#judge.statistics();
    this.#toldClock = this.#judge.clock.now;
  }
}

const remedies =
  "give each key its former value, or let the streams learn again with `driftlock kafka reset-state`";

function changesOf({ format, settings }: Checkpoint, now: Record<string, unknown>): string[] {
  if (format !== snapshotFormat) {
    return [
      `another version of Driftlock stored what the streams learned: its format is ${format}, this version reads ${snapshotFormat}`,
    ];
  }
  return settingsChanges(settings, now);
}

const damaged = (reason: string) =>
  new Refused(
    `what the streams learned cannot be used, because ${reason}; let them learn again with \`driftlock kafka reset-state\``,
  );

const cutOff = ({ wanted, start }: Pick<Cut, "wanted" | "start">) =>
  new Refused(
    `the topic in begins at offset ${start}, and ${wanted} is the next one to judge: the brokers deleted what lies between; raise kafka.retention, and let the streams learn again with \`driftlock kafka reset-state\``,
  );
