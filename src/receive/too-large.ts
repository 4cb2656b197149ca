import { Code, ExportError } from "../otlp/protocol.ts";

/** A body beyond the limit of whoever reads it. */
export class TooLarge extends ExportError {
  constructor(message: string) {
    super(Code.RESOURCE_EXHAUSTED, message);
  }
}
