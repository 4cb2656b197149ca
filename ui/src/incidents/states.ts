import type { Incident } from "../api/types.ts";

export const incidentStates: Readonly<Record<Incident["state"], string>> = {
  open: "Open",
  ended: "Ended",
  merged: "Part of another",
  acknowledged: "Acknowledged",
  resolved: "Resolved",
  expected: "Expected",
  false: "False",
};

/** Whether somebody should look at it. */
export const isOpen = ({ state, minor }: Pick<Incident, "state" | "minor">): boolean =>
  (state === "open" || state === "acknowledged") && !minor;
