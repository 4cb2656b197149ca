import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { signals } from "../../src/otlp/protocol.ts";
import { compare } from "./otlp-compare.ts";
import { Dump } from "./otlp-dump.ts";
import { disguise, request, requestSchema } from "./otlp-messages.ts";

let dump: Dump;
beforeAll(() => {
  dump = new Dump();
});
afterAll(async () => {
  expect(await dump.close()).toBe(0);
});

describe.each(signals)("%s, as protobuf-es reads them", (signal) => {
  const requests = (request[signal] as fc.Arbitrary<object>).map((init) => {
    const schema = requestSchema[signal];
    return toBinary(schema, create(schema, init as MessageInitShape<typeof schema>));
  });
  const every = fc.integer({ min: 1, max: 5 });
  const alike = async (bytes: Uint8Array, every: number) => {
    await compare(dump, signal, bytes, every);
  };

  it("are read and spliced alike", async () => {
    await fc.assert(fc.asyncProperty(requests, every, alike));
  });

  it("are read and spliced alike however they are laid out", async () => {
    const layouts = fc
      .tuple(requests, fc.nat())
      .map(([bytes, seed]) => disguise(requestSchema[signal], bytes, seed));
    await fc.assert(fc.asyncProperty(layouts, every, alike), { numRuns: 200 });
  });

  it("are refused, or read, when cut or damaged, and never crash the reader", async () => {
    await fc.assert(
      fc.asyncProperty(requests, fc.nat(), fc.nat(255), fc.boolean(), async (bytes, at, byte, cut) => {
        const damaged = Uint8Array.from(bytes);
        if (damaged.length > 0) damaged[at % damaged.length]! ^= byte;
        const answer = await dump.ask(signal, cut ? bytes.subarray(0, at % (bytes.length + 1)) : damaged, 2);
        if ("error" in answer) expect(answer.error.offset).toBeLessThanOrEqual(bytes.length);
      }),
      { numRuns: 200 },
    );
  });
});
