import { z } from "zod";
import { signals } from "../../otlp/protocol.ts";
import { type KeyMeta, section } from "./values.ts";

/** Topics of one installation. */
const maxTopics = 64;

const topic = z.strictObject({
  topic: z
    .string()
    .regex(/^[a-zA-Z0-9._-]{1,249}$/, "must consist of letters, digits, dots, hyphens and underscores"),
  signal: z.enum(signals),
  encoding: z.enum(["otlp_proto", "otlp_json"]).default("otlp_proto"),
  tenant: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/, "must be 1 to 64 letters, digits, dots, underscores or hyphens")
    .default("default"),
});

export const receiveKafka = section({
  topics: z
    .array(topic)
    .max(maxTopics)
    .default([])
    .meta({
      expected: "a list of topics such as [{topic: otlp_logs, signal: logs}]",
    } satisfies KeyMeta)
    .describe(
      "Topics at `kafka.brokers` from which processes with the role `router` take what others have written, such as the `kafkaexporter` of Collectors. Of each, `topic` is the name, `signal` is `logs`, `traces` or `metrics`, `encoding` is `otlp_proto` (default) or `otlp_json`, and `tenant` is whose records these are (`default`). Keys of messages do not matter.",
    ),
});
