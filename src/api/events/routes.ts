import { createHash } from "node:crypto";
import type { FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { steadyClock } from "../../base/clock.ts";
import { peerOf } from "../../base/peer.ts";
import { countJsonValues } from "../../otlp/json-shape.ts";
import { Code, ExportError } from "../../otlp/protocol.ts";
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
import { examples } from "../examples.ts";
import { senderOf } from "../guard.ts";
import { guarded, problems } from "../openapi.ts";
import { ApiError } from "../problem.ts";
import { noParameters } from "../query.ts";
import { validatorCompiler } from "../validation.ts";
import { eventSchema } from "./event.ts";
import { type Claim, IdempotencyKeys } from "./idempotency.ts";
import { countLineValues, type EventFormat, maxEvents, type ReadEvents, type Reading } from "./read.ts";
import { EventReader } from "./reader.ts";

export interface EventOptions {
  /** Accepts the events in the way the receivers accept OTLP. */
  take: Receivers["take"];
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

const answerSchema = z
  .object({
    accepted: z.number().int().nonnegative().describe("Number of accepted events"),
    rejected: z
      .number()
      .int()
      .nonnegative()
      .describe("Number of rejected events; sending them again would not help"),
    errors: z
      .array(z.object({ index: z.number().int().nonnegative(), field: z.string(), detail: z.string() }))
      .describe(
        "Errors of the first rejected events, each with the index of the event and a JSON pointer into it",
      ),
    message: z.string().optional().describe("The message of the downstream about events that it rejected"),
  })
  .meta({
    description: "The number of events that were accepted and rejected",
    examples: [examples.eventAnswer],
  });
type Answer = z.output<typeof answerSchema>;

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

function formatOf({ headers }: FastifyRequest): EventFormat {
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
 * Returns the valid events of a body.
 * @throws {Refusal} if there are none.
 */
function soundEvents(reading: Reading | undefined): ReadEvents {
  if (reading === undefined) {
    throw new ExportError(Code.UNAVAILABLE, "too many bodies wait to be read; try again later", retryAfterMs);
  }
  if ("tooMany" in reading) throw refuse(413, `there are more than ${maxEvents} events; send fewer`);
  if ("invalid" in reading) throw refuse(400, `the body ${reading.invalid}`);
  const { events } = reading;
  if (events.accepted > 0) return events;
  if (events.rejected === 0) throw refuse(400, "the body has no events");
  const errors = events.errors.map(({ index, field, detail }) => ({
    in: "body" as const,
    field: `/${index}${field}`,
    detail,
  }));
  throw refuse(400, `none of the ${events.rejected} events was taken`, {}, errors);
}

export function eventRoutes(app: App, { take }: EventOptions): void {
  const keys = new IdempotencyKeys();
  const reader = new EventReader();
  app.addHook("onClose", () => reader.close());

  const read = async (
    format: EventFormat,
    text: Buffer,
    permit: Permit,
    owner: { peer: string; tenant: string },
    gone: AbortSignal,
  ): Promise<ReadEvents> => {
    const values = await (format === "json" ? countJsonValues(text) : countLineValues(text));
    permit.hold(text.length * bytesPerByte + values * bytesPerValue);
    return soundEvents(await reader.read({ format, text, receivedMs: steadyClock.now() }, owner, gone));
  };

  const claim = (tenant: string, key: string, text: Buffer): Extract<Claim, { kind: "first" }> => {
    const fingerprint = createHash("sha256").update(text).digest("base64");
    const claimed = keys.claim(tenant, key, fingerprint, performance.now());
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
    let events: ReadEvents | undefined;
    let first: Extract<Claim, { kind: "first" }> | undefined;
    const receive = async (permit: Permit): Promise<Received> => {
      const body = await readBody(request.raw, maxSize, permit, abort);
      const text = encoding === undefined ? body : await decompress(encoding, body, maxSize, permit);
      if (key !== undefined) first = claim(tenant, key, text);
      const peer = peerOf(request.raw.socket.remoteAddress);
      events = await read(format, text, permit, { peer, tenant }, abort);
      permit.hold(events.request.length);
      const { buffer, byteOffset, byteLength } = events.request;
      return { body: Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength), wireBytes: body.length };
    };
    const call: Call = { ...senderOf(request), signal: "logs", transport: "http", tenant, abort, receive };
    try {
      const partial = await take(call);
      const { accepted, rejected, errors } = events!;
      const lost = Math.min(accepted, partial?.rejected ?? 0);
      const answer = {
        accepted: accepted - lost,
        rejected: rejected + lost,
        errors,
        ...(partial?.message && { message: partial.message }),
      };
      first?.keep(answer);
      return answer;
    } catch (error) {
      first?.free();
      if (error instanceof Refusal) throw error.answer;
      // The receivers' message names a limit that does not apply here.
      if (error instanceof TooLarge) {
        const most = `${maxSize / 2 ** 20} MiB`;
        throw new ApiError(
          413,
          `the body is larger than ${most}, before or after decompression; send fewer events`,
        );
      }
      throw error;
    }
  };

  // These routes have a scope of their own, since they read bodies that other routes leave to fastify.
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", (_request, _payload, done) => done(null));
    scope.withTypeProvider<ZodTypeProvider>().route({
      method: "POST",
      url: "/v1/events",
      config: { scope: "ingest", boundedAnswer: true },
      schema: {
        tags: ["events"],
        security: [{ bearer: [] }],
        operationId: "sendEvents",
        summary: "Send events as plain JSON",
        description:
          `The body is one event, an array of events, or one event per line (\`application/x-ndjson\`), compressed or not (${encodings.join(", ")}); at ` +
          `most ${maxEvents} events and ${maxSize / 2 ** 20} MiB. Events become log records, which are judged and forwarded like those of OTLP. Each event ` +
          "is accepted or rejected on its own. A request that is sent again with the same `Idempotency-Key` within an hour " +
          "receives the first response and has no effect.",
        consumes: [types.json, types.ndjson],
        headers,
        querystring: noParameters,
        body: z.union([eventSchema, z.array(eventSchema).min(1)]).meta({ examples: [examples.event] }),
        response: {
          200: answerSchema,
          ...problems(...guarded, 409, 413, 415, 422, 501, 503),
        },
      },
      validatorCompiler: (part) =>
        part.httpPart === "body" ? (value) => ({ value }) : validatorCompiler(part as never),
      handler: async (request, reply) => {
        // The connection is idle while the downstream is awaited; the forwarder limits how long.
        request.raw.setTimeout(0);
        const gone = new AbortController();
        reply.raw.once("close", () => {
          if (!reply.raw.writableFinished) {
            gone.abort(new ExportError(Code.CANCELLED, "the sender closed the connection"));
          }
        });
        try {
          return await handle(request as FastifyRequest, request.headers["idempotency-key"], gone.signal);
        } catch (error) {
          if (!(error instanceof Repeated)) throw error;
          reply.header("idempotency-replayed", "true");
          return error.answer;
        }
      },
    });
  });
}
