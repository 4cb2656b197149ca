import {
  create,
  createRegistry,
  equals,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Signal, signals } from "../../src/otlp.ts";
import { Dump } from "./otlp-dump.ts";
import { type ExportServiceRequest, expectedIndex, expectedSplice } from "./otlp-expected.ts";
import { disguise, request, requestSchema } from "./otlp-messages.ts";

let dump: Dump;
beforeAll(() => {
  dump = new Dump();
});
afterAll(async () => {
  expect(await dump.close()).toBe(0);
});

const registry = createRegistry();

function read(signal: Signal, bytes: Uint8Array): ExportServiceRequest {
  return fromBinary(requestSchema[signal], bytes) as ExportServiceRequest;
}

/** The native reader and splicer against protobuf-es on one request. */
async function compare(signal: Signal, bytes: Uint8Array, every: number): Promise<void> {
  const answer = await dump.ask(signal, bytes, every);
  if ("error" in answer) throw new Error(JSON.stringify(answer.error));
  const message = read(signal, bytes);
  expect(answer.index).toEqual(expectedIndex(message));
  for (const keep of ["all", "edited"] as const) {
    const expected = expectedSplice(signal, message, every, keep);
    const spliced = read(signal, answer[keep]);
    const same = equals(requestSchema[signal], spliced, expected, { unknown: true, registry });
    if (!same) expect(spliced).toEqual(expected);
    expect(same).toBe(true);
  }
}

describe.each(signals)("%s, as protobuf-es reads them", (signal) => {
  const requests = (request[signal] as fc.Arbitrary<object>).map((init) => {
    const schema = requestSchema[signal];
    return toBinary(schema, create(schema, init as MessageInitShape<typeof schema>));
  });
  const every = fc.integer({ min: 1, max: 5 });

  it("are read and spliced alike", async () => {
    await fc.assert(fc.asyncProperty(requests, every, (bytes, every) => compare(signal, bytes, every)));
  });

  it("are read and spliced alike however they are laid out", async () => {
    const layouts = fc
      .tuple(requests, fc.nat())
      .map(([bytes, seed]) => disguise(requestSchema[signal], bytes, seed));
    await fc.assert(
      fc.asyncProperty(layouts, every, (bytes, every) => compare(signal, bytes, every)),
      {
        numRuns: 300,
      },
    );
  });

  it("are refused, or read, when cut or damaged, and never crash the reader", async () => {
    await fc.assert(
      fc.asyncProperty(requests, fc.nat(), fc.nat(255), fc.boolean(), async (bytes, at, byte, cut) => {
        const damaged = Uint8Array.from(bytes);
        if (damaged.length > 0) damaged[at % damaged.length]! ^= byte;
        const answer = await dump.ask(signal, cut ? bytes.subarray(0, at % (bytes.length + 1)) : damaged, 2);
        if ("error" in answer) expect(answer.error.offset).toBeLessThanOrEqual(bytes.length);
      }),
      { numRuns: 300 },
    );
  });
});
