/** Errors as problem details of RFC 9457. No internals leave the process. */
import { STATUS_CODES } from "node:http";
import type { FastifyReply } from "fastify";
import { z } from "zod";
import { examples } from "../json/examples.ts";

export const problemType = "application/problem+json";

export const problemSchema = z
  .object({
    type: z
      .string()
      .describe(
        "`about:blank`: the title is the meaning of the status, and the detail describes what happened",
      ),
    title: z.string(),
    status: z.int().min(400).max(599),
    detail: z.string().optional(),
    errors: z
      .array(
        z.object({
          in: z.enum(["body", "query", "path", "headers"]),
          field: z.string().describe("JSON pointer into the body, or the parameter's name"),
          detail: z.string(),
        }),
      )
      .optional(),
  })
  .meta({ id: "Problem", description: "Problem details, RFC 9457", examples: [examples.problem] });

export type Problem = z.output<typeof problemSchema>;

/** An error that is answered with a problem. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly errors: Problem["errors"];

  constructor(
    status: number,
    detail: string,
    headers: Readonly<Record<string, string>> = {},
    errors?: Problem["errors"],
  ) {
    super(detail);
    this.status = status;
    this.headers = headers;
    this.errors = errors;
  }
}

export function problem(status: number, detail?: string): Problem {
  const title = STATUS_CODES[status] ?? "Error";
  return { type: "about:blank", title, status, ...(detail === undefined ? {} : { detail }) };
}

export function sendProblem(reply: FastifyReply, body: Problem): FastifyReply {
  return reply.code(body.status).type(problemType).send(body);
}
