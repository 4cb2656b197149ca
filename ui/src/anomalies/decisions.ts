import type { Decision } from "../parts/judge.tsx";

/** What people can decide about an anomaly. */
export const decisions: readonly Decision[] = [
  {
    state: "acknowledged",
    key: "a",
    verb: "Acknowledge",
    done: "Acknowledged",
    effect: "Others see that somebody looks into it. The stream is judged as before.",
  },
  {
    state: "resolved",
    key: "r",
    verb: "Resolve",
    done: "Resolved",
    effect: "The cause is gone. The stream is judged as before.",
  },
  {
    state: "accepted",
    key: "n",
    verb: "Accept as normal",
    done: "Accepted as normal",
    effect: "What the anomaly showed becomes part of what is normal for the stream.",
  },
  {
    state: "false",
    key: "x",
    verb: "Mark as false",
    done: "Marked as false",
    effect: "It was no anomaly. The stream's limit rises by scores like this one's.",
  },
];
