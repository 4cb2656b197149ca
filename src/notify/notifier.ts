/** Sends what the outbox holds: each channel by itself, its messages one after another. */
import type { Notifications, OutboxChange, OutboxRow } from "../store/index.ts";
import { isUnavailable, reasonOf } from "../store/index.ts";
import { type Channel, DeliveryError, type Message, type MessageKind } from "./channel.ts";
import { keyOf, maskedNotice, type Notice, type Resolution } from "./notice.ts";
import type { Window } from "./windows.ts";

export const notificationResults = ["sent", "failed", "dropped", "withheld", "summarized"] as const;
export type NotificationResult = (typeof notificationResults)[number];

export interface NotifierHooks {
  /** Called for each attempt, and for what is not sent. It returns quickly and never throws. */
  onResult(type: Channel["type"], result: NotificationResult, count: number): void;
  log: { warn(fields: object, message: string): void; info(fields: object, message: string): void };
}

interface Parts {
  outbox: Notifications;
  channels: readonly Channel[];
  windows: readonly Window[];
  hooks: NotifierHooks;
  /** Masks personal and secret values in a text, as the policy says for notifications. */
  mask: (text: string) => string;
}

const tickMs = 1_000;
const cleanMs = 600_000;
/** The largest number of incidents whose changes wait for the store. */
const maxPending = 10_000;
/** The number of incidents whose changes are stored at once. */
const maxBatch = 200;
const claimed = 20;
const maxSummary = 500;
/** Twenty messages whose receiver does not answer take less. */
const leaseMs = 300_000;
/** Delays between attempts: doubled each time, with jitter. */
const firstRetryMs = 5_000;
const maxRetryMs = 300_000;
/** With these delays, the last attempt is made after about a day. */
const maxAttempts = 300;

/** The latest change of an incident. */
type Change = { notice: Notice } | { resolution: Resolution };

export class Notifier {
  readonly #parts: Parts;
  readonly #pending = new Map<string, Change[]>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #closing = new AbortController();
  readonly #failing = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #released: Promise<void> | undefined;
  #storing: Promise<void> | undefined;
  #storeFails = false;
  #cleanedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  start(): void {
    const { channels, hooks } = this.#parts;
    // An alert can watch a series for an increase only if it exists from the start.
    for (const { type } of channels) {
      for (const result of notificationResults) hooks.onResult(type, result, 0);
    }
    // A window may have been changed since the last run.
    this.#released = this.#parts.outbox.release().catch((error) => this.#storeFailed(error));
    this.#timer = setInterval(() => void this.tick(), tickMs).unref();
  }

  /** Takes an incident that has begun or changed. It returns at once and never throws. */
  readonly offer = (notice: Notice): void =>
    this.#take(notice, { notice: maskedNotice(notice, this.#parts.mask) });

  /** Takes the end of an incident; those that no channel has received have no effect. */
  readonly resolve = (resolution: Resolution): void => this.#take(resolution, { resolution });

  /** Stores what was offered and sends what is due. It never fails. */
  async tick(): Promise<void> {
    await this.#released;
    this.#storing ??= this.#store().finally(() => {
      this.#storing = undefined;
    });
    await this.#storing;
    for (const channel of this.#parts.channels) {
      if (this.#running.has(channel.name)) continue;
      const running = this.#deliver(channel).finally(() => this.#running.delete(channel.name));
      this.#running.set(channel.name, running);
    }
    await Promise.all(this.#running.values());
  }

  /** Stores what was offered; what was not sent is sent after the next start. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#storing;
    await this.#store();
    this.#closing.abort();
    await Promise.all(this.#running.values());
  }

  #take({ tenant, incident }: Pick<Notice, "tenant" | "incident">, change: Change): void {
    const key = `${tenant}\0${incident}`;
    const before = this.#pending.get(key);
    // An end that follows a beginning must not replace it.
    if (before !== undefined) {
      const rest = "notice" in change ? before.filter((each) => !("notice" in each)) : before;
      this.#pending.set(key, [...rest, change].slice(-2));
      return;
    }
    if (this.#pending.size >= maxPending) {
      for (const { type } of this.#parts.channels) this.#parts.hooks.onResult(type, "dropped", 1);
      return;
    }
    this.#pending.set(key, [change]);
  }

  async #store(): Promise<void> {
    const { outbox, hooks } = this.#parts;
    let most = maxBatch;
    while (this.#pending.size > 0) {
      const batch = [...this.#pending].slice(0, most);
      const changes = batch.flatMap(([, list]) => list.flatMap((change) => this.#changes(change)));
      for (const [key] of batch) this.#pending.delete(key);
      try {
        const { refused, withheld } = await outbox.change(changes);
        const types = new Map(this.#parts.channels.map(({ name, type }) => [name, type]));
        for (const name of refused) hooks.onResult(types.get(name)!, "dropped", 1);
        for (const name of withheld) hooks.onResult(types.get(name)!, "withheld", 1);
        this.#storeFails = false;
      } catch (error) {
        const isRefused = !isUnavailable(error);
        if (isRefused && batch.length === 1) {
          // The same incident would be refused again and hold up all others.
          for (const { type } of this.#parts.channels) hooks.onResult(type, "dropped", 1);
          hooks.log.warn({ reason: reasonOf(error) }, "notify: the incident cannot be stored");
          continue;
        }
        for (const [key, list] of batch) {
          const later = this.#pending.get(key) ?? [];
          this.#pending.set(key, [...list, ...later].slice(-2));
        }
        if (isRefused) {
          // One of them is at fault: one by one, the others are stored.
          most = 1;
          continue;
        }
        this.#storeFailed(error);
        return;
      }
    }
  }

  #changes(change: Change): OutboxChange[] {
    const { channels } = this.#parts;
    if ("notice" in change) {
      const { notice } = change;
      const { tenant, incident } = notice;
      return channels.map((channel) => ({
        tenant,
        incident,
        channel: channel.name,
        begins: (notice.about !== "change" || channel.takesChanges === true) && channel.matches(notice),
        next: (before) => (before === undefined || isNews(before, notice) ? JSON.stringify(notice) : before),
        resolved: false,
      }));
    }
    const { tenant, incident, endsAt } = change.resolution;
    return channels.map(({ name }) => ({
      tenant,
      incident,
      channel: name,
      begins: false,
      next: (before = "{}") => JSON.stringify({ ...JSON.parse(before), state: "resolved", endsAt }),
      resolved: true,
    }));
  }

  async #deliver(channel: Channel): Promise<void> {
    const { outbox } = this.#parts;
    try {
      await this.#summarize(channel);
      const options = { summarized: false, limit: claimed, leaseMs };
      for (;;) {
        const rows = await outbox.claim(channel.name, options);
        for (const row of rows) {
          if (this.#closing.signal.aborted) await this.#giveBack(row);
          else await this.#one(channel, row);
        }
        if (rows.length < claimed || this.#closing.signal.aborted) break;
      }
      if (performance.now() - this.#cleanedAt > cleanMs) {
        this.#cleanedAt = performance.now();
        await outbox.clean();
      }
    } catch (error) {
      this.#storeFailed(error);
    }
  }

  async #one(channel: Channel, row: OutboxRow): Promise<void> {
    const { outbox, windows } = this.#parts;
    const notice = JSON.parse(row.notice) as Notice;
    const kind = kindOf(row);
    // What closes something at the receiver, and what repeats, is no disturbance. A receiver that forgets must be told all changes.
    if (kind === "opened" || (kind === "updated" && channel.refreshMs === undefined)) {
      const now = outbox.now();
      const ends = windows.flatMap((window) => (window.matches(notice) && window.openUntil(now)) || []);
      if (ends.length > 0) return outbox.hold(row, "window", Math.max(...ends));
      const hour = channel.maxPerHour === undefined ? undefined : await outbox.hour(channel.name);
      if (hour !== undefined && hour.sent >= channel.maxPerHour!) {
        return outbox.hold(row, "cap", hour.endsAt);
      }
    }
    const key = keyOf(row);
    const id = `msg_${key}_${row.revision}`;
    const previous = row.sentNotice === undefined ? undefined : (JSON.parse(row.sentNotice) as Notice);
    const message: Message = { kind, id, key, notice, ...(previous && { previous }) };
    if (await this.#send(channel, message, [row])) await this.#counted(channel, kind);
  }

  /** Sends what the limit per hour held back as one message. */
  async #summarize(channel: Channel): Promise<void> {
    if (channel.maxPerHour === undefined) return;
    const { outbox } = this.#parts;
    const rows = await outbox.claim(channel.name, { summarized: true, limit: maxSummary, leaseMs });
    if (rows.length === 0) return;
    if (rows.length === 1) return this.#one(channel, { ...rows[0]!, held: "" });
    const notices = rows.map(({ notice }) => JSON.parse(notice) as Notice);
    const id = `msg_${keyOf(rows[0]!)}_${rows.length}_${rows[0]!.revision}`;
    if (!(await this.#send(channel, { kind: "summary", id, notices }, rows))) return;
    this.#parts.hooks.onResult(channel.type, "summarized", rows.length);
    await outbox.count(channel.name);
  }

  async #counted({ name, maxPerHour }: Channel, kind: MessageKind): Promise<void> {
    if (maxPerHour !== undefined && kind !== "refreshed") await this.#parts.outbox.count(name);
  }

  /** Resolves to whether the receiver has accepted the message. */
  async #send(channel: Channel, message: Message, rows: readonly OutboxRow[]): Promise<boolean> {
    const { outbox, hooks } = this.#parts;
    const { name, type, refreshMs } = channel;
    const again = ({ resolved }: OutboxRow) =>
      refreshMs === undefined || resolved ? undefined : outbox.now() + refreshMs;
    try {
      await channel.send(message, this.#closing.signal);
    } catch (error) {
      if (this.#closing.signal.aborted) {
        for (const row of rows) await this.#giveBack(row);
        return false;
      }
      hooks.onResult(type, "failed", 1);
      const { permanent, retryAfterMs } =
        error instanceof DeliveryError ? error : new DeliveryError((error as Error).message);
      const reason = (error as Error).message;
      if (!this.#failing.has(name)) {
        hooks.log.warn({ channel: name, reason }, "notify: a message was not accepted");
      }
      this.#failing.add(name);
      for (const row of rows) {
        if (permanent || row.attempts + 1 >= maxAttempts) {
          hooks.onResult(type, "dropped", 1);
          hooks.log.warn({ channel: name, incident: row.incident, reason }, "notify: a message was given up");
          await outbox.sent(row, again(row));
        } else {
          await outbox.failed(row, outbox.now() + (retryAfterMs ?? backoffMs(row.attempts)));
        }
      }
      return false;
    }
    if (this.#failing.delete(name)) hooks.log.info({ channel: name }, "notify: messages are accepted again");
    hooks.onResult(type, "sent", 1);
    for (const row of rows) await outbox.sent(row, again(row));
    return true;
  }

  /** Leaves a message to the next start, without waiting for the end of the lease. */
  #giveBack(row: OutboxRow): Promise<void> {
    return this.#parts.outbox.hold(row, row.held, this.#parts.outbox.now());
  }

  #storeFailed(error: unknown): void {
    if (!this.#storeFails && !this.#closing.signal.aborted) {
      this.#parts.hooks.log.warn(
        { reason: reasonOf(error) },
        "notify: the store is unavailable; notifications wait",
      );
    }
    this.#storeFails = true;
  }
}

/** Whether people should hear of a change: it is graver or less grave, or there is another likeliest cause. */
function isNews(before: string, { severity, causes }: Notice): boolean {
  const known = JSON.parse(before) as Notice;
  return known.severity !== severity || known.causes[0]?.service !== causes[0]?.service;
}

function kindOf({ sentRevision, revision, resolved }: OutboxRow): MessageKind {
  if (resolved) return "resolved";
  if (sentRevision === 0) return "opened";
  return revision > sentRevision ? "updated" : "refreshed";
}

/** Returns the delay after a number of failed attempts, at least half of what it is without jitter. */
function backoffMs(attempts: number): number {
  return Math.min(firstRetryMs * 2 ** Math.min(attempts, 20), maxRetryMs) * (0.5 + Math.random() / 2);
}
