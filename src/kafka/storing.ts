/** Hands what the workers found to whoever stores it, who keeps how far that is together with what is stored. */
import { fromBinary } from "@bufbuild/protobuf";
import { decodeReport, type Report } from "../anomaly/report.ts";
import type { KafkaConfig } from "../config/schema.ts";
import { decodeStatistics, type StreamStatistics } from "../engine/index.ts";
import { type EvidencePage, EvidencePageSchema } from "../gen/driftlock/v1/incidents_pb.js";
import { type LlmPage, LlmPageSchema } from "../gen/driftlock/v1/llm_pb.js";
import type { Kafka, LogRecord } from "./client.ts";
import type { Log, Task } from "./group.ts";
import type { TopicHooks } from "./hooks.ts";
import { Inbox } from "./inbox.ts";
import { resumeAt } from "./resume.ts";
import { type TopicKind, topicName } from "./topics.ts";

/** What is in the topics `anomalies` and `statistics`. */
export type Finding =
  | { kind: "anomaly" | "notable"; report: Report }
  | { kind: "evidence"; page: EvidencePage }
  | { kind: "calls"; page: LlmPage }
  | { kind: "statistics"; streams: StreamStatistics[] };

/** Stores what is in one partition. */
export interface Keeper {
  /** Returns the offset of the first record that is not stored; undefined if nothing has been stored. */
  open(): Promise<bigint | undefined>;
  /** Stores findings, and that everything before an offset is stored. Calls follow one another. */
  keep(findings: readonly Finding[], offset: bigint): Promise<void>;
  close(): Promise<void>;
}

interface Parts {
  kafka: Kafka;
  config: KafkaConfig;
  topic: TopicKind;
  hooks: TopicHooks;
  log: Log;
}

/** How long findings are gathered for one transaction, and how many bytes of them. */
const gatherMs = 250;
const gatherBytes = 2 ** 20;

export class StoredPartition implements Task {
  readonly inbox = new Inbox();
  readonly #number: number;
  readonly #keeper: Keeper;
  readonly #parts: Parts;
  doneTo: bigint | undefined;

  constructor(number: number, keeper: Keeper, parts: Parts) {
    this.#number = number;
    this.#keeper = keeper;
    this.#parts = parts;
  }

  async run(): Promise<void> {
    try {
      this.doneTo = await this.#start();
      this.inbox.open(this.doneTo);
      while (!this.inbox.stopped) {
        const batch = await this.inbox.gather(gatherMs, gatherBytes);
        const last = batch.at(-1);
        if (last === undefined) continue;
        const offset = last.offset + 1n;
        await this.#keeper.keep(batch.flatMap(findingsOf), offset);
        this.doneTo = offset;
        this.#parts.hooks.onConsumed(batch.length);
      }
    } finally {
      await this.#keeper.close();
    }
  }

  async #start(): Promise<bigint> {
    const { kafka, config, topic, log } = this.#parts;
    const doneTo = await this.#keeper.open();
    const source = { topic: topicName(config, topic), partition: this.#number };
    return resumeAt(kafka, source, { doneTo, done: "stored", log });
  }
}

function findingsOf({ headers, value }: LogRecord): Finding[] {
  if (value === null) return [];
  const kind = headers.get("kind") ?? "statistics";
  switch (kind) {
    case "anomaly":
    case "notable":
      return [{ kind, report: decodeReport(value) }];
    case "evidence":
      return [{ kind, page: fromBinary(EvidencePageSchema, value) }];
    case "calls":
      return [{ kind, page: fromBinary(LlmPageSchema, value) }];
    case "statistics":
      return [{ kind, streams: decodeStatistics(value).streams }];
    default:
      return [];
  }
}
