/** How to send some telemetry, to the address at which the dashboard is. */
import { urlOf } from "../api/client.ts";

export function Send() {
  const url = new URL(urlOf("/v1/events"), location.href).href;
  return (
    <>
      <p>
        Point an OpenTelemetry exporter at this process (OTLP over gRPC at port 4317, over HTTP at port 4318
        by default), or send a record by hand:
      </p>
      <pre class="record">{`curl ${url} \\
  -H 'content-type: application/json' \\
  -d '{"service": "checkout", "severity": "info", "body": "order 17 was paid"}'`}</pre>
    </>
  );
}
