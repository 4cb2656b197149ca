/** Adds up numbers by name. A name that only some have counts as 0 in the others. */
export function sums<K extends string>(all: Iterable<Readonly<Record<K, number>>>): Record<K, number> {
  const found = {} as Record<K, number>;
  for (const each of all) {
    for (const name in each) found[name] = (found[name] ?? 0) + each[name];
  }
  return found;
}
