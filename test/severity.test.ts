import { expect, it } from "vitest";
import { native } from "../src/native.ts";

/**
 * Severity numbers of texts, by
 * https://opentelemetry.io/docs/specs/otel/logs/data-model-appendix/#appendix-b-severitynumber-example-mappings
 */
const told: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  model: {
    TRACE: 1,
    TRACE4: 4,
    DEBUG: 5,
    DEBUG2: 6,
    INFO: 9,
    INFO4: 12,
    WARN: 13,
    ERROR: 17,
    ERROR3: 19,
    FATAL: 21,
    FATAL4: 24,
  },
  syslog: { Debug: 5, Informational: 9, Notice: 10, Warning: 13, Error: 17, Alert: 19, Emergency: 21 },
  "syslog keywords": { debug: 5, info: 9, notice: 10, warning: 13, err: 17, crit: 18, alert: 19, emerg: 21 },
  Windows: { Verbose: 5, Information: 9, Warning: 13, Error: 17 },
  Log4j: { TRACE: 1, DEBUG: 5, INFO: 9, WARN: 13, ERROR: 17, FATAL: 21 },
  Zap: { debug: 5, info: 9, warn: 13, error: 17, dpanic: 18, panic: 19, fatal: 21 },
  "java.util.logging": { FINEST: 1, FINER: 5, FINE: 6, CONFIG: 7, INFO: 9, WARNING: 13, SEVERE: 17 },
  ".NET": { Trace: 1, Debug: 5, Information: 9, Warning: 13, Error: 17, Critical: 21 },
  Python: { DEBUG: 5, INFO: 9, WARNING: 13, ERROR: 17, CRITICAL: 21 },
};

it.each(Object.entries(told))("knows the levels of %s in any case of letters", (_, numbers) => {
  for (const [name, number] of Object.entries(numbers)) {
    const found = [name, name.toLowerCase(), name.toUpperCase(), ` ${name}`].map((each) =>
      native.severityNumber(each),
    );
    expect(found, name).toEqual([number, number, number, number]);
  }
});

it("makes nothing up", () => {
  for (const name of ["", "x", "warn5", "error0", "constructor", "__proto__", "17", "INFORM"]) {
    expect(native.severityNumber(name), name).toBe(0);
  }
});
