/** A web service that judges its own logs before it exports them. */
import { createServer } from "node:http";
import process from "node:process";
import { SeverityNumber } from "@opentelemetry/api-logs";
import { ProtobufLogsSerializer } from "@opentelemetry/otlp-transformer";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { Engine, parseConfig } from "driftlock/engine";

/** An exporter of the OpenTelemetry SDK that passes every batch through Driftlock's engine. */
class JudgingExporter {
  #engine = new Engine(parseConfig({ detect: { baseline: { records: 200 } } }).detect, {
    mode: "all",
  });

  export(records, done) {
    const request = Buffer.from(ProtobufLogsSerializer.serializeRequest(records));
    this.#engine.process("logs", "default", request).then(
      ({ reports }) => {
        // Beside the reports, `forward` holds the request to send to your backend, with flagged records annotated.
        for (const { message } of reports) {
          if (message.news) console.log(`${message.stream}: ${message.explanation}`);
        }
        done({ code: 0 });
      },
      (error) => done({ code: 1, error }),
    );
  }

  async forceFlush() {}

  shutdown() {
    return this.#engine.close();
  }
}

const logging = new LoggerProvider({
  resource: resourceFromAttributes({ "service.name": "orders" }),
  processors: [new BatchLogRecordProcessor({ exporter: new JudgingExporter(), scheduledDelayMillis: 200 })],
});
const logger = logging.getLogger("orders");

const server = createServer((request, response) => {
  const order = request.url.replace(/^.*\//, "");
  const known = /^\d+$/.test(order);
  if (known) {
    logger.emit({
      severityNumber: SeverityNumber.INFO,
      body: `order ${order} accepted, total ${order % 97} EUR`,
    });
  } else {
    const { stack } = new TypeError(`order number expected, got ${order}`);
    logger.emit({ severityNumber: SeverityNumber.ERROR, body: stack });
  }
  response.writeHead(known ? 200 : 500).end();
});
server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`listening on 127.0.0.1:${server.address().port}`);
});

process.once("SIGINT", async () => {
  server.close();
  server.closeAllConnections();
  await logging.shutdown();
});
