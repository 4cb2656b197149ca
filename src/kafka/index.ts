export { Kafka } from "./client.ts";
export { LogControl } from "./control.ts";
export type { Group } from "./group.ts";
export { type TopicHooks, unwatched, type WorkerHooks } from "./hooks.ts";
export { checkTopics, initTopics, readStatus, resetState, type Status } from "./operations.ts";
export { partitionOfTenant } from "./partitioning.ts";
export {
  type KafkaRole,
  kafkaRoles,
  startForwarding,
  startReceiving,
  startStoring,
  startWorker,
} from "./roles.ts";
export { Router } from "./router.ts";
export type { Finding, Keeper } from "./storing.ts";
