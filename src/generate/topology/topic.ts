import type { Agenda } from "../agenda.ts";

/** Messages that may wait; the oldest ones beyond them expire. */
const retained = 50_000;

/** A queue of messages with a fixed number of consumers, each of which processes one message at a time. */
export class Topic<Message> {
  readonly name: string;
  readonly consumers: number;
  #waiting: Message[] = [];
  #head = 0;
  #busy = 0;
  /** Time for which a consumer does not ask for the next message, in microseconds. */
  pause = 0;

  constructor(name: string, consumers: number) {
    this.name = name;
    this.consumers = consumers;
  }

  /** The number of messages that wait. */
  get lag(): number {
    return this.#waiting.length - this.#head;
  }

  /** @param process is called for each message in its turn, and calls its last argument when it is done */
  send(agenda: Agenda, message: Message, process: (message: Message, done: () => void) => void): void {
    this.#waiting.push(message);
    if (this.lag > retained) this.#take();
    this.#next(agenda, process);
  }

  #next(agenda: Agenda, process: (message: Message, done: () => void) => void): void {
    if (this.#busy >= this.consumers || this.lag === 0) return;
    this.#busy++;
    process(this.#take(), () => {
      agenda.after(this.pause, () => {
        this.#busy--;
        this.#next(agenda, process);
      });
    });
  }

  #take(): Message {
    const message = this.#waiting[this.#head++]!;
    if (this.#head > 1_000 && 2 * this.#head > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    return message;
  }
}
