/** Answers errors of routes, and of the rooms behind them, with problem details. */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "pino";
import { Code, ExportError } from "../otlp/protocol.ts";
import { BodyCut } from "../receive/index.ts";
import { InvalidArgument, isUnavailable } from "../store/index.ts";
import { ApiError, type Problem, problem, sendProblem } from "./problem.ts";
import { pointer, ValidationError } from "./validation.ts";

/** The parts of a request, by the names that fastify gives them. */
const places = { body: "body", querystring: "query", params: "path", headers: "headers" } as const;

function invalid({ validationContext = "body", issues }: ValidationError): Problem {
  const place = places[validationContext as keyof typeof places];
  const errors = issues.map(({ path, detail }) => ({
    in: place,
    field: place === "body" ? pointer(path) : String(path[0] ?? ""),
    detail,
  }));
  const [first] = errors;
  const at = [first!.in, first!.field].filter(Boolean).join(" ");
  return { ...problem(400, `${at}: ${first!.detail}`), errors };
}

const statusOf: Readonly<Partial<Record<Code, number>>> = {
  [Code.INVALID_ARGUMENT]: 400,
  [Code.UNAUTHENTICATED]: 401,
  [Code.PERMISSION_DENIED]: 403,
  [Code.RESOURCE_EXHAUSTED]: 413,
  [Code.UNIMPLEMENTED]: 501,
  [Code.INTERNAL]: 500,
};

/** Converts an error of the rooms behind the API. */
function refused(error: ExportError): ApiError {
  const { code, message, retryAfterMs } = error;
  if (error instanceof BodyCut && error.reason === "slow") return new ApiError(408, message);
  if (retryAfterMs !== undefined) {
    const headers = { "retry-after": String(Math.max(1, Math.ceil(retryAfterMs / 1_000))) };
    return new ApiError(code === Code.RESOURCE_EXHAUSTED ? 429 : 503, message, headers);
  }
  const headers: Record<string, string> =
    code === Code.UNAUTHENTICATED ? { "www-authenticate": 'Bearer realm="driftlock"' } : {};
  return new ApiError(statusOf[code] ?? 503, message, headers);
}

/** Converts the errors that routes and the rooms behind them throw deliberately. */
function known(error: FastifyError): FastifyError | ApiError {
  if (error instanceof ExportError) return refused(error);
  if (error instanceof InvalidArgument) return new ApiError(400, error.message);
  if (isUnavailable(error)) return new ApiError(503, "the store does not answer now", { "retry-after": "5" });
  return error;
}

/** Returns the problem of a body that fastify rejects. */
function refusedBody({ code }: FastifyError, { bodyLimit, schema }: FastifyRequest["routeOptions"]) {
  switch (code) {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return problem(413, `the body is larger than ${bodyLimit} bytes`);
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
    case "FST_ERR_CTP_EMPTY_TYPE":
      return problem(415, `content-type must be ${(schema?.consumes ?? ["application/json"]).join(" or ")}`);
    case "FST_ERR_CTP_INVALID_JSON_BODY":
      return problem(400, "the body is not JSON");
    case "FST_ERR_CTP_EMPTY_JSON_BODY":
      return problem(400, "the body is empty; it must be JSON");
    default:
      return undefined;
  }
}

/**
 * Answers unknown paths, wrong methods and errors.
 * @param answerPage answers an unknown path that is a page's; undefined if it is not
 */
export function answerWithProblems(
  app: FastifyInstance,
  log: Logger,
  answerPage: (request: FastifyRequest, reply: FastifyReply) => FastifyReply | undefined = () => undefined,
): void {
  const routes: { path: RegExp; methods: Set<string> }[] = [];
  app.addHook("onRoute", ({ url, method }) => {
    const path = new RegExp(`^${url.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/:\w+/g, "[^/]+")}$`);
    routes.push({ path, methods: new Set([method].flat()) });
  });
  const answerUnknown = (request: FastifyRequest, reply: FastifyReply) => {
    const path = request.url.split("?", 1)[0]!;
    const methods = new Set(routes.flatMap((route) => (route.path.test(path) ? [...route.methods] : [])));
    if (methods.size === 0) {
      return answerPage(request, reply) ?? sendProblem(reply, problem(404, "there is no such path"));
    }
    const allow = [...methods].join(", ");
    reply.header("allow", allow);
    return sendProblem(reply, problem(405, `this path takes ${allow}`));
  };
  // This runs at once, before the body is read.
  app.addHook("onRequest", async (request, reply) => {
    if (request.is404) return answerUnknown(request, reply);
  });
  app.setNotFoundHandler(answerUnknown);
  app.setErrorHandler((caught: FastifyError, request, reply) => {
    const error = known(caught);
    if (error instanceof ApiError) {
      reply.headers(error.headers);
      const { status, message, errors } = error;
      if (status !== 500)
        return sendProblem(reply, { ...problem(status, message), ...(errors && { errors }) });
    } else if (error instanceof ValidationError) {
      return sendProblem(reply, invalid(error));
    } else if (error.statusCode !== undefined && error.statusCode < 500) {
      const body = refusedBody(error, request.routeOptions);
      return sendProblem(reply, body ?? problem(error.statusCode, error.message));
    }
    log.error(
      { err: caught, method: request.method, path: request.routeOptions.url },
      "api: a request failed unexpectedly",
    );
    return sendProblem(reply, problem(500, "the request could not be answered; the log says why"));
  });
}
