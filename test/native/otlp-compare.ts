/** Compares the native reader and splicer with protobuf-es on one request. */
import { createRegistry, equals, fromBinary } from "@bufbuild/protobuf";
import { expect } from "vitest";
import type { Signal } from "../../src/otlp/protocol.ts";
import type { Dump } from "./otlp-dump.ts";
import { type ExportServiceRequest, expectedIndex, expectedSplice, records } from "./otlp-expected.ts";
import { requestSchema } from "./otlp-messages.ts";

const registry = createRegistry();

function read(signal: Signal, bytes: Uint8Array): ExportServiceRequest {
  return fromBinary(requestSchema[signal], bytes) as ExportServiceRequest;
}

/**
 * Expects that both read the same, and that the spliced request reads as the edited message would.
 * @return the number of records in the request
 */
export async function compare(dump: Dump, signal: Signal, bytes: Uint8Array, every: number): Promise<number> {
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
  return records(message).length;
}
