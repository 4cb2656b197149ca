import { z } from "zod";
import { maxPolicies, policy } from "./policy.ts";
import { bytes, count, duration, type KeyMeta, path, section } from "./values.ts";

export const detect = section({
  enabled: z
    .boolean()
    .default(true)
    .describe("If true, records are judged. If false, requests are forwarded without being read."),
  stream_by: z
    .array(z.string().min(1))
    .max(8)
    .default(["service.name"])
    .describe(
      "Resource attributes whose values identify a stream, in addition to the tenant and the signal.",
    ),
  group_by: z
    .array(z.string().min(1))
    .max(8)
    .default([
      "service.name",
      "k8s.deployment.name",
      "k8s.statefulset.name",
      "k8s.daemonset.name",
      "k8s.cronjob.name",
      "host.name",
      "host.id",
      "k8s.node.name",
    ])
    .describe(
      "Resource attributes that can name a resource group: the first one that a resource has does. If it has none of them, the values of `detect.stream_by` name its group. The streams of a group share a budget of alarms and one thread of the engine. A stream never spans two groups.",
    ),
  instance_by: z
    .array(z.string().min(1))
    .max(8)
    .default(["service.instance.id", "k8s.pod.uid", "k8s.pod.name", "container.id", "host.id", "host.name"])
    .describe(
      "Resource attributes that can name an instance of a service: the first one that a resource has does, unless it names the stream or its group anyway. Each instance has its own streams of metrics, because their points are different series. A new instance begins with what the others have learned, and one that has left gives its memory back. An empty list makes the points of all instances one stream.",
    ),
  change_attributes: z
    .array(z.string().min(1))
    .max(16)
    .default([
      "service.version",
      "container.image.name",
      "container.image.tags",
      "container.image.id",
      "deployment.environment.name",
      "k8s.deployment.name",
      "k8s.statefulset.name",
      "k8s.daemonset.name",
      "k8s.replicaset.name",
      "host.type",
      "host.image.id",
      "host.image.version",
    ])
    .describe(
      "Resource attributes that identify what a service runs as. A value that is new for a service, which has been known for ten minutes, is a change, which incidents name if it came just before them. A value that was there within a day is not new. An attribute that differs between instances, such as `k8s.pod.name`, would make each of them a change.",
    ),
  baseline: section({
    records: count
      .min(64)
      .max(1_000_000)
      .default(1_000)
      .describe(
        "The number of records that a stream learns from before it is judged. 128 suffice once they cover five minutes, 32 once they cover a day, and 100 points of a metric once they cover five minutes, or else 192. The first part becomes the dictionary, and the rest determines the limits.",
      ),
    accept_after: duration
      .default(86_400_000)
      .describe(
        "Novelty that keeps arriving for this long becomes normal. Until then it stays flagged, as one open anomaly.",
      ),
    // LZ4 finds matches at distances of up to 64 KiB.
    dictionary_size: bytes
      .pipe(z.number().min(1024).max(65_536))
      .default(24 * 2 ** 10)
      .describe("The size of the masked, deduplicated text that a stream keeps."),
  }),
  window: section({
    records: count
      .min(8)
      .max(100_000)
      .default(256)
      .describe("The number of records in a window. A window holds at most 8 KiB of text."),
    hop: count
      .max(100_000)
      .default(128)
      .describe("The number of records by which a window moves. At most `detect.window.records`."),
  }),
  budget: section({
    per_stream_per_day: z
      .number()
      .positive()
      .max(1e6)
      .default(1)
      .describe(
        "The number of alarms per stream and day that operators can handle. Alarm limits follow from it, and from the budget of the resource group that the stream is part of.",
      ),
    per_group_per_day: z
      .number()
      .positive()
      .max(1e6)
      .optional()
      .describe(
        "The number of alarms per resource group and day, of all its streams together, so that a service with many metrics raises no more alarms than one with few. The groups of a tenant share the half of it that chance may spend. By default 1.75, or `per_stream_per_day` if that is more.",
      ),
    per_tenant_per_day: z
      .number()
      .nonnegative()
      .max(1e9)
      .default(100)
      .describe(
        "The number of alarms of all streams of a tenant: as many at once, and as many per day. Half of it is reserved for anomalies that are at least a hundred times rarer than their stream's limit asks for. Alarms beyond it are counted by `driftlock_withheld_alarms_total`, but not reported. 0 disables the limit.",
      ),
    per_process_per_day: z
      .number()
      .nonnegative()
      .max(1e9)
      .default(1_000)
      .describe(
        "The number of alarms of all streams together: as many at once, and as many per day. Each tenant has an equal share, half of which is reserved for its strangest anomalies; unused shares are lent to other tenants, and a new tenant receives its share at once. Alarms beyond the budget are counted by `driftlock_withheld_alarms_total`, but not reported. 0 disables the limit.",
      ),
  }),
  policies: z
    .array(policy)
    .max(maxPolicies)
    .default([])
    .meta({
      expected: "a list of policies such as [{match: {signal: metrics}, judge: false}]",
    } satisfies KeyMeta)
    .describe(
      "What matters, per stream: whether it is judged, its budget, the channels that may raise alarms, ignored fields, the direction and least size of a deviation. The first policy whose `match` fits a stream decides; in patterns, `*` stands for any text and `?` for any byte. Policies that the API has set for a tenant come before these.",
    ),
  codec: z
    .enum(["openzl", "zstd", "lz4", "gzip"])
    .default("zstd")
    .describe("The codec of the window metrics that explain an anomaly."),
  permutations: z
    .number()
    .int()
    .min(0)
    .max(9_999)
    .default(199)
    .describe("The maximum number of permutations that the permutation test draws. 0 disables the test."),
  seed: z
    .number()
    .int()
    .min(0)
    .max(Number.MAX_SAFE_INTEGER)
    .default(42)
    .describe("The seed of the permutation test and of the anomalies' ids."),
  key_file: path
    .optional()
    .describe(
      "A file of 64 hexadecimal digits, as `openssl rand -hex 32` prints: the secret key of the engine's hashes. Processes that share it give the same verdicts. If it is not set, each installation generates its own key in `data_dir/hash.key` at the first start.",
    ),
  threads: z
    .number()
    .int()
    .min(1)
    .max(16)
    .default(1)
    .describe("The number of threads of the engine. Verdicts do not depend on it."),
  max_streams: count
    .max(1_000_000)
    .default(10_000)
    .describe(
      "The number of streams in memory. Beyond it, the least recently used stream is evicted and counted by `driftlock_evicted_streams_total`. Each of the 16 shards has its share of them and some room for chance, so that the engine may hold up to 11,600 streams at 10,000, and up to 592 at 300.",
    ),
  snapshot_interval: duration
    .default(300_000)
    .describe(
      "How often the state of all streams is saved in `data_dir`, in addition to the save at shutdown. 0 saves only at shutdown.",
    ),
});
