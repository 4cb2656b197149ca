/** Forms incidents from the evidence of an engine: what belongs together, since when, and what its cause seems to be. */
export {
  type FormerSettings,
  type FormerStats,
  IncidentFormer,
} from "./former.ts";
