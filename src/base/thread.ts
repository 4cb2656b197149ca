/** Calls to a worker thread and back. What runs there does not hold up the event loop. */
import { getCompileCacheDir } from "node:module";
import { dirname } from "node:path";
import process from "node:process";
import { parentPort, type ResourceLimits, Worker } from "node:worker_threads";
import { endsWithin } from "./deadline.ts";

interface Request<Job> {
  id: number;
  /** Left out in the request to close and to end the thread. */
  job?: Job;
}

/** An error on its way between threads, with whatever else the thread says of it. */
export type Failure<Detail = object> = { message: string } & Partial<Detail>;

type Response<Answer, Detail> = { id: number; answer?: Answer } | { id: number; failure: Failure<Detail> };

/** How long `close` waits for the calls that the thread has in work. */
const closeMs = 5_000;

export interface ThreadOptions {
  /** Limits of the thread's memory; a thread that exceeds them ends. */
  limits?: ResourceLimits;
  /** A thread that has had no call for this long is ended, which frees its memory; the next call starts another one. */
  idleMs?: number;
}

/** The environment of a thread, which keeps compiled code only if a variable says where: where the process keeps its own. */
function environment(): NodeJS.ProcessEnv {
  const folder = getCompileCacheDir();
  return folder === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: dirname(folder) };
}

/** The caller's side. The thread starts with the first call; the process may end while no call is in work. */
export class Thread<Job, Answer, Detail = object> {
  readonly #url: URL;
  readonly #data: unknown;
  readonly #toError: (failure: Failure<Detail>) => Error;
  readonly #options: ThreadOptions;
  readonly #waiting = new Map<number, PromiseWithResolvers<Answer>>();
  #worker: Worker | undefined;
  #idle: NodeJS.Timeout | undefined;
  #lastId = 0;
  #closing = false;

  /**
   * @param data the thread's `workerData`.
   * @param toError makes the error with which a call rejects, also if the thread ends unexpectedly.
   */
  constructor(
    url: URL,
    data: unknown,
    toError: (failure: Failure<Detail>) => Error,
    options: ThreadOptions = {},
  ) {
    this.#url = url;
    this.#data = data;
    this.#toError = toError;
    this.#options = options;
  }

  /** @param transfer buffers of the job that the thread takes over, so that they are not copied. */
  call(job: Job, transfer: ArrayBuffer[] = []): Promise<Answer> {
    clearTimeout(this.#idle);
    this.#worker ??= this.#start();
    return this.#ask({ job }, transfer);
  }

  /** Ends the thread once it has answered the calls before, or after `maxMs`. */
  async close(maxMs = closeMs): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    clearTimeout(this.#idle);
    this.#closing = true;
    const ended = new Promise((resolve) => worker.once("exit", resolve));
    if (await endsWithin(maxMs, Promise.all([this.#ask({}).catch(() => {}), ended]))) return;
    await worker.terminate();
  }

  #ask(request: Omit<Request<Job>, "id">, transfer: ArrayBuffer[] = []): Promise<Answer> {
    this.#lastId += 1;
    const answer = Promise.withResolvers<Answer>();
    this.#waiting.set(this.#lastId, answer);
    this.#worker?.ref();
    this.#worker?.postMessage({ id: this.#lastId, ...request } satisfies Request<Job>, transfer);
    return answer.promise;
  }

  #start(): Worker {
    const worker = new Worker(this.#url, {
      workerData: this.#data,
      resourceLimits: this.#options.limits ?? {},
      env: environment(),
    });
    worker.on("message", (response: Response<Answer, Detail>) => {
      const waiting = this.#waiting.get(response.id);
      this.#waiting.delete(response.id);
      if (this.#waiting.size === 0 && !this.#closing) this.#rest(worker);
      if ("failure" in response) waiting?.reject(this.#toError(response.failure));
      else waiting?.resolve(response.answer as Answer);
    });
    let failure = { message: "the thread ended" } as Failure<Detail>;
    worker.on("error", (error) => {
      failure = error as Error & Partial<Detail>;
    });
    worker.on("exit", () => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      for (const { reject } of this.#waiting.values()) reject(this.#toError(failure));
      this.#waiting.clear();
    });
    return worker;
  }

  #rest(worker: Worker): void {
    worker.unref();
    const { idleMs } = this.#options;
    if (idleMs === undefined) return;
    this.#idle = setTimeout(() => {
      this.#worker = undefined;
      worker.postMessage({ id: 0 } satisfies Request<Job>);
    }, idleMs).unref();
  }
}

export interface Service<Job, Answer, Detail> {
  answer(job: Job): Answer | Promise<Answer>;
  /** Says why a call failed. If it throws itself, the thread ends, and all calls fail with that error. */
  toFailure(error: unknown): Failure<Detail>;
  /** Called before the thread ends. */
  close?(): void | Promise<void>;
  /** Buffers of an answer that the caller takes over, so that they are not copied. */
  transfer?(answer: Answer): ArrayBuffer[];
}

/** The thread's side: answers each call, until the one that closes. */
export function serve<Job, Answer, Detail = object>(service: Service<Job, Answer, Detail>): void {
  const port = parentPort!;
  const respond = (response: Response<Answer, Detail>, transfer: ArrayBuffer[] = []) =>
    port.postMessage(response, transfer);
  port.on("message", async ({ id, job }: Request<Job>) => {
    try {
      if (job !== undefined) {
        const answer = await service.answer(job);
        respond({ id, answer }, service.transfer?.(answer));
        return;
      }
      await service.close?.();
      respond({ id });
      port.close();
    } catch (error) {
      respond({ id, failure: service.toFailure(error) });
    }
  });
}
