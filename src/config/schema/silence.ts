/** Silences: of which anomalies nobody is notified, until when and why. The configuration and the API share their form. */
import { z } from "zod";
import { channelNames } from "./policy.ts";

const pattern = z.string().min(1).max(256);

/** Which anomalies a silence is for: those that match everything that is set. */
export const silenceMatch = z.strictObject({
  signal: z.enum(["logs", "traces", "metrics"]).optional(),
  service: pattern.optional().describe("A pattern of the stream's service"),
  stream: pattern.optional().describe("A pattern of the stream's key, such as `logs service.name=check*`"),
  channels: z.array(z.enum(channelNames)).min(1).max(channelNames.length).optional(),
});

export const silenceReason = z.string().min(1).max(1_024).describe("Why nobody needs to be notified");

/** The longest that a silence may last. */
export const maxSilenceMs = 366 * 86_400_000;

const time = z.iso
  .datetime({ offset: true, error: "must be RFC 3339 with a zone, such as 2026-01-31T12:00:00Z" })
  .max(64);

/** A silence of the configuration. What is valid stays valid as time passes: one that has ended has no effect. */
export const silence = z
  .strictObject({
    match: silenceMatch.extend({ tenant: pattern.optional().describe("A pattern of the tenant") }),
    starts_at: time.optional(),
    ends_at: time,
    reason: silenceReason,
    author: z.string().min(1).max(256).describe("Who asked for it"),
  })
  .superRefine(({ starts_at, ends_at }, context) => {
    const start = starts_at === undefined ? Date.now() : Date.parse(starts_at);
    const end = Date.parse(ends_at);
    const refuse = (message: string) =>
      context.addIssue({ code: "custom", path: ["ends_at"], message, input: ends_at });
    if (starts_at !== undefined && end <= start) refuse("must be after starts_at");
    if (end - start > maxSilenceMs) refuse("must be within a year; to stop judging a stream, use a policy");
  });

export type SilenceMatch = z.output<typeof silenceMatch>;
export type ConfiguredSilence = z.output<typeof silence>;

/** The largest number of silences of the configuration. */
export const maxConfiguredSilences = 100;
