/** Calls to a thread and back. What runs there does not hold up the event loop. */
import { parentPort, Worker } from "node:worker_threads";

interface Request<Job> {
  id: number;
  /** None: close, and end the thread. */
  job?: Job;
}

/** An error on its way between threads. */
export interface Failure {
  message: string;
  /** SQLite's extended result code. */
  errcode?: number;
  /** The database refused the data themselves. */
  badData?: boolean;
}

/** For what a thread has in work when it is to end. */
const closeMs = 5_000;

type Response<Answer> = { id: number; answer?: Answer } | { id: number; failure: Failure };

/** The caller's side. The thread starts with the first call; the process may end while none is in work. */
export class Thread<Job, Answer> {
  readonly #url: URL;
  readonly #data: unknown;
  readonly #toError: (failure: Failure) => Error;
  readonly #waiting = new Map<number, PromiseWithResolvers<Answer>>();
  #worker: Worker | undefined;
  #lastId = 0;
  #closing = false;

  /** @param data the thread's `workerData`. */
  constructor(url: URL, data: unknown, toError: (failure: Failure) => Error) {
    this.#url = url;
    this.#data = data;
    this.#toError = toError;
  }

  /** @param transfer buffers of the job that the thread takes over, so that they are not copied. */
  call(job: Job, transfer: ArrayBuffer[] = []): Promise<Answer> {
    this.#worker ??= this.#start();
    return this.#ask({ job }, transfer);
  }

  /** Ends the thread once it has answered what was asked before, or after so long. */
  async close(maxMs = closeMs): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    this.#closing = true;
    const ended = new Promise((resolve) => worker.once("exit", resolve));
    const late = setTimeout(() => void worker.terminate(), maxMs);
    await Promise.all([this.#ask({}).catch(() => {}), ended]);
    clearTimeout(late);
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
    const worker = new Worker(this.#url, { workerData: this.#data });
    worker.on("message", (response: Response<Answer>) => {
      const waiting = this.#waiting.get(response.id);
      this.#waiting.delete(response.id);
      if (this.#waiting.size === 0 && !this.#closing) worker.unref();
      if ("failure" in response) waiting?.reject(this.#toError(response.failure));
      else waiting?.resolve(response.answer as Answer);
    });
    let failure: Failure = { message: "the thread ended" };
    worker.on("error", (error) => {
      const { message, errcode } = error as Error & { errcode?: number };
      failure = { message, ...(errcode === undefined ? {} : { errcode }) };
    });
    worker.on("exit", () => {
      this.#worker = undefined;
      for (const { reject } of this.#waiting.values()) reject(this.#toError(failure));
      this.#waiting.clear();
    });
    return worker;
  }
}

/** The thread's side: answers each call, until the one that closes. */
export function serve<Job, Answer>(
  answer: (job: Job) => Answer | Promise<Answer>,
  close: () => void | Promise<void>,
  toFailure: (error: unknown) => Failure,
): void {
  const port = parentPort!;
  const respond = (response: Response<Answer>) => port.postMessage(response);
  port.on("message", async ({ id, job }: Request<Job>) => {
    try {
      if (job !== undefined) {
        respond({ id, answer: await answer(job) });
        return;
      }
      await close();
      respond({ id });
      port.close();
    } catch (error) {
      respond({ id, failure: toFailure(error) });
    }
  });
}
