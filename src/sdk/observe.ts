/**
 * Returns a function that does what `fn` does, whether it returns, throws, or returns a promise.
 * @param ended receives how long each call took in milliseconds, and the name of the error that it failed with
 */
export function observed<This, Args extends unknown[], Result>(
  fn: (this: This, ...args: Args) => Result,
  ended: (duration: number, error?: string) => void,
): (this: This, ...args: Args) => Result {
  return function (this: This, ...args: Args): Result {
    const start = performance.now();
    const end = (error?: string) => ended(performance.now() - start, error);
    let result: Result;
    try {
      result = fn.apply(this, args);
    } catch (error) {
      end(nameOf(error));
      throw error;
    }
    if (!(result instanceof Promise)) {
      end();
      return result;
    }
    const watched = result.then(
      (value: unknown) => {
        end();
        return value;
      },
      (error: unknown) => {
        end(nameOf(error));
        throw error;
      },
    );
    // Returning the promise that was awaited keeps a rejection unhandled if nobody handles it. A promise of a class of its own may
    // have methods, so that it is returned itself.
    if (result.constructor === Promise) return watched as Result;
    watched.catch(() => {});
    return result;
  };
}

/** Returns what kind of error it is. */
export function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  // Many classes of errors do not set a name of their own.
  return error.name === "Error" ? error.constructor.name : error.name;
}
