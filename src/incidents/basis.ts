/**
 * What an incident was formed from, as bundles of evidence contain it: what began it, what joined it afterwards, and what its
 * services took of their own. `formAgain` computes the incident from it again. Times are milliseconds since 1970; signals,
 * channels, severities and joins are the numbers of the protocol (proto/driftlock/v1).
 */
import { z } from "zod";

const count = z.number().int().nonnegative();
const names = z.array(z.string());

const evidenceSchema = z
  .strictObject({
    place: z.string().describe("What it is about: the service, or else the host, or else the stream"),
    kind: count.describe("Evidence of one kind is compared with other evidence of that kind"),
    signal: count,
    channel: count,
    stream: z.string(),
    service: z.string(),
    instance: z.string(),
    host: z.string(),
    tick: z.number().describe("The beginning of its tick of 10 s"),
    flagged: count,
    margin: z.number().describe("How many times rarer the rarest is than it must be"),
    bits: z.number().describe("The binary logarithm of the margin"),
    p_value: z.number(),
    score: z.number(),
    severity: count,
    anomalies: names,
    traces: names.describe("In hexadecimal"),
    finding: z.string().describe("A hash of what was strange"),
  })
  .describe("What one stream and channel showed in one tick");

const joinShape = {
  join: count.describe("Why it belongs to the incident"),
  by: z.string().describe("The trace, service, host or change that joins it"),
  near: z
    .string()
    .optional()
    .describe("The place that it is next to in the service graph, or has a change in common with"),
};

const weight = {
  ages: z.number().describe("The sum of the ages of the tenant, in days, at which it was seen"),
};

const beginningSchema = z
  .strictObject({
    place: z.string().describe("Where the group is found from"),
    rates: z
      .strictObject({
        age: z.number().describe("For how long the tenant is known, in days"),
        kinds: z.array(
          z.strictObject({
            kind: count,
            ...weight,
            sizes: z.array(z.number()).describe("The latest sizes, in bits, the largest first"),
          }),
        ),
        places: z.array(z.strictObject({ place: z.string(), kind: count, ...weight })),
        groups: z.strictObject({
          ...weight,
          last: z.number(),
          count,
          beyond: z.number(),
          peak: z.number(),
        }),
      })
      .describe("How often the tenant has such evidence, and how large it usually is"),
    observations: z
      .array(
        z.strictObject({
          key: z.string(),
          kind: count,
          place: z.string(),
          places: names,
          hosts: names,
          bits: z.number(),
          tick: z.number(),
          traced: z.boolean(),
        }),
      )
      .describe("What was observed, in however many streams it shows"),
    by_place: z.array(z.strictObject({ name: z.string(), observations: z.array(count) })),
    by_host: z.array(z.strictObject({ name: z.string(), observations: z.array(count) })),
    related: z
      .array(z.strictObject({ place: z.string(), ...joinShape, near: z.string() }))
      .describe("How its places are related to one another, by the service graph and by changes"),
    reached: count.describe("The number of its places and of their neighbours"),
    reporting: count.describe("The number of places that send telemetry"),
    changes: count.describe("The number of changes of its places just before"),
  })
  .describe("What was found together, and what it was compared with when it became an incident");

export const formationSchema = z.strictObject({
  begun: z.number().describe("When it became an incident"),
  beginning: beginningSchema.nullable().describe("Null if there was too much to be kept"),
  begun_with: count.describe("The number of steps that it began with"),
  get steps() {
    return z
      .array(
        z.union([
          z.strictObject({
            ...joinShape,
            lasts: z.boolean().describe("Whether it shows that the incident goes on"),
            evidence: evidenceSchema,
          }),
          z.strictObject({ ...joinShape, merged: formationSchema }),
        ]),
      )
      .describe("What became part of it, in this order: evidence, and other incidents");
  },
  left_out: count.describe("The number of later steps that found no room"),
});

const figures = z.strictObject({ count: z.number(), seconds: z.number(), failures: z.number() });

const heldSchema = z
  .strictObject({
    start: z.number(),
    end: z.number(),
    severity: count,
    flagged: count,
    members_left_out: count,
    findings: names,
    places: z.array(
      z.strictObject({
        place: z.string(),
        join: joinShape.join,
        by: joinShape.by,
        bits: z.number(),
        onset: z.number(),
        new_text: z.boolean(),
      }),
    ),
    members: z.array(
      z.strictObject({
        join: joinShape.join,
        by: joinShape.by,
        evidence: evidenceSchema.describe("The rarest"),
        start: z.number(),
        end: z.number(),
        flagged: count,
        score: z.number(),
        severity: count,
        anomalies: names,
        traces: names,
      }),
    ),
  })
  .describe("What the incident has, as the sum of all its evidence");

export const basisSchema = z.strictObject({
  revision: count,
  budget: z.number().describe("`incidents.budget.per_tenant_per_day`"),
  formation: formationSchema,
  excess: z
    .strictObject({
      ticks: count,
      operations: z.array(
        z.strictObject({
          service: z.string(),
          operation: z.string(),
          host: z.string(),
          instance: z.string(),
          now: figures,
          usual: figures,
          variance: z.number(),
          most: z.strictObject({ seconds: z.number(), failures: z.number() }),
        }),
      ),
      edges: z.array(
        z.strictObject({
          caller: z.string(),
          operation: z.string(),
          callee: z.string(),
          callee_operation: z.string(),
          now: figures,
          usual: figures,
          extra: z.number().describe("The most calls beyond the usual number that there have been"),
        }),
      ),
    })
    .describe(
      "What the service graph shows: operations and calls around the incident, added up over its ticks",
    ),
  held: heldSchema.nullable().describe("Null unless steps found no room"),
});

export type Basis = z.output<typeof basisSchema>;
export type Formation = z.output<typeof formationSchema>;
export type Beginning = z.output<typeof beginningSchema>;
export type BasisEvidence = z.output<typeof evidenceSchema>;
export type Held = z.output<typeof heldSchema>;
