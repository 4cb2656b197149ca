/** The privacy policy: what happens to personal and secret values, and where. */
import { z } from "zod";
import { detectors } from "../../base/detectors.ts";
import { type KeyMeta, path, section } from "./values.ts";

/** The largest number of detectors that a configuration adds. */
export const maxOwnDetectors = 16;

/** Places at which a policy acts, in the order of the path of a record. */
export const places = ["scoring", "forwarded", "stored", "logs", "evidence"] as const;
export type Place = (typeof places)[number];

/** What can happen to a value: it is only counted, masked, replaced by a keyed pseudonym, or removed. */
export const actions = ["flag", "mask", "hash", "drop"] as const;
export type Action = (typeof actions)[number];

const pattern = z.string().min(1).max(256);
const expression = z.string().min(1).max(1_024);
const detectorNames = z
  .array(z.string().min(1).max(32))
  .min(1)
  .max(detectors.length + maxOwnDetectors)
  .optional();
const action = z.enum(actions);

const ofPlaces = {
  scoring: action
    .optional()
    .describe("Before a record is judged: what streams learn, and what verdicts depend on."),
  forwarded: action.optional().describe("In what is forwarded, the queue on disk and dead letters included."),
  stored: action
    .optional()
    .describe(
      "In what is stored and shown: reports, incidents, streams, live events, exports and snapshots.",
    ),
  logs: action.optional().describe("In Driftlock's own logs and in notifications."),
  evidence: action.optional().describe("In evidence bundles."),
};

/** A rule of the policy. */
export const privacyRule = z.strictObject({
  match: z
    .strictObject({
      tenant: pattern.optional().describe("A pattern of the tenant."),
      signal: z.enum(["logs", "traces", "metrics"]).optional().describe("The signal."),
      service: pattern.optional().describe("A pattern of the resource's `service.name`."),
      stream: pattern
        .optional()
        .describe(
          "A pattern of the stream's name, as the API shows it. What belongs to several streams, such as a resource, has none.",
        ),
      attribute: pattern
        .optional()
        .describe(
          "A pattern of the attribute's name; `body` and `name` are the text of a log record and the name of a span.",
        ),
      detectors: detectorNames.describe("The detectors."),
    })
    .prefault({}),
  ...ofPlaces,
});

/** A detector of the user's own. */
export const ownDetector = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,31}$/, "must consist of at most 32 of a-z, 0-9 and _, and begin with a letter")
    .refine(
      (name) => !(detectors as readonly string[]).includes(name),
      "must not be that of a built-in detector",
    )
    .describe("What masks show: `employee_id` makes `[employee_id]`."),
  pattern: expression.describe(
    "A regular expression of RE2. Its first group is the value, or the whole match if it has no group.",
  ),
});

/** Values that are none. */
export const allowance = z
  .strictObject({
    detectors: detectorNames.describe("The detectors; all by default."),
    attribute: pattern.optional().describe("A pattern of the attribute's name; every text by default."),
    values: z.array(z.string().min(1).max(1_024)).max(10_000).optional().describe("Whole values."),
    pattern: expression.optional().describe("A regular expression of RE2 that whole values match."),
  })
  .refine(
    ({ values, pattern }) => values !== undefined || pattern !== undefined,
    "must have `values` or a `pattern`",
  );

/** The largest number of rules. */
export const maxPrivacyRules = 100;

export const privacy = section({
  scoring: action
    .default("flag")
    .describe(
      "What happens to personal and secret values before a record is judged. With `flag`, nothing; what streams keep of the record is masked by `stored` all the same.",
    ),
  forwarded: action
    .default("flag")
    .describe(
      "What happens to personal and secret values in what is forwarded, the queue on disk and dead letters included. With `flag`, nothing.",
    ),
  stored: action
    .default("mask")
    .describe(
      "What happens to personal and secret values in what is stored and shown: reports, incidents, streams, live events, exports and snapshots.",
    ),
  logs: action
    .default("mask")
    .describe(
      "What happens to personal and secret values in Driftlock's own logs and in notifications, which tell of what is stored.",
    ),
  evidence: action
    .default("mask")
    .describe("What happens to personal and secret values in evidence bundles."),
  rules: z
    .array(privacyRule)
    .max(maxPrivacyRules)
    .default([])
    .meta({
      expected: "a list of rules such as [{match: {detectors: [card]}, forwarded: mask}]",
    } satisfies KeyMeta)
    .describe(
      "Exceptions: the first rule that matches a value and names the place decides what happens to it there. `match` names the `tenant`, `signal`, `service`, `stream`, `attribute` and `detectors`.",
    ),
  detectors: z
    .array(ownDetector)
    .max(maxOwnDetectors)
    .default([])
    .superRefine((own, context) => {
      own.forEach(({ name }, i) => {
        if (own.findIndex((other) => other.name === name) < i)
          context.addIssue({ code: "custom", path: [i, "name"], message: "must not be used twice" });
      });
    })
    .meta({
      expected: "a list of detectors such as [{name: employee_id, pattern: 'EMP-[0-9]{6}'}]",
    } satisfies KeyMeta)
    .describe(
      "Detectors besides the built-in ones. Each has a `name`, which masks show, and a `pattern`, a regular expression of RE2, whose first group is the value if it has one. Nothing may be repeated more often than 32 times by a count. Streams know a detector by its position, so add new ones at the end.",
    ),
  allow: z
    .array(allowance)
    .max(maxPrivacyRules)
    .default([])
    .meta({
      expected: "a list of allowances such as [{detectors: [email], values: [support@shop.example]}]",
    } satisfies KeyMeta)
    .describe(
      "What is neither personal nor secret, whatever detectors say: whole `values`, or a `pattern` (RE2) that whole values match; of some `detectors` or in attributes with some name (`attribute`, a pattern with `*`) alone, if these are given.",
    ),
  key_file: path
    .optional()
    .describe(
      "A file with the secret of at least 32 bytes from which the keys of pseudonyms (`hash`) are derived, one for each tenant. By default it is derived from the key of the engine's hashes.",
    ),
});

export type PrivacyConfig = z.output<typeof privacy>;
