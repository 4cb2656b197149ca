/** Whether a report to an authority is due. */
import type { IncidentReports } from "../api/types.ts";
import { StateLabel } from "../parts/labels.tsx";

type Due = IncidentReports["reports"][number]["due"];

const states: Readonly<Record<Due["state"], { state: string; name: string }>> = {
  submitted: { state: "active", name: "Submitted" },
  due: { state: "open", name: "Due" },
  overdue: { state: "failed", name: "Overdue" },
  waiting: { state: "pending", name: "Waits" },
  none: { state: "ended", name: "No time" },
};

export function DueLabel({ due }: { due: Due }) {
  return <StateLabel {...states[due.state]} />;
}
