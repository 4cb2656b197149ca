import { createHash } from "node:crypto";
import type { FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { steadyClock } from "../../base/clock.ts";
import { peerOf } from "../../base/peer.ts";
import { examples } from "../../json/examples.ts";
import { countJsonValues } from "../../otlp/json-shape.ts";
import { Code, ExportError, type Signal } from "../../otlp/protocol.ts";
import {
  type Call,
  decompress,
  type Encoding,
  encodings,
  type Permit,
  type Received,
  type Receivers,
  readBody,
  retryAfterMs,
  TooLarge,
} from "../../receive/index.ts";
import type { App } from "../app.ts";
import { senderOf } from "../guard.ts";
import { keepOpen } from "../keep-open.ts";
import { guarded, problems } from "../openapi.ts";
import { ApiError } from "../problem.ts";
import { noParameters } from "../query.ts";
import { validatorCompiler } from "../validation.ts";
import { eventSchema } from "./event.ts";
import { type Claim, type IdempotencyKeys, OwnKeys } from "./idempotency.ts";
import { callSchema } from "./llm-call.ts";
import {
  countLineValues,
  type ItemFormat,
  type ItemKind,
  maxItems,
  type ReadItems,
  type Reading,
} from "./read.ts";
import { BodyReader } from "./reader.ts";
import { SharedKeys } from "./shared-keys.ts";

export interface IngestOptions {
  /** Accepts items in the way the receivers accept OTLP. */
  take: Receivers["take"];
  /** The URL of the Redis through which processes share idempotency keys; undefined if each has its own. */
  sharedKeys: string | undefined;
}

/** Maximum size of a body, before and after decompression. */
const maxSize = 8 * 2 ** 20;

/**
 * Maximum memory per byte of text and per value while they are objects: two trees, and strings with 16 bits per
 * character.
 */
const bytesPerByte = 4;
const bytesPerValue = 128;

const types = { json: "application/json", ndjson: "application/x-ndjson" } as const;
const ndjsonNames = new Set<string>([types.ndjson, "application/ndjson", "application/jsonl"]);

const headers = z.looseObject({
  "idempotency-key": z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/, "must be 1 to 255 visible ASCII characters")
    .optional(),
});

const answerSchema = (what: string) =>
  z
    .object({
      accepted: z.number().int().nonnegative().describe(`Number of accepted ${what}`),
      rejected: z
        .number()
        .int()
        .nonnegative()
        .describe(`Number of rejected ${what}; sending them again would not help`),
      errors: z
        .array(z.object({ index: z.number().int().nonnegative(), field: z.string(), detail: z.string() }))
        .describe(`Errors of the first rejected ${what}, each with its index and a JSON pointer into it`),
      message: z.string().optional().describe(`The message of the downstream about ${what} that it rejected`),
    })
    .meta({
      description: `The number of ${what} that were accepted and rejected`,
      examples: [examples.eventAnswer],
    });
type Answer = z.output<ReturnType<typeof answerSchema>>;

/** A route that receives items as plain JSON. */
interface Intake {
  kind: ItemKind;
  signal: Signal;
  url: string;
  operationId: string;
  tag: string;
  summary: string;
  /** What an item is, in the singular and the plural. */
  item: string;
  items: string;
  /** What becomes of the items. */
  becomes: string;
  schema: z.ZodType;
  example: object;
}

const intakes: readonly Intake[] = [
  {
    kind: "events",
    signal: "logs",
    url: "/v1/events",
    operationId: "sendEvents",
    tag: "events",
    summary: "Send events as plain JSON",
    item: "event",
    items: "events",
    becomes: "Events become log records",
    schema: eventSchema,
    example: examples.event,
  },
  {
    kind: "calls",
    signal: "traces",
    url: "/v1/llm",
    operationId: "sendLlmCalls",
    tag: "llm",
    summary: "Send calls of language models as plain JSON",
    item: "call",
    items: "calls",
    becomes:
      "A call has prompts, responses, tool calls, or several of them; it becomes spans by the semantic conventions for generative AI",
    schema: callSchema,
    example: examples.llmCall,
  },
];

/** A rejection that passes through the intake with the answer to send. */
class Refusal extends ExportError {
  readonly answer: ApiError;

  constructor(answer: ApiError) {
    super(answer.status === 413 ? Code.RESOURCE_EXHAUSTED : Code.INVALID_ARGUMENT, answer.message);
    this.answer = answer;
  }
}

class Repeated extends ExportError {
  readonly answer: Answer;

  constructor(answer: Answer) {
    super(Code.OK, "answered before");
    this.answer = answer;
  }
}

const refuse = (...args: ConstructorParameters<typeof ApiError>) => new Refusal(new ApiError(...args));

function formatOf({ headers }: FastifyRequest): ItemFormat {
  const type = (headers["content-type"] ?? "").split(";", 1)[0]!.trim().toLowerCase();
  if (type === types.json) return "json";
  if (ndjsonNames.has(type)) return "ndjson";
  throw new ApiError(415, `content-type is neither ${types.json} nor ${types.ndjson}`);
}

function encodingOf({ headers }: FastifyRequest): Encoding | undefined {
  const text = (headers["content-encoding"] ?? "identity").trim().toLowerCase();
  if (text === "identity" || text === "") return undefined;
  if (encodings.includes(text as Encoding)) return text as Encoding;
  const accepted = encodings.join(", ");
  throw new ApiError(415, `content-encoding is not one of ${accepted}, identity`, {
    "accept-encoding": accepted,
  });
}

/**
 * Returns the valid items of a body.
 * @throws {Refusal} if there are none.
 */
function soundItems(reading: Reading | undefined, what: string): ReadItems {
  if (reading === undefined) {
    throw new ExportError(Code.UNAVAILABLE, "too many bodies wait to be read; try again later", retryAfterMs);
  }
  if ("tooMany" in reading) throw refuse(413, `there are more than ${maxItems} ${what}; send fewer`);
  if ("invalid" in reading) throw refuse(400, `the body ${reading.invalid}`);
  const { items } = reading;
  if (items.accepted > 0) return items;
  if (items.rejected === 0) throw refuse(400, `the body has no ${what}`);
  const errors = items.errors.map(({ index, field, detail }) => ({
    in: "body" as const,
    field: `/${index}${field}`,
    detail,
  }));
  throw refuse(400, `none of the ${items.rejected} ${what} was taken`, {}, errors);
}

export function ingestRoutes(app: App, { take, sharedKeys }: IngestOptions): void {
  const reader = new BodyReader();
  app.addHook("onClose", () => reader.close());
  for (const intake of intakes) {
    const keys = sharedKeys === undefined ? new OwnKeys() : new SharedKeys(sharedKeys, intake.kind);
    app.addHook("onClose", () => keys.close());
    intakeRoute(app, { take, reader, keys }, intake);
  }
}

interface Parts {
  take: IngestOptions["take"];
  reader: BodyReader;
  keys: IdempotencyKeys;
}

function intakeRoute(app: App, { take, reader, keys }: Parts, intake: Intake): void {
  const { kind, signal, item, items: what } = intake;

  const read = async (
    format: ItemFormat,
    text: Buffer,
    permit: Permit,
    owner: { peer: string; tenant: string },
    gone: AbortSignal,
  ): Promise<ReadItems> => {
    const values = await (format === "json" ? countJsonValues(text) : countLineValues(text));
    permit.hold(text.length * bytesPerByte + values * bytesPerValue);
    const job = { kind, format, text, receivedMs: steadyClock.now() };
    return soundItems(await reader.read(job, owner, gone), what);
  };

  const claim = async (
    tenant: string,
    key: string,
    text: Buffer,
  ): Promise<Extract<Claim, { kind: "first" }>> => {
    const fingerprint = createHash("sha256").update(text).digest("base64");
    const claimed = await keys.claim(tenant, key, fingerprint);
    switch (claimed.kind) {
      case "first":
        return claimed;
      case "again":
        throw new Repeated(claimed.answer as Answer);
      case "in work":
        throw refuse(409, "the request with this idempotency-key is in work", { "retry-after": "1" });
      case "other body":
        throw refuse(422, "this idempotency-key was used with another body");
    }
  };

  const handle = async (
    request: FastifyRequest,
    key: string | undefined,
    abort: AbortSignal,
  ): Promise<Answer> => {
    const format = formatOf(request);
    const encoding = encodingOf(request);
    const { tenant } = request.principal;
    let items: ReadItems | undefined;
    let first: Extract<Claim, { kind: "first" }> | undefined;
    const receive = async (permit: Permit): Promise<Received> => {
      const body = await readBody(request.raw, maxSize, permit, abort);
      const text = encoding === undefined ? body : await decompress(encoding, body, maxSize, permit);
      if (key !== undefined) first = await claim(tenant, key, text);
      const peer = peerOf(request.raw.socket.remoteAddress);
      items = await read(format, text, permit, { peer, tenant }, abort);
      permit.hold(items.request.length);
      const { buffer, byteOffset, byteLength } = items.request;
      return { body: Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength), wireBytes: body.length };
    };
    const call: Call = { ...senderOf(request), signal, transport: "http", tenant, abort, receive };
    try {
      const partial = await take(call);
      const { accepted, rejected, errors } = items!;
      const lost = Math.min(accepted, partial?.rejected ?? 0);
      const answer = {
        accepted: accepted - lost,
        rejected: rejected + lost,
        errors,
        ...(partial?.message && { message: partial.message }),
      };
      await first?.keep(answer);
      return answer;
    } catch (error) {
      await first?.free();
      if (error instanceof Refusal) throw error.answer;
      // The receivers' message names a limit that does not apply here.
      if (error instanceof TooLarge) {
        const most = `${maxSize / 2 ** 20} MiB`;
        throw new ApiError(
          413,
          `the body is larger than ${most}, before or after decompression; send fewer ${what}`,
        );
      }
      throw error;
    }
  };

  // The route has a scope of its own, since it reads bodies that other routes leave to fastify.
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", (_request, _payload, done) => done(null));
    scope.withTypeProvider<ZodTypeProvider>().route({
      method: "POST",
      url: intake.url,
      config: { scope: "ingest", boundedAnswer: true },
      schema: {
        tags: [intake.tag],
        security: [{ bearer: [] }],
        operationId: intake.operationId,
        summary: intake.summary,
        description:
          `The body is one ${item}, an array of ${what}, or one ${item} per line (\`application/x-ndjson\`), compressed or not (${encodings.join(", ")}); at ` +
          `most ${maxItems} ${what} and ${maxSize / 2 ** 20} MiB. ${intake.becomes}, which are judged and forwarded like those of OTLP. Each ${item} ` +
          "is accepted or rejected on its own. A request that is sent again with the same `Idempotency-Key` within an hour " +
          "receives the first response and has no effect.",
        consumes: [types.json, types.ndjson],
        headers,
        querystring: noParameters,
        body: z.union([intake.schema, z.array(intake.schema).min(1)]).meta({ examples: [intake.example] }),
        response: {
          200: answerSchema(what),
          ...problems(...guarded, 409, 413, 415, 422, 501, 503),
        },
      },
      validatorCompiler: (part) =>
        part.httpPart === "body" ? (value) => ({ value }) : validatorCompiler(part as never),
      handler: async (request, reply) => {
        // The downstream is awaited; the forwarder limits how long.
        const gone = keepOpen(request, reply);
        try {
          return await handle(request as FastifyRequest, request.headers["idempotency-key"], gone);
        } catch (error) {
          if (!(error instanceof Repeated)) throw error;
          reply.header("idempotency-replayed", "true");
          return error.answer;
        }
      },
    });
  });
}
