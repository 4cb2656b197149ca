/** Calls the host's listeners, whatever they do. */
import { asText } from "./as-text.ts";
import type { AnomalyEvent } from "./event.ts";

type Listener = (value: never) => unknown;

export class Listeners {
  readonly #ofAnomalies = new Set<Listener>();
  readonly #ofErrors = new Set<Listener>();
  /** Number of errors so far, those of listeners included. */
  errors = 0;

  add(event: "anomaly" | "error", listener: Listener): () => void {
    const listeners = event === "anomaly" ? this.#ofAnomalies : this.#ofErrors;
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  emit(event: AnomalyEvent): void {
    for (const listener of this.#ofAnomalies) this.#call(listener, event, (error) => this.fail(error));
  }

  /** Notes an error. Without a listener, the first one is a warning of the process. */
  fail(reason: unknown): void {
    this.errors += 1;
    const error = reason instanceof Error ? reason : new Error(asText(reason));
    if (this.#ofErrors.size === 0 && this.errors === 1)
      process.emitWarning(error.message, "DriftlockWarning");
    const ignore = () => (this.errors += 1);
    for (const listener of this.#ofErrors) this.#call(listener, error, ignore);
  }

  /** A listener may throw, and it may return a promise that rejects. */
  #call(listener: Listener, value: unknown, failed: (error: unknown) => void): void {
    try {
      const result = listener(value as never);
      if (result instanceof Promise) result.catch(failed);
    } catch (error) {
      failed(error);
    }
  }
}
