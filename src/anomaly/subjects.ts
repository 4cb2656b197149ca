/** What each channel looks at, as the command line and the dashboard say it. */
import type { ChannelName } from "./names.ts";

export const subjects: Readonly<Record<ChannelName, string>> = {
  content: "what a record contains that its stream did not contain before",
  sequence: "what follows what in a session or trace",
  volume: "how many records come",
  value: "a metric's level or step, or how long a span takes",
  fields: "which values a field has, among the latest records",
  shift: "how many spans an operation has, how long they take and how many fail",
  novelty: "how often something strange comes that is no reason for an alarm by itself",
  group: "what the streams of a service or host show together",
};
