export { checkForward } from "./check.ts";
export { Forwarder, type ForwarderState, type Undelivered } from "./forwarder.ts";
export type { LastError } from "./health.ts";
export type { DropReason, ForwardHooks } from "./hooks.ts";
