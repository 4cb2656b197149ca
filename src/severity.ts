/**
 * The severity numbers of level names, by appendix B of the log data model: the short names of the model, then what syslog,
 * Windows, Log4j, Zap, java.util.logging, .NET and Python say. `critical` is 21, as in .NET and Python; syslog's own keyword
 * for it is `crit`.
 */
const numbers = new Map(
  Object.entries({ trace: 1, debug: 5, info: 9, warn: 13, error: 17, fatal: 21 }).flatMap(([name, first]) =>
    [name, `${name}2`, `${name}3`, `${name}4`].map((each, i) => [each, first + i] as const),
  ),
);
const others: Readonly<Record<string, number>> = {
  finest: 1,
  finer: 5,
  verbose: 5,
  fine: 6,
  config: 7,
  information: 9,
  informational: 9,
  notice: 10,
  warning: 13,
  err: 17,
  severe: 17,
  crit: 18,
  dpanic: 18,
  alert: 19,
  panic: 19,
  critical: 21,
  emerg: 21,
  emergency: 21,
};
for (const [name, number] of Object.entries(others)) numbers.set(name, number);

/** The SeverityNumber of a level's name in any case of letters; 0, unspecified, for names that are not known. */
export function severityNumberOf(name: string): number {
  return numbers.get(name.trim().toLowerCase()) ?? 0;
}
