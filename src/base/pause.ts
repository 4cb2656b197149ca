/** A wait that others may end early. One may go on at a time. */
export class Pause {
  #end: () => void = () => {};

  /** Ends the wait that goes on, if there is one. */
  end(): void {
    this.#end();
  }

  async wait(ms: number): Promise<void> {
    // This is not an AbortController: each call of `end` may end the wait, and each abort would create an exception.
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#end = resolve;
    await promise;
    clearTimeout(timer);
  }
}
