/** How numbers, times and lists are put in sentences. */

export function seconds(value: number): string {
  if (value >= 100) return `${Math.round(value)} s`;
  return value >= 1 ? `${value.toFixed(1)} s` : `${Math.round(value * 1_000)} ms`;
}

export function count(value: number, one: string, many = `${one}s`): string {
  const rounded = Math.round(value);
  return `${rounded} ${rounded === 1 ? one : many}`;
}

/** The time that ticks have covered, as in "in the first minute". */
export function span(ms: number): string {
  const s = Math.round(ms / 1_000);
  if (s < 60) return `in the first ${s} s`;
  const minutes = Math.round(s / 60);
  return minutes === 1 ? "in the first minute" : `in the first ${minutes} minutes`;
}

/** "a, b and 3 more". */
export function list(names: readonly string[], shown = 3): string {
  if (names.length > shown + 1) return `${names.slice(0, shown).join(", ")} and ${names.length - shown} more`;
  return names.length < 2 ? (names[0] ?? "") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
