/** What a person prefers, kept in this browser. Nothing of it is secret. */
import { effect, type Signal, signal } from "@preact/signals";

function kept<T extends string>(name: string, values: readonly [T, ...T[]]): Signal<T> {
  const key = `driftlock.${name}`;
  let stored: string | null = null;
  try {
    stored = localStorage.getItem(key);
  } catch {
    // The browser keeps nothing for this site.
  }
  const preference = signal(values.find((value) => value === stored) ?? values[0]);
  effect(() => {
    const { value } = preference;
    try {
      localStorage.setItem(key, value);
    } catch {
      // It holds until the page is closed.
    }
  });
  return preference;
}

/** Whose colours are used. */
export const theme = kept("theme", ["system", "light", "dark"]);
/** The time zone in which all times are shown: that of the browser, or UTC. */
export const zone = kept("zone", ["local", "utc"]);
/** Whether single keys are commands. */
export const keyboard = kept("keyboard", ["on", "off"]);

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});
