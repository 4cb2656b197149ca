/** A worker that takes jobs from a queue and logs with pino. A thread of its own judges what it logs. */
import pino from "pino";

const transport = pino.transport({
  targets: [
    { target: "pino/file", options: { destination: "worker.log" } },
    {
      target: "driftlock/pino",
      options: { service: "worker", detect: { baseline: { records: 200 } }, destination: "anomalies.log" },
    },
  ],
});
const logger = pino(transport);

/** Jobs as they come out of a queue: one of them is broken. */
function* jobs() {
  for (let i = 1; i <= 600; i++) yield { id: i, lines: (i * 31) % 97 };
  yield { id: 601, lines: undefined };
}

for (const { id, lines } of jobs()) {
  const log = logger.child({ job: id });
  try {
    const invoice = "position\n".repeat(lines ?? -1);
    log.info(`invoice with ${invoice.length} characters rendered`);
  } catch (error) {
    log.error({ err: error }, "invoice could not be rendered, job goes to the dead letters");
  }
}
transport.end();
