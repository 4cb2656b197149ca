import type { ChannelConfig } from "../config/schema/notify.ts";
import type { Notice } from "./notice.ts";

/** `opened` is the first message about an incident, `refreshed` repeats the latest one for receivers that forget. */
export type MessageKind = "opened" | "updated" | "refreshed" | "resolved";

/** A message about one incident, or a summary of several. */
export type Message =
  | {
      kind: MessageKind;
      /** The same whenever this message is sent again, and different from those of all other messages. */
      id: string;
      /** The same in all messages about the incident. */
      key: string;
      notice: Notice;
      /** The incident as it was last sent. */
      previous?: Notice;
    }
  | { kind: "summary"; id: string; notices: readonly Notice[] };

export interface Channel {
  readonly name: string;
  readonly type: ChannelConfig["type"] | "otlp";
  /** Whether it receives changes as well, and not only incidents. */
  readonly takesChanges?: boolean;
  /** Whether it receives a notice. */
  matches(notice: Notice): boolean;
  /** The number of messages in an hour beyond which incidents are summarized. */
  readonly maxPerHour?: number;
  /** How often an open incident is sent again, if the receiver forgets it otherwise. */
  readonly refreshMs?: number;
  /** Resolves once the receiver has accepted the message. @throws {DeliveryError} */
  send(message: Message, abort: AbortSignal): Promise<void>;
}

/** Why a message was not accepted. The message of the error names neither secrets nor addresses that are secret. */
export class DeliveryError extends Error {
  /** When the receiver wants to be asked again. */
  readonly retryAfterMs: number | undefined;
  /** Whether the receiver will never accept the message. */
  readonly permanent: boolean;

  constructor(
    message: string,
    { retryAfterMs, permanent = false }: { retryAfterMs?: number | undefined; permanent?: boolean } = {},
  ) {
    super(message);
    this.name = "DeliveryError";
    this.retryAfterMs = retryAfterMs;
    this.permanent = permanent;
  }
}
