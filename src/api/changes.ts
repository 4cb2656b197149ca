import { randomBytes } from "node:crypto";
import { z } from "zod";
import type { Change } from "../gen/driftlock/v1/incidents_pb.js";
import { examples } from "../json/examples.ts";
import { changeJson } from "../json/incident-parts.ts";
import { changeSchema } from "../json/incident-schema.ts";
import { parseNanos } from "../json/time.ts";
import type { Store } from "../store/index.ts";
import type { App } from "./app.ts";
import { guarded, problems } from "./openapi.ts";
import { id, noParameters, time } from "./query.ts";
import { pageSchema, paging } from "./representation.ts";

export interface ChangeOptions {
  store: Store;
  /** Called after a change was posted and stored, unless it had been before. */
  onChange(change: Change): unknown;
}

const text = z.string().min(1).max(1_024).optional();

const bodySchema = z
  .strictObject({
    id: id
      .optional()
      .describe(
        "If a change with this id exists, it stays as it is, so that a pipeline may repeat its request",
      ),
    time: time.optional().describe("When it took effect: now by default, at most a day ahead"),
    service: z
      .string()
      .min(1)
      .max(256)
      .optional()
      .describe("The service.name that it concerns; all by default"),
    title: z.string().min(1).max(1_024).describe("What has changed"),
    link: z
      .url({ protocol: /^https?$/ })
      .max(1_024)
      .optional(),
    attribute: text.describe("The resource attribute that has a new value, such as `service.version`"),
    value: text,
    previous: text,
  })
  .meta({ examples: [examples.newChange] });

export function changeRoutes(app: App, { store, onChange }: ChangeOptions): void {
  const tags = ["incidents"];
  const security = [{ bearer: [] }];
  app.get(
    "/v1/changes",
    {
      config: { scope: "read" },
      schema: {
        tags,
        security,
        operationId: "listChanges",
        summary: "List changes by their time, latest first",
        querystring: z.strictObject({
          from: time.optional().describe("Returns changes at this time or later"),
          until: time.optional().describe("Returns changes before this time"),
          service: z.string().max(256).optional(),
          ...paging,
        }),
        response: {
          200: pageSchema(changeSchema, "Changes, the latest first", examples.change),
          ...problems(...guarded, 503),
        },
      },
    },
    async ({ query, principal }) => {
      const { from, until, service } = query;
      const filter = {
        ...(from && { from: parseNanos(from) }),
        ...(until && { until: parseNanos(until) }),
        ...(service !== undefined && { service }),
      };
      const page = await store.changes.list(principal.tenant, filter, query);
      return { ...page, items: page.items.map(changeJson) };
    },
  );
  app.post(
    "/v1/changes",
    {
      config: { scope: "ingest" },
      schema: {
        tags,
        security,
        operationId: "postChange",
        summary: "Post a change, such as a deployment",
        description: "Incidents that begin soon after it name it.",
        querystring: noParameters,
        body: bodySchema,
        response: {
          200: changeSchema.describe("The change that had this id before"),
          201: changeSchema.describe("The new change"),
          ...problems(...guarded, 413, 415, 503),
        },
      },
    },
    async ({ principal, body }, reply) => {
      const { change, isNew } = await store.changes.post(principal.tenant, {
        id: body.id ?? randomBytes(16).toString("hex"),
        time: body.time === undefined ? BigInt(store.incidents.now()) * 1_000_000n : parseNanos(body.time),
        service: body.service ?? "",
        title: body.title,
        link: body.link ?? "",
        attribute: body.attribute ?? "",
        value: body.value ?? "",
        previous: body.previous ?? "",
      });
      if (isNew) onChange(change);
      return reply.code(isNew ? 201 : 200).send(changeJson(change));
    },
  );
}
