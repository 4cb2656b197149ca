/** Returns a value as text, whatever it is: `String` throws for objects that cannot be converted. */
export function asText(value: unknown): string {
  try {
    return String(value);
  } catch {
    return typeof value;
  }
}
