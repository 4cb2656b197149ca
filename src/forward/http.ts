import { type IncomingMessage, Agent as PlainAgent, request as plainRequest } from "node:http";
import { request as secureRequest, Agent as TlsAgent } from "node:https";
import type { Socket } from "node:net";
import { urlToHttpOptions } from "node:url";
import type { BaseLogger } from "pino";
import type { ForwardConfig } from "../config/schema.ts";
import { Code, httpPath, type Signal } from "../otlp.ts";
import { readPartialSuccess, readRetryAfter, readStatus, type StatusDetails } from "./answer.ts";
import { clip, codeName, explainNetwork, httpCode, isRetryableHttp, withRemedy } from "./codes.ts";
import { type Compressor, createCompressor } from "./compress.ts";
import { hostOf, type Names, NameWatch } from "./names.ts";
import { Replaceable } from "./replaceable.ts";
import { TlsFiles } from "./tls.ts";
import { maxResponseSize, type Outcome, type Transport } from "./transport.ts";
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
    return this.#agents.use((agent) => this.#exchange(agent, signal, payload, timeoutMs, abort));
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
        resolve(outcome);
      };
      const fail = (code: Code, message: string) => {
        // Once the status has been said, what is left of the body changes nothing: after a success
        // the request must not be sent again.
        settle(answer?.() ?? { code, message: `${codeName(code)}: ${message}` });
        request.destroy();
      };
      const cancel = () => fail(Code.CANCELLED, "aborted");
      const timer = setTimeout(
        () => fail(Code.DEADLINE_EXCEEDED, `no answer within ${timeoutMs} ms`),
        timeoutMs,
      );
      abort.addEventListener("abort", cancel, { once: true });

      request.on("error", (error) => fail(Code.UNAVAILABLE, explainNetwork(error)));
      request.on("response", (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        answer = () => readAnswer(signal, response, Buffer.concat(chunks));
        response.on("data", (chunk: Buffer) => {
          size += chunk.length;
          chunks.push(chunk);
          if (size <= maxResponseSize) return;
          settle(tooLarge(response));
          request.destroy();
        });
        response.on("error", (error) => fail(Code.UNAVAILABLE, explainNetwork(error)));
        response.on("end", () => settle(answer!()));
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

/** Of an agent's open connections. */
function addressesOf({ sockets, freeSockets }: PlainAgent): (string | undefined)[] {
  const open: Socket[] = [sockets, freeSockets].flatMap((byHost) =>
    Object.values(byHost).flatMap((list) => list ?? []),
  );
  return open.map(({ remoteAddress }) => remoteAddress);
}

function readAnswer(signal: Signal, response: IncomingMessage, body: Buffer): Outcome {
  const type = response.headers["content-type"] ?? "";
  const encoding = /^application\/(x-protobuf|json)\b/i.exec(type)?.[1]?.toLowerCase();
  const compressed = (response.headers["content-encoding"] ?? "identity") !== "identity";
  const known = compressed || !encoding ? undefined : encoding === "json" ? "json" : "protobuf";

  const code = httpCode(response.statusCode!);
  if (code === Code.OK) {
    return { code, message: "", partialSuccess: known && readPartialSuccess(signal, body, known) };
  }
  const text: StatusDetails = /^text\/plain\b/i.test(type) ? { message: clip(body.toString()) } : {};
  return failure(response, known ? readStatus(body, known) : text);
}

function tooLarge(response: IncomingMessage): Outcome {
  if (httpCode(response.statusCode!) !== Code.OK) return failure(response, {});
  return {
    code: Code.RESOURCE_EXHAUSTED,
    message: `RESOURCE_EXHAUSTED: the answer is larger than ${maxResponseSize} bytes`,
  };
}

function failure(response: IncomingMessage, { message, retryAfterMs }: StatusDetails): Outcome {
  const status = response.statusCode!;
  const code = httpCode(status);
  const said = message || response.statusMessage || "no message";
  return {
    code,
    message: withRemedy(`HTTP ${status}, ${codeName(code)}: ${said}`, code, undefined, "http"),
    ...(isRetryableHttp(status) && {
      retryAfterMs: readRetryAfter(response.headers["retry-after"]) ?? retryAfterMs,
    }),
  };
}
