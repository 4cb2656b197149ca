import type { Decision } from "../parts/judge.tsx";

/** What people can decide about an incident. */
export const decisions: readonly Decision[] = [
  {
    state: "acknowledged",
    key: "a",
    verb: "Acknowledge",
    done: "Acknowledged",
    effect: "Others see that somebody looks into it. Its streams are judged as before.",
  },
  {
    state: "resolved",
    key: "r",
    verb: "Resolve",
    done: "Resolved",
    effect: "The cause is gone. Its streams are judged as before.",
  },
  {
    state: "expected",
    key: "e",
    verb: "Expect more like it",
    done: "Expected",
    effect: "Until the chosen time, incidents of the same services with the same findings notify nobody.",
    until: true,
  },
  {
    state: "false",
    key: "x",
    verb: "Mark as false",
    done: "Marked as false",
    effect: "It was no incident. The limits of all its streams rise by scores like theirs.",
  },
];

export const withdrawal: Decision = {
  state: null,
  key: "u",
  verb: "Withdraw the decision",
  done: "Withdrawn",
  effect: "The incident is again what its evidence says. What streams have learned from the decision stays.",
};
