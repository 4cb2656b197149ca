/** Loads what a page shows, and loads it again from time to time. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";

export interface Loaded<T> {
  /** The latest data; that of before while the store or Driftlock does not answer. */
  data: T | undefined;
  /** Why the latest attempt failed. */
  error: Error | undefined;
  reload(): void;
}

/** What was loaded last, so that a page that is shown again is not empty. */
const kept = new Map<string, unknown>();
const maxKept = 50;

function keep(key: string, data: unknown): void {
  kept.delete(key);
  kept.set(key, data);
  if (kept.size > maxKept) kept.delete(kept.keys().next().value!);
}

/** Forgets everything that was loaded: whoever logs in next may be somebody else. */
export function forget(): void {
  kept.clear();
}

/**
 * @param key identifies what is loaded; another key loads anew
 * @param everyMs how often it is loaded again while the page is visible; never if it is undefined
 */
export function useLoad<T>(
  key: string,
  load: (signal: AbortSignal) => Promise<T>,
  everyMs?: number,
): Loaded<T> {
  const [, render] = useState(0);
  const state = useRef<{ key: string; error: Error | undefined }>({ key, error: undefined });
  const latest = useRef(load);
  latest.current = load;
  if (state.current.key !== key) state.current = { key, error: undefined };
  const again = useRef(() => {});
  useEffect(() => {
    let abort = new AbortController();
    const run = async () => {
      abort.abort();
      abort = new AbortController();
      const { signal } = abort;
      try {
        keep(key, await latest.current(signal));
        state.current.error = undefined;
      } catch (error) {
        if (signal.aborted) return;
        state.current.error = error as Error;
      }
      if (!signal.aborted) render((n) => n + 1);
    };
    again.current = () => void run();
    void run();
    const timer =
      everyMs === undefined ? undefined : setInterval(() => document.hidden || void run(), everyMs);
    return () => {
      clearInterval(timer);
      abort.abort();
    };
  }, [key, everyMs]);
  const reload = useCallback(() => again.current(), []);
  return { data: kept.get(key) as T | undefined, error: state.current.error, reload };
}
