/** Notifications: an outbox in the store, channels to people and their tools, and when they are not to be disturbed. */
export { type Channel, DeliveryError, type Message, type MessageKind } from "./channel.ts";
export { type OtlpParts, otlp } from "./channels/otlp.ts";
export { checkNotify, createChannels, createWindows } from "./create.ts";
export { changeNoticeOf, incidentNotices } from "./incidents.ts";
export { type Cause, keyOf, type Notice, type Resolution } from "./notice.ts";
export { type NotificationResult, Notifier, notificationResults } from "./notifier.ts";
export { sendTest } from "./test-message.ts";
export type { Window } from "./windows.ts";
