/** Errors as RFC 9457 problem details; nothing of the inside leaves the process. */
import { STATUS_CODES } from "node:http";
import type { FastifyInstance, FastifyReply } from "fastify";
import type { Logger } from "pino";

export const problemType = "application/problem+json";

export interface Problem {
  type: string;
  title: string;
  status: number;
  detail?: string;
}

export function problem(status: number, detail?: string): Problem {
  const title = STATUS_CODES[status] ?? "Error";
  return { type: "about:blank", title, status, ...(detail === undefined ? {} : { detail }) };
}

export function sendProblem(reply: FastifyReply, status: number, detail?: string): FastifyReply {
  return reply.code(status).type(problemType).send(problem(status, detail));
}

/** Answers whatever no route answers: unknown paths, wrong methods, and errors. */
export function answerWithProblems(app: FastifyInstance, log: Logger): void {
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split("?", 1)[0]!;
    if (app.hasRoute({ method: "GET", url: path })) {
      reply.header("allow", "GET, HEAD");
      return sendProblem(reply, 405, `${path} takes GET alone`);
    }
    return sendProblem(reply, 404, "there is no such path");
  });
  app.setErrorHandler((error: Error & { statusCode?: number }, request, reply) => {
    const status = error.statusCode ?? 500;
    if (status < 500) return sendProblem(reply, status, error.message);
    log.error(
      { err: error, method: request.method, path: request.routeOptions.url },
      "the API failed to answer",
    );
    return sendProblem(reply, 500, "the request could not be answered; the log says why");
  });
}
