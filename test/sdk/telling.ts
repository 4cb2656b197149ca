/** An instance that keeps what is pushed to it, so that tests see the spans and log records that integrations make. */
import { Driftlock, type LogInput, type SpanInput } from "../../src/sdk/index.ts";

/** A real instance, whose records are kept as well. */
export class Telling extends Driftlock {
  readonly spans: SpanInput[] = [];
  readonly records: LogInput[] = [];

  constructor() {
    super({ service: "shop" });
    const { push } = this.logs;
    this.logs.push = (record) => {
      this.records.push(record);
      push(record);
    };
  }

  override span(span: SpanInput): void {
    this.spans.push(span);
    super.span(span);
  }
}
