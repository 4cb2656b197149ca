/**
 * Native code is organised in rooms, and imports point from later rooms to earlier ones, never back.
 * docs/ARCHITECTURE.md describes each room.
 */
import { globSync, readFileSync } from "node:fs";
import { sep } from "node:path";
import { describe, expect, it } from "vitest";

/** The rooms in order; those of one row do not import from each other. */
const rows = [
  ["base"],
  ["codec", "otlp", "text", "privacy"],
  ["record", "cbad"],
  ["channels", "graph", "llm"],
  ["group"],
  ["stream"],
  ["report"],
  ["recording"],
  ["engine", "wasm"],
  ["binding"],
];
/** Rooms that may import from all others. */
const users = ["test", "fuzz", "bench"];

const rank = new Map(rows.flatMap((row, rank) => row.map((room) => [room, rank] as const)));

function violations(file: string, text: string): string[] {
  const [, room = ""] = file.split("/");
  if (users.includes(room)) return [];
  if (!rank.has(room)) return [`${file} is in no room`];
  const included = [...text.matchAll(/^#include "([^"]+)"/gm)].map(([, path = ""]) => path);
  return included
    .filter((path) => {
      const from = path.split("/")[0] ?? "";
      return from !== room && !((rank.get(from) ?? Number.POSITIVE_INFINITY) < (rank.get(room) ?? 0));
    })
    .map((path) => `${file} includes ${path}`);
}

describe("rooms of native code", () => {
  it("import only from rooms before them", () => {
    const files = globSync("native/**/*.{hpp,cpp,def}").map((file) => file.split(sep).join("/"));
    expect(files.length).toBeGreaterThan(100);
    expect(files.flatMap((file) => violations(file, readFileSync(file, "utf8")))).toEqual([]);
  });

  it.each([
    ["native/otlp/reader.cpp", "base/bytes.hpp", true],
    ["native/text/mask.cpp", "text/mask.hpp", true],
    ["native/text/mask.cpp", "otlp/wire.hpp", false],
    ["native/channels/value/value.cpp", "stream/stream.hpp", false],
    ["native/base/bytes.hpp", "cbad/ncd.hpp", false],
    ["native/engine/engine.cpp", "reader.hpp", false],
    ["native/test/engine_test.cpp", "engine/engine.hpp", true],
  ])("%s may include %s: %s", (file, path, allowed) => {
    expect(violations(file, `#include "${path}"\n`).length === 0).toBe(allowed);
  });

  it("know no file outside of a room", () => {
    expect(violations("native/dbg.hpp", "")).toHaveLength(1);
    expect(violations("native/extra/file.hpp", "")).toHaveLength(1);
  });
});
