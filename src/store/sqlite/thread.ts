import { Worker } from "node:worker_threads";
import type { Job, Opening, Result } from "./worker.ts";

export class SqliteError extends Error {
  override readonly name = "SqliteError";
  /** SQLite's extended result code; undefined where SQLite was not reached. */
  readonly errcode: number | undefined;

  constructor(message: string, errcode?: number) {
    super(message);
    this.errcode = errcode;
  }
}

type Query = Omit<Extract<Job, { sql: string }>, "id">;

/** A connection in a thread of its own, which starts with the first query. The process may end while none is in work. */
export class SqliteThread {
  readonly #opening: Opening;
  readonly #waiting = new Map<number, PromiseWithResolvers<Extract<Result, { rows: unknown[] }>>>();
  #worker: Worker | undefined;
  #lastId = 0;
  #closing = false;

  constructor(opening: Opening) {
    this.#opening = opening;
  }

  /** @throws {SqliteError} */
  run(query: Query): Promise<Extract<Result, { rows: unknown[] }>> {
    this.#worker ??= this.#start();
    return this.#ask({ id: this.#nextId(), ...query });
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    this.#closing = true;
    const ended = new Promise((resolve) => worker.once("exit", resolve));
    await this.#ask({ id: this.#nextId(), close: true });
    await ended;
  }

  #nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  #ask(job: Job): Promise<Extract<Result, { rows: unknown[] }>> {
    const answer = Promise.withResolvers<Extract<Result, { rows: unknown[] }>>();
    this.#waiting.set(job.id, answer);
    this.#worker?.ref();
    this.#worker?.postMessage(job);
    return answer.promise;
  }

  #start(): Worker {
    // Its name ends as this file's does, before and after compilation.
    const url = new URL(`./worker${import.meta.url.slice(-3)}`, import.meta.url);
    const worker = new Worker(url, { workerData: this.#opening });
    worker.on("message", (result: Result) => {
      const answer = this.#waiting.get(result.id);
      this.#waiting.delete(result.id);
      if (this.#waiting.size === 0 && !this.#closing) worker.unref();
      if ("rows" in result) answer?.resolve(result);
      else answer?.reject(new SqliteError(result.failure, result.errcode));
    });
    let failure = new SqliteError("the thread of the database ended");
    worker.on("error", (error) => {
      const { message, errcode } = error as Error & { errcode?: number };
      failure = new SqliteError(`${this.#opening.file}: ${message}`, errcode);
    });
    worker.on("exit", () => {
      this.#worker = undefined;
      for (const answer of this.#waiting.values()) answer.reject(failure);
      this.#waiting.clear();
    });
    return worker;
  }
}
