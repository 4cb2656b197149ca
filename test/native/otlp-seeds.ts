/**
 * Writes the fuzzer's seeds, which are always the same: `node test/native/otlp-seeds.ts`. See
 * native/fuzz/otlp_fuzz.cpp.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { signals } from "../../src/otlp/protocol.ts";
import { records } from "./otlp-expected.ts";
import { disguise, request, requestSchema } from "./otlp-messages.ts";

const folder = fileURLToPath(new URL("../../native/fuzz/corpus/otlp/", import.meta.url));
mkdirSync(folder, { recursive: true });
for (const [number, signal] of signals.entries()) {
  const schema = requestSchema[signal];
  const requests = fc
    .sample(request[signal] as fc.Arbitrary<object>, { seed: 1, numRuns: 1000 })
    .map((init) => create(schema, init as MessageInitShape<typeof schema>))
    .filter((message) => records(message).length > 1)
    .map((message) => toBinary(schema, message))
    .filter((bytes) => bytes.length < 1200)
    .slice(0, 6);
  for (const [at, bytes] of requests.entries()) {
    const layout = at % 2 === 0 ? bytes : disguise(schema, bytes, at);
    writeFileSync(`${folder}${signal}-${at}`, Buffer.concat([Buffer.from([number, 0xa0 | at]), layout]));
  }
}
