/** A number with its noun, as in "1 entry" and "2 entries". */
export function plural(count: number | bigint, one: string, many = `${one}s`): string {
  return `${count} ${Number(count) === 1 ? one : many}`;
}
