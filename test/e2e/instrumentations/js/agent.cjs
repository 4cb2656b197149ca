/**
 * An agent that holds conversations with a real client of OpenAI, which a real instrumentation watches. What the instrumentation
 * sends goes to a sidecar, and, judged by the SDK, to a service behind it. Prints what the SDK found, as JSON.
 *
 * Usage: agent.cjs SETTINGS, a JSON object with the members below.
 */
const { AsyncLocalStorageContextManager } = require("@opentelemetry/context-async-hooks");
const { context, logs, metrics } = require("@opentelemetry/api");
const { OTLPLogExporter } = require("@opentelemetry/exporter-logs-otlp-proto");
const { OTLPTraceExporter } = require("@opentelemetry/exporter-trace-otlp-proto");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { BatchLogRecordProcessor, LoggerProvider } = require("@opentelemetry/sdk-logs");
const { BatchSpanProcessor, TracerProvider } = require("@opentelemetry/sdk-trace");

const { instrumentation, service, provider, sidecar, behindSdk, sdk, detect, plan } = JSON.parse(
  process.argv[2],
);
const { conversations, tools, system } = require(plan);

/** The packages of the instrumentations. Without one, the SDK itself observes the client. */
const packages = {
  opentelemetry: "@opentelemetry/instrumentation-openai",
  openinference: "@arizeai/openinference-instrumentation-openai",
  traceloop: "@traceloop/instrumentation-openai",
};

async function main() {
  const { Driftlock, withDriftlock } = await import(`${sdk}/otel/index.js`);
  const { intakeOf } = await import(`${sdk}/driftlock.js`);
  const reports = [];
  const onAnomaly = (report) => reports.push(report);
  const driftlock = new Driftlock({ service, detect, onAnomaly });
  const agent = packages[instrumentation]
    ? instrumented(withDriftlock, driftlock)
    : await observed(driftlock);
  for (const conversation of conversations) await agent.serve(conversation);
  await agent.end();

  await driftlock.flush();
  const { engine } = await intakeOf(driftlock).load();
  const { streams } = await engine.statistics(1000);
  const { judged, errors, dropped } = driftlock.stats();
  await driftlock.close();
  const found = {
    stats: { judged, errors, dropped },
    streams: streams.map(({ key, records, flagged }) => ({ key, records, flagged })),
    reports: reports.map(({ report: _, ...each }) => each),
  };
  console.log(JSON.stringify(found, (_, value) => (typeof value === "bigint" ? Number(value) : value)));
}

/** Returns an agent whose client is instrumented; what is sent goes both ways. */
function instrumented(withDriftlock, driftlock) {
  const spans = (url) => new OTLPTraceExporter({ url: `${url}/v1/traces` });
  const records = (url) => new OTLPLogExporter({ url: `${url}/v1/logs` });
  // Batches are complete when they are flushed: both ways get the same ones.
  const batch = { maxQueueSize: 65_536, maxExportBatchSize: 65_536, scheduledDelayMillis: 3_600_000 };
  const resource = resourceFromAttributes({ "service.name": service });
  const tracing = new TracerProvider({
    resource,
    spanProcessors: [
      new BatchSpanProcessor({ exporter: spans(sidecar), ...batch }),
      new BatchSpanProcessor({ exporter: withDriftlock(spans(behindSdk), driftlock), ...batch }),
    ],
  });
  const logging = new LoggerProvider({
    resource,
    processors: [
      new BatchLogRecordProcessor({ exporter: records(sidecar), ...batch }),
      new BatchLogRecordProcessor({ exporter: withDriftlock(records(behindSdk), driftlock), ...batch }),
    ],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  logs.setGlobalLoggerProvider(logging);

  // An instrumentation patches the client when that is loaded.
  const { OpenAIInstrumentation } = require(packages[instrumentation]);
  const instrumentations = new OpenAIInstrumentation();
  instrumentations.setTracerProvider(tracing);
  // That of OpenTelemetry fails without instruments of metrics.
  instrumentations.setMeterProvider(metrics.getMeterProvider());
  const client = newClient();
  const tracer = tracing.getTracer("agent");
  return {
    async serve(conversation) {
      await tracer.startActiveSpan("serve customer", async (span) => {
        await hold(client, conversation);
        span.end();
      });
      await logging.forceFlush();
      await tracing.forceFlush();
    },
    async end() {
      await logging.shutdown();
      await tracing.shutdown();
    },
  };
}

/** Returns an agent whose client the SDK observes. */
async function observed(driftlock) {
  const { observeOpenAI } = await import(`${sdk}/llm/index.js`);
  let served = 0;
  const client = observeOpenAI(newClient(), { driftlock, conversation: () => `customer ${served}` });
  return {
    async serve(conversation) {
      served += 1;
      await hold(client, conversation);
    },
    async end() {},
  };
}

function newClient() {
  const OpenAI = require("openai");
  return new OpenAI({ apiKey: "none", baseURL: provider, maxRetries: 0 });
}

/** Calls the model until it calls no more tools. */
async function hold(client, { prompt, stream, results }) {
  const messages = [
    { role: "system", content: system },
    { role: "user", content: prompt },
  ];
  const left = [...results];
  for (;;) {
    const request = { model: "gpt-fake", temperature: 0.2, messages, tools };
    let message;
    try {
      message = stream
        ? await streamed(client, request)
        : (await client.chat.completions.create(request)).choices[0].message;
    } catch (error) {
      if (error.status !== 429) throw error;
      return;
    }
    messages.push(message);
    if (!message.tool_calls?.length) return;
    for (const { id } of message.tool_calls) {
      messages.push({ role: "tool", tool_call_id: id, content: left.shift() });
    }
  }
}

async function streamed(client, request) {
  const message = { role: "assistant", content: null };
  const options = { stream: true, stream_options: { include_usage: true } };
  for await (const { choices } of await client.chat.completions.create({ ...request, ...options })) {
    const { content, refusal, tool_calls = [] } = choices[0]?.delta ?? {};
    if (content) message.content = (message.content ?? "") + content;
    if (refusal) message.refusal = (message.refusal ?? "") + refusal;
    for (const { index, ...call } of tool_calls) {
      message.tool_calls ??= [];
      message.tool_calls[index] ??= call;
      if (!call.id) message.tool_calls[index].function.arguments += call.function.arguments;
    }
  }
  return message;
}

main();
