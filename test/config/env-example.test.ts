import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { keyByEnv } from "../../src/config/keys.ts";
import { loadConfig } from "../../src/config/load.ts";

const lines = readFileSync(new URL("../../.env.example", import.meta.url), "utf8").split("\n");

/** Each variable; `example` is true if the comment before it says that the value is not the default. */
const variables = lines.flatMap((line, i) => {
  const [, mark, name, value] = /^(#?)([A-Z][A-Z_]+)=(.+)$/.exec(line) ?? [];
  if (name === undefined) return [];
  return [{ name, value: value!, commented: mark === "#", example: /for example:$/i.test(lines[i - 1]!) }];
});

describe(".env.example", () => {
  it("is taken as it is, and with everything in it uncommented", () => {
    for (const chosen of [variables.filter(({ commented }) => !commented), variables]) {
      const env = Object.fromEntries(chosen.map(({ name, value }) => [name, value]));
      expect(loadConfig({ env }).config.forward.endpoint).toBe("http://127.0.0.1:14317");
    }
  });

  it("has each variable once, and the standard ones", () => {
    const names = variables.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toEqual(
      expect.arrayContaining([
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_SERVICE_NAME",
        "OTEL_ENV",
        "DRIFTLOCK_VERSION",
        "PORT",
      ]),
    );
    for (const name of names) {
      expect(keyByEnv.has(name) || /^(OTEL_|PORT$|DRIFTLOCK_(VERSION|API_KEY)$)/.test(name), name).toBe(true);
    }
  });

  it("shows the defaults", () => {
    const shown = variables.filter(({ example }) => !example);
    expect(shown.length).toBeGreaterThan(15);
    const { config } = loadConfig({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:14317" } });
    for (const { name, value } of shown) {
      const env = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:14317", [name]: value };
      expect(loadConfig({ env }).config, name).toEqual(config);
    }
  });
});
