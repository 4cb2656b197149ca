/** Calls of language models, by conversation. */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Insertable, type Kysely, sql } from "kysely";
import { sha256 } from "../base/sha256.ts";
import { type LlmCall, LlmCallSchema, LlmTurnKind } from "../gen/driftlock/v1/llm_pb.js";
import { integer } from "./anomalies/report.ts";
import { checkId, checkTenant, storable } from "./arguments.ts";
import type { Context } from "./context.ts";
import { BulkInsert } from "./database/bulk.ts";
import type { Tables } from "./database/tables.ts";
import { latestFirst, type Page, type PageRequest } from "./page.ts";
import { WaitingRows } from "./waiting.ts";

type Row = Insertable<Tables["llm_calls"]>;

export interface ConversationFilter {
  /** The range of the time of its latest call, in nanoseconds since 1970, excluding `until`. */
  from?: bigint;
  until?: bigint;
  service?: string;
  agent?: string;
  /** Whether something in it was flagged. */
  flagged?: boolean;
}

export interface ConversationSummary {
  /** 32 hexadecimal digits, which stand for the name. */
  id: string;
  /** The value of gen_ai.conversation.id, or the trace. */
  name: string;
  /** Nanoseconds since 1970. */
  start: bigint;
  end: bigint;
  services: string[];
  agents: string[];
  models: string[];
  /** The number of calls of models and of tools. */
  calls: number;
  toolCalls: number;
  failed: number;
  /** The number of calls in which something was flagged. */
  flagged: number;
  inputTokens: bigint;
  outputTokens: bigint;
  /** Undefined if no call has a known cost. */
  cost: number | undefined;
}

export interface Conversation {
  summary: ConversationSummary;
  /** The calls in the order of their starts. */
  calls: LlmCall[];
}

const maxName = 256;
/** Maximum number of calls that wait to be written. While the database is away, later ones are dropped and counted. */
const maxWaiting = 4_096;
/** Maximum size of a call that comes in several parts. */
const maxMessage = 256 * 1024;
/** Maximum number of calls of a conversation that are returned. */
export const maxConversationCalls = 500;

const columns = [
  ...(["tenant", "id", "conversation_id", "conversation", "service", "agent", "model", "operation"] as const),
  ...([
    "time",
    "end_time",
    "input_tokens",
    "output_tokens",
    "cost",
    "tool_calls",
    "failed",
    "flagged",
  ] as const),
  ...(["recorded_at", "message"] as const),
];

/** A call whose turns come later than its figures is stored in parts: joined messages are one message. */
const upsertWith = (bytes: "blob" | "bytea") =>
  new BulkInsert<"llm_calls">(columns, (db, rows) =>
    db
      .insertInto("llm_calls")
      .values(rows)
      .onConflict((conflict) =>
        conflict.columns(["tenant", "id"]).doUpdateSet({
          input_tokens: sql`coalesce(excluded.input_tokens, llm_calls.input_tokens)`,
          output_tokens: sql`coalesce(excluded.output_tokens, llm_calls.output_tokens)`,
          cost: sql`coalesce(excluded.cost, llm_calls.cost)`,
          tool_calls: sql`llm_calls.tool_calls + excluded.tool_calls`,
          failed: sql`case when excluded.failed > llm_calls.failed then excluded.failed else llm_calls.failed end`,
          flagged: sql`case when excluded.flagged > llm_calls.flagged then excluded.flagged else llm_calls.flagged end`,
          message: sql`case when length(llm_calls.message) + length(excluded.message) > ${sql.lit(maxMessage)}
          then llm_calls.message else cast(llm_calls.message || excluded.message as ${sql.raw(bytes)}) end`,
        }),
      ),
  );
/** The databases name the type of bytes differently. */
const upsert = { sqlite: upsertWith("blob"), postgres: upsertWith("bytea") } as const;

/** Returns the id of a conversation: 32 hexadecimal digits of the SHA-256 of its name. */
const conversationIdOf = (name: string) => sha256(name).slice(0, 32);

export class LlmCalls {
  readonly #context: Context;
  readonly #waiting: WaitingRows<"llm_calls", Row>;
  #dropped = 0;

  constructor(context: Context) {
    this.#context = context;
    this.#waiting = new WaitingRows(context, upsert[context.database.kind], (rows, row) =>
      this.#keep(rows, row),
    );
  }

  /** The number of calls that were dropped because too many waited. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * Takes a call, which is written within about a second.
   * @throws {InvalidArgument} for a tenant that cannot be stored, which would keep all others from being written.
   */
  offer(call: LlmCall): void {
    const { tenant, turns } = call;
    checkTenant(tenant);
    const name = storable(call.conversationId, maxName);
    const text = (value: string) => storable(value, maxName);
    const anomalies = call.anomalyIds.length > 0 || turns.some(({ anomalyIds }) => anomalyIds.length > 0);
    this.#waiting.add({
      tenant,
      id: checkId("id", call.id),
      conversation_id: conversationIdOf(call.conversationId),
      conversation: name,
      service: text(call.serviceName),
      agent: text(call.agent),
      model: text(call.responseModel || call.model),
      operation: text(call.operation),
      time: integer(call.startTimeUnixNano),
      end_time: integer(call.endTimeUnixNano),
      input_tokens: call.inputTokens === undefined ? null : integer(call.inputTokens),
      output_tokens: call.outputTokens === undefined ? null : integer(call.outputTokens),
      cost: call.cost ?? null,
      tool_calls: turns.filter(({ kind }) => kind === LlmTurnKind.TOOL_CALL).length,
      failed: call.errorType === "" ? 0 : 1,
      flagged: anomalies ? 1 : 0,
      recorded_at: BigInt(this.#context.clock.now()),
      message: toBinary(LlmCallSchema, call),
    });
  }

  flush(): Promise<void> {
    return this.#waiting.flush();
  }

  /** Lists conversations by the time of their latest call, latest first. */
  async list(
    tenant: string,
    filter: ConversationFilter = {},
    page: PageRequest = {},
  ): Promise<Page<ConversationSummary>> {
    checkTenant(tenant);
    await this.flush();
    const { from, until, service, agent, flagged } = filter;
    const { read } = this.#context.database;
    let calls = grouped(read, tenant);
    if (service !== undefined)
      calls = calls.having(sql`max(case when service = ${service} then 1 else 0 end)`, "=", 1);
    if (agent !== undefined)
      calls = calls.having(sql`max(case when agent = ${agent} then 1 else 0 end)`, "=", 1);
    if (flagged !== undefined) calls = calls.having(sql`max(flagged)`, "=", flagged ? 1 : 0);
    let query = read.selectFrom(calls.as("c")).selectAll();
    if (from !== undefined) query = query.where("time", ">=", from);
    if (until !== undefined) query = query.where("time", "<", until);
    const { items, ...rest } = await latestFirst(query, "time", page);
    return { items: await this.#named(tenant, items), ...rest };
  }

  /** Returns a conversation with its latest calls; undefined if there is none with this id. */
  async get(tenant: string, id: string): Promise<Conversation | undefined> {
    checkTenant(tenant);
    checkId("id", id);
    await this.flush();
    const { read } = this.#context.database;
    const row = await grouped(read, tenant).where("conversation_id", "=", id).executeTakeFirst();
    if (row === undefined) return undefined;
    const [summary] = await this.#named(tenant, [row]);
    const rows = await read
      .selectFrom("llm_calls")
      .select("message")
      .where("tenant", "=", tenant)
      .where("conversation_id", "=", id)
      .orderBy("time", "desc")
      .orderBy("id", "desc")
      .limit(maxConversationCalls)
      .execute();
    const calls = rows.map(({ message }) => fromBinary(LlmCallSchema, message)).reverse();
    return { summary: summary!, calls };
  }

  /** Adds the names of services, agents and models. */
  async #named(tenant: string, rows: readonly GroupedRow[]): Promise<ConversationSummary[]> {
    if (rows.length === 0) return [];
    const names = await this.#context.database.read
      .selectFrom("llm_calls")
      .select(["conversation_id", "service", "agent", "model"])
      .distinct()
      .where("tenant", "=", tenant)
      .where(
        "conversation_id",
        "in",
        rows.map(({ id }) => id),
      )
      .execute();
    const byConversation = Map.groupBy(names, ({ conversation_id }) => conversation_id);
    return rows.map(({ time: _, calls, toolCalls, failed, flagged, cost, ...row }) => {
      const own = byConversation.get(row.id) ?? [];
      const distinct = (key: "service" | "agent" | "model") =>
        [...new Set(own.map((each) => each[key]))].filter((name) => name !== "").sort();
      return {
        ...row,
        services: distinct("service"),
        agents: distinct("agent"),
        models: distinct("model"),
        calls: Number(calls),
        toolCalls: Number(toolCalls),
        failed: Number(failed),
        flagged: Number(flagged),
        cost: cost ?? undefined,
      };
    });
  }

  /** A call that comes again replaces the one that waits, and keeps its parts. */
  #keep(rows: Map<string, Row>, row: Row): void {
    const key = `${row.tenant}\0${row.id}`;
    const known = rows.get(key);
    if (known === undefined && rows.size >= maxWaiting) {
      this.#dropped += 1;
      return;
    }
    rows.set(key, known === undefined ? row : joined(known, row));
  }
}

/** Joins the parts of a call as the database does. */
function joined(before: Row, after: Row): Row {
  const whole = before.message.length + after.message.length <= maxMessage;
  return {
    ...before,
    input_tokens: after.input_tokens ?? before.input_tokens,
    output_tokens: after.output_tokens ?? before.output_tokens,
    cost: after.cost ?? before.cost,
    tool_calls: BigInt(before.tool_calls) + BigInt(after.tool_calls),
    failed: Math.max(Number(before.failed), Number(after.failed)),
    flagged: Math.max(Number(before.flagged), Number(after.flagged)),
    message: whole ? Buffer.concat([before.message, after.message]) : before.message,
  };
}

/** Returns the figures of conversations, one row per conversation. */
function grouped(read: Kysely<Tables>, tenant: string) {
  const total = (column: "input_tokens" | "output_tokens" | "tool_calls" | "failed" | "flagged") =>
    sql<bigint>`cast(coalesce(sum(${sql.ref(column)}), 0) as bigint)`;
  return read
    .selectFrom("llm_calls")
    .select([
      sql<string>`conversation_id`.as("id"),
      sql<string>`min(conversation)`.as("name"),
      sql<bigint>`min(time)`.as("start"),
      // The latest call begins a page of conversations that are alive.
      sql<bigint>`max(time)`.as("time"),
      sql<bigint>`max(end_time)`.as("end"),
      sql<bigint>`count(*)`.as("calls"),
      total("tool_calls").as("toolCalls"),
      total("failed").as("failed"),
      total("flagged").as("flagged"),
      total("input_tokens").as("inputTokens"),
      total("output_tokens").as("outputTokens"),
      sql<number | null>`sum(cost)`.as("cost"),
    ])
    .where("tenant", "=", tenant)
    .groupBy("conversation_id");
}

type GroupedRow = Awaited<ReturnType<ReturnType<typeof grouped>["execute"]>>[number];
