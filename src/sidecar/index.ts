export type { IncidentSink } from "./incidents.ts";
export { type Roles, startRoles } from "./roles.ts";
export { type Remainder, type Sidecar, type SidecarOptions, startSidecar } from "./sidecar.ts";
