import {
  type ClientRequest,
  type IncomingMessage,
  Agent as PlainAgent,
  request as plainRequest,
} from "node:http";
import { request as secureRequest, Agent as TlsAgent } from "node:https";
import type { Socket } from "node:net";
import { urlToHttpOptions } from "node:url";
import type { BaseLogger } from "pino";
import { truncateLine } from "../../base/truncate.ts";
import type { ForwardConfig } from "../../config/schema.ts";
import { codeName, httpCode, isRetryableHttp } from "../../otlp/codes.ts";
import { Code, httpPath, type Signal } from "../../otlp/protocol.ts";
import {
  readPartialSuccess,
  readRetryAfter,
  readStatus,
  type StatusDetails,
} from "../../otlp/response-decoder.ts";
import { explainNetwork, withRemedy } from "../remedies.ts";
import { type Compressor, createCompressor } from "./compress.ts";
import { hostOf, type Names, NameWatch } from "./names.ts";
import { Replaceable } from "./replaceable.ts";
import { TlsFiles } from "./tls.ts";
import { maxResponseSize, type Outcome, type Transport, unreadRequest } from "./transport.ts";
import { userAgent } from "./user-agent.ts";

/** Below the idle limits of common servers (60 s), so that they seldom close a connection as it is used again. */
const idleTimeoutMs = 30_000;

export class HttpTransport implements Transport {
  readonly #request: typeof plainRequest;
  readonly #endpoint: ReturnType<typeof urlToHttpOptions>;
  readonly #basePath: string;
  readonly #headers: Record<string, string>;
  readonly #compress: Compressor | undefined;
  readonly #agents: Replaceable<PlainAgent>;
  readonly #tls: TlsFiles | undefined;
  readonly #watch: NameWatch;

  constructor(config: ForwardConfig, log: BaseLogger, names: Names) {
    const url = new URL(config.endpoint);
    const secure = url.protocol === "https:";
    this.#request = secure ? secureRequest : plainRequest;
    this.#endpoint = urlToHttpOptions(url);
    this.#basePath = url.pathname.replace(/\/+$/, "");
    this.#headers = {
      "user-agent": userAgent,
      "content-type": "application/x-protobuf",
      ...(config.compression !== "none" && { "content-encoding": config.compression }),
      ...config.headers,
    };
    this.#compress = createCompressor(config.compression);

    const tls = config.tls;
    const files = secure ? new TlsFiles(tls) : undefined;
    this.#tls = files;
    const connect = () => {
      const options = { keepAlive: true, timeout: idleTimeoutMs, lookup: names.lookup };
      if (!files) return new PlainAgent(options);
      return new TlsAgent({
        ...options,
        secureContext: files.context,
        rejectUnauthorized: !tls?.insecure_skip_verify,
        ...(tls?.server_name_override && { servername: tls.server_name_override }),
      });
    };
    this.#agents = new Replaceable(connect(), (agent) => agent.destroy());
    const renew = () => this.#agents.replace(connect);
    files?.watch(log, renew);
    this.#watch = new NameWatch(hostOf(url), names, log, () => addressesOf(this.#agents.current), renew);
  }

  async send(signal: Signal, body: Buffer, timeoutMs: number, abort: AbortSignal): Promise<Outcome> {
    const payload = this.#compress ? await this.#compress(body) : body;
    const outcome = await this.#agents.use((agent) =>
      this.#exchange(agent, signal, payload, timeoutMs, abort),
    );
    return payload === body ? outcome : { ...outcome, bodyRead: true };
  }

  #exchange(
    agent: PlainAgent,
    signal: Signal,
    payload: Buffer,
    timeoutMs: number,
    abort: AbortSignal,
  ): Promise<Outcome> {
    return new Promise((resolve) => {
      if (abort.aborted) return resolve({ code: Code.CANCELLED, message: "aborted" });
      const request = this.#request({
        ...this.#endpoint,
        agent,
        method: "POST",
        path: this.#basePath + httpPath[signal],
        headers: { ...this.#headers, "content-length": payload.length },
      });
      let answer: (() => Outcome) | undefined;
      const settle = (outcome: Outcome) => {
        clearTimeout(timer);
        abort.removeEventListener("abort", cancel);
        request.off("close", lost);
        resolve({ ...outcome, bodyRead: request.writableFinished });
      };
      const fail = (code: Code, message: string) => {
        // A status that has been said stands, whatever happens to the rest of the answer.
        const said = answer?.();
        const early = said !== undefined && !isFinal(said, request);
        settle(
          said && !early ? said : { code, message: `${codeName(code)}: ${early ? unreadRequest : message}` },
        );
        request.destroy();
      };
      const cancel = () => fail(Code.CANCELLED, "aborted");
      const lost = () => fail(Code.UNAVAILABLE, "the connection was closed");
      const timer = setTimeout(
        () => fail(Code.DEADLINE_EXCEEDED, `no answer within ${timeoutMs} ms`),
        timeoutMs,
      );
      abort.addEventListener("abort", cancel, { once: true });

      request.on("error", (error) => fail(Code.UNAVAILABLE, explainNetwork(error)));
      request.on("close", lost);
      request.on("response", (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        answer = () =>
          readAnswer(signal, response, size > maxResponseSize ? undefined : Buffer.concat(chunks));
        const done = () => {
          const said = answer!();
          if (!isFinal(said, request)) return request.once("finish", done);
          settle(said);
          // What is still to be sent or to come changes nothing.
          if (!request.writableFinished || !response.complete) request.destroy();
        };
        response.on("data", (chunk: Buffer) => {
          const before = size;
          size += chunk.length;
          if (size <= maxResponseSize) return chunks.push(chunk);
          chunks.length = 0;
          if (before <= maxResponseSize) done();
        });
        response.on("error", (error) => fail(Code.UNAVAILABLE, explainNetwork(error)));
        response.on("end", () => size <= maxResponseSize && done());
      });
      request.end(payload);
    });
  }

  close(): void {
    this.#tls?.stop();
    this.#watch.stop();
    this.#agents.close();
  }
}

/** Returns the remote addresses of an agent's open connections. */
function addressesOf({ sockets, freeSockets }: PlainAgent): (string | undefined)[] {
  const open: Socket[] = [sockets, freeSockets].flatMap((byHost) =>
    Object.values(byHost).flatMap((list) => list ?? []),
  );
  return open.map(({ remoteAddress }) => remoteAddress);
}

/** A refusal holds at once; a success holds once the request has been sent whole: no peer takes what it cannot have read. */
function isFinal({ code }: Outcome, request: ClientRequest): boolean {
  return code !== Code.OK || request.writableFinished;
}

/** @param body undefined if it is larger than `maxResponseSize`. */
function readAnswer(signal: Signal, response: IncomingMessage, body: Buffer | undefined): Outcome {
  const type = response.headers["content-type"] ?? "";
  const encoding = /^application\/(x-protobuf|json)\b/i.exec(type)?.[1]?.toLowerCase();
  const compressed = (response.headers["content-encoding"] ?? "identity") !== "identity";
  const known = compressed || !encoding ? undefined : encoding === "json" ? "json" : "protobuf";

  const code = httpCode(response.statusCode!);
  if (code === Code.OK) {
    return { code, message: "", partialSuccess: known && body && readPartialSuccess(signal, body, known) };
  }
  if (body === undefined) return failure(response, {});
  const text: StatusDetails = /^text\/plain\b/i.test(type) ? { message: truncateLine(body.toString()) } : {};
  return failure(response, known ? readStatus(body, known) : text);
}

function failure(response: IncomingMessage, { message, retryAfterMs }: StatusDetails): Outcome {
  const status = response.statusCode!;
  const code = httpCode(status);
  const said = message || response.statusMessage || "no message";
  const { date, "retry-after": retryAfter } = response.headers;
  return {
    code,
    message: withRemedy(`HTTP ${status}, ${codeName(code)}: ${said}`, code, undefined, "http"),
    ...(isRetryableHttp(status) && {
      retryAfterMs: readRetryAfter(retryAfter, Date.parse(date ?? "") || undefined) ?? retryAfterMs,
    }),
  };
}
