/** Which room may import which: imports go one way, and none goes past a room's index.ts. */
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { expect, test } from "vitest";

const sidecar =
  "access anomaly api billing config data-dir engine evidence forward incidents json kafka native notify otlp privacy receive store telemetry verify version base gen";

/**
 * The rooms that each room may import. A room in brackets is imported for its types only. `gen` is what buf generates
 * from the .proto files.
 */
const allowed: Readonly<Record<string, string>> = {
  base: "",
  version: "",
  otlp: "base gen",
  native: "otlp",
  anomaly: "base gen otlp",
  config: "base otlp",
  "data-dir": "base",
  engine: "anomaly config native otlp base gen",
  incidents: "anomaly base gen",
  json: "anomaly [store] base gen",
  receive: "config native otlp base gen",
  forward: "config native otlp version base",
  store: "[engine] anomaly config [version] base gen",
  billing: "store config base",
  access: "store [receive] otlp config base",
  privacy: "config native base",
  telemetry: "anomaly config forward [native] otlp receive [version] base gen",
  generate: "otlp gen",
  evidence: "store anomaly config incidents json native privacy [version] base gen",
  notify: "store anomaly config [forward] otlp base gen",
  verify: "anomaly evidence incidents json base gen",
  kafka: "anomaly config engine [forward] native otlp base gen",
  api: "access anomaly billing config evidence json native otlp receive store [version] base gen",
  sidecar,
  cli: `sidecar generate ${sidecar}`,
  math: "native base",
  index: "anomaly config engine otlp base gen",
  sdk: "anomaly config engine [native] otlp privacy base gen",
};

const files = globSync("src/**/*.ts").filter((file) => !file.startsWith("src/gen/"));
const withIndex = new Set(files.flatMap((file) => /^src\/([^/]+)\/index\.ts$/.exec(file)?.[1] ?? []));
const roomOf = (file: string) => /^src\/([^/.]+)/.exec(file)![1]!;
const statement = /^(?:import|export)( type)?\b[^;"]*?from "(\.[^"]+)";|\bimport\("(\.[^"]+)"\)/gms;

function faults(file: string, text: string): string[] {
  const rooms = ` ${allowed[roomOf(file)]} `;
  return [...text.matchAll(statement)].flatMap(([, types, from, dynamic]) => {
    const target = normalize(join(dirname(file), (from ?? dynamic)!));
    const room = roomOf(target);
    if (room === roomOf(file)) return [];
    if (!rooms.includes(` ${room} `) && !(types && rooms.includes(` [${room}] `)))
      return [`${file} imports ${target}`];
    return withIndex.has(room) && !target.endsWith("/index.ts")
      ? [`${file} goes past the index.ts of ${target}`]
      : [];
  });
}

test("every import keeps to it", () => {
  expect(files.flatMap((file) => faults(file, readFileSync(file, "utf8")))).toEqual([]);
});

test.each([
  ['import { x } from "../store/index.ts";', "imports src/store/index.ts"],
  ['export { x } from "../forward/index.ts";', "imports src/forward/index.ts"],
  ['const { x } = await import("../api/server.ts");', "imports src/api/server.ts"],
  ['import {\n  type X,\n} from "../receive/listen.ts";', "imports src/receive/listen.ts"],
])("%s is a fault in the engine", (text, fault) => {
  expect(faults("src/engine/engine.ts", text)).toEqual([`src/engine/engine.ts ${fault}`]);
});

test("a room whose types alone may be imported, and one that has an index.ts", () => {
  expect(faults("src/store/x.ts", 'import type { X } from "../engine/index.ts";')).toEqual([]);
  expect(faults("src/store/x.ts", 'import { X } from "../engine/index.ts";')).toHaveLength(1);
  expect(faults("src/store/x.ts", 'import type { X } from "../engine/statistics.ts";')).toHaveLength(1);
});
