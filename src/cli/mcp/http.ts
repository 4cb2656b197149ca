/**
 * Serves the Model Context Protocol over streamable HTTP. Each request is answered on its own, with the key or token that it
 * carries, so that the server has no more rights than its caller.
 */
import {
  createMcpHandler,
  hostHeaderValidationResponse,
  localhostAllowedHostnames,
  localhostAllowedOrigins,
  originValidationResponse,
} from "@modelcontextprotocol/server";
import fastify, { type FastifyReply, type FastifyRequest } from "fastify";
import { isLoopback, listenError, parseListen } from "../../base/address.ts";
import { printable } from "../../base/printable.ts";
import { ApiClient, ApiRefusal } from "../shared/api-client.ts";
import { mcpServer } from "./tools.ts";

const limits = { bodyBytes: 256 * 2 ** 10, requestMs: 30_000, connections: 256 };
const path = "/mcp";

/** Returns the request as the SDK takes it. Its signal is aborted once nobody waits for the answer any more. */
function webRequest({ method, url, headers, body, host }: FastifyRequest, reply: FastifyReply): Request {
  const ended = new AbortController();
  reply.raw.once("close", () => ended.abort());
  const entries = Object.entries(headers).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value ?? ""]).map((each): [string, string] => [name, each]),
  );
  return new Request(`http://${host}${url}`, {
    method,
    headers: entries,
    signal: ended.signal,
    ...(body instanceof Buffer && { body: new Uint8Array(body) }),
  });
}

function refusal(reply: FastifyReply, status: number, message: string): FastifyReply {
  if (status === 401) reply.header("www-authenticate", 'Bearer realm="driftlock"');
  return reply
    .code(status)
    .send({ jsonrpc: "2.0", id: null, error: { code: -32_000, message: printable(message) } });
}

const bearerOf = (header: string | null) => /^bearer +(\S+)$/i.exec(header?.trim() ?? "")?.[1];

/**
 * @param apiUrl the URL of the API that is asked
 * @param endpoint the address to listen at
 * @throws {Error} with the address and the remedy if it cannot be bound.
 */
export async function serveHttp(
  apiUrl: string,
  endpoint: string,
): Promise<{ url: string; close(): Promise<void> }> {
  const { host, port } = parseListen(endpoint);
  const local = isLoopback(host);
  const clientOf = (headers: Headers | undefined) =>
    new ApiClient(apiUrl, bearerOf(headers?.get("authorization") ?? null));
  const handler = createMcpHandler(({ requestInfo }) => mcpServer(clientOf(requestInfo?.headers)));
  const app = fastify({
    bodyLimit: limits.bodyBytes,
    requestTimeout: limits.requestMs,
    http: { requestTimeout: limits.requestMs, headersTimeout: limits.requestMs },
    forceCloseConnections: true,
  });
  app.server.maxConnections = limits.connections;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  app.setNotFoundHandler((_request, reply) =>
    refusal(reply, 404, `the Model Context Protocol is at ${path}`),
  );
  app.all(path, async (request, reply) => {
    const asked = webRequest(request, reply);
    const foreign =
      (local ? hostHeaderValidationResponse(asked, localhostAllowedHostnames()) : undefined) ??
      originValidationResponse(asked, localhostAllowedOrigins());
    if (foreign !== undefined) return reply.send(foreign);
    try {
      const { subject } = await clientOf(asked.headers).json<{ subject: string }>("/v1/session");
      if (subject === "anonymous" && !local) {
        return refusal(
          reply,
          403,
          `${apiUrl} asks nobody for a key, so its data are for its own machine alone; set auth.enabled`,
        );
      }
    } catch (error) {
      return refusal(reply, error instanceof ApiRefusal ? error.status : 502, (error as Error).message);
    }
    return reply.send(await handler.fetch(asked));
  });
  try {
    await app.listen({ host, port });
  } catch (cause) {
    throw listenError("--listen", endpoint, cause as NodeJS.ErrnoException);
  }
  const bound = app.server.address();
  const at = typeof bound === "object" && bound !== null ? bound.port : port;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${at}${path}`,
    async close() {
      await handler.close();
      await app.close();
    },
  };
}
