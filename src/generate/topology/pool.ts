import type { Agenda } from "../agenda.ts";

/** A pool of connections. Whoever needs one waits in a queue, but not for ever. */
export class Pool {
  readonly size: number;
  readonly timeoutMicros: number;
  used = 0;
  readonly #waiting: { take: (got: boolean) => void; done: boolean }[] = [];

  constructor(size: number, timeoutMicros: number) {
    this.size = size;
    this.timeoutMicros = timeoutMicros;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Calls `take` as soon as there is a connection, with false if there is none for too long. */
  acquire(agenda: Agenda, take: (got: boolean) => void): void {
    if (this.used < this.size) {
      this.used++;
      take(true);
      return;
    }
    const waiter = { take, done: false };
    this.#waiting.push(waiter);
    agenda.after(this.timeoutMicros, () => {
      if (waiter.done) return;
      waiter.done = true;
      this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
      take(false);
    });
  }

  release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) {
      this.used--;
      return;
    }
    next.done = true;
    next.take(true);
  }
}
