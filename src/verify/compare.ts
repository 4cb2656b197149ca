/**
 * Describes where two JSON values differ: the path, and both values.
 * @param tolerance the relative difference at which numbers count as equal
 */
export function compare(stored: unknown, computed: unknown, tolerance = 0, path = ""): string[] {
  if (isObject(stored) && isObject(computed)) {
    const names = [...new Set([...Object.keys(stored), ...Object.keys(computed)])].sort();
    return names.flatMap((name) =>
      compare(stored[name], computed[name], tolerance, path === "" ? name : `${path}.${name}`),
    );
  }
  if (stored === computed || isClose(stored, computed, tolerance)) return [];
  return [
    `${path}: ${JSON.stringify(stored) ?? "nothing"} is stored, ${JSON.stringify(computed) ?? "nothing"} is computed`,
  ];
}

function isClose(a: unknown, b: unknown, tolerance: number): boolean {
  if (typeof a !== "number" || typeof b !== "number") return false;
  return Math.abs(a - b) <= tolerance * Math.max(Math.abs(a), Math.abs(b));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
