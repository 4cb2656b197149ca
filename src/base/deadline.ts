/** The longest delay that Node's timers can hold, 31 bits of milliseconds. They fire at once for a longer one. */
export const maxTimerMs = 2 ** 31 - 1;

/**
 * Waits for `work`, but for at most `ms` milliseconds. Resolves to whether the work has ended by then; rejects if the work
 * fails in time. A failure after that is ignored.
 */
export async function endsWithin(ms: number, work: Promise<unknown>): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(late.resolve, Math.min(Math.max(0, ms), maxTimerMs), false);
  try {
    return await Promise.race([work.then(() => true), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
