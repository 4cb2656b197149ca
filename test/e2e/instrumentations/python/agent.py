"""An agent that holds conversations with a real client of OpenAI, which a real instrumentation watches. What the
instrumentation sends goes to a sidecar.

Usage: agent.py SETTINGS, a JSON object with the members below.
"""

import json
import sys

from openai import OpenAI, RateLimitError
from opentelemetry import trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def instrument(name: str) -> None:
    if name == "opentelemetry":
        from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
    elif name == "openinference":
        from openinference.instrumentation.openai import OpenAIInstrumentor
    else:
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor
    OpenAIInstrumentor().instrument()


def hold(client: OpenAI, conversation: dict, system: str, tools: list) -> None:
    """Calls the model until it calls no more tools."""
    messages = [
        {"role": "system", "content": system},
        {"role": "user", "content": conversation["prompt"]},
    ]
    results = list(conversation["results"])
    while True:
        request = {"model": "gpt-fake", "temperature": 0.2, "messages": messages, "tools": tools}
        try:
            if conversation["stream"]:
                message = streamed(client, request)
            else:
                answer = client.chat.completions.create(**request).choices[0].message
                message = answer.model_dump(exclude_none=True, include={"role", "content", "refusal", "tool_calls"})
        except RateLimitError:
            return
        messages.append(message)
        if not message.get("tool_calls"):
            return
        for call in message["tool_calls"]:
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": results.pop(0)})


def streamed(client: OpenAI, request: dict) -> dict:
    message: dict = {"role": "assistant", "content": None}
    chunks = client.chat.completions.create(**request, stream=True, stream_options={"include_usage": True})
    for chunk in chunks:
        if not chunk.choices:
            continue
        delta = chunk.choices[0].delta
        for name in ("content", "refusal"):
            if piece := getattr(delta, name):
                message[name] = (message.get(name) or "") + piece
        for call in delta.tool_calls or []:
            calls = message.setdefault("tool_calls", [])
            if call.id:
                function = {"name": call.function.name, "arguments": call.function.arguments}
                calls.append({"id": call.id, "type": "function", "function": function})
            else:
                calls[call.index]["function"]["arguments"] += call.function.arguments
    return message


def main() -> None:
    settings = json.loads(sys.argv[1])
    with open(settings["plan"], encoding="utf-8") as file:
        plan = json.load(file)
    resource = Resource.create({"service.name": settings["service"]})
    # Batches are complete when they are flushed.
    batch = {"max_queue_size": 65536, "max_export_batch_size": 65536, "schedule_delay_millis": 3_600_000}
    tracing = TracerProvider(resource=resource)
    exporter = OTLPSpanExporter(endpoint=settings["sidecar"] + "/v1/traces")
    tracing.add_span_processor(BatchSpanProcessor(exporter, **batch))
    trace.set_tracer_provider(tracing)
    logging = LoggerProvider(resource=resource)
    logs = OTLPLogExporter(endpoint=settings["sidecar"] + "/v1/logs")
    logging.add_log_record_processor(BatchLogRecordProcessor(logs, **batch))
    set_logger_provider(logging)

    instrument(settings["instrumentation"])
    client = OpenAI(api_key="none", base_url=settings["provider"], max_retries=0)
    tracer = trace.get_tracer("agent")
    for conversation in plan["conversations"]:
        with tracer.start_as_current_span("serve customer"):
            hold(client, conversation, plan["system"], plan["tools"])
        logging.force_flush()
        tracing.force_flush()
    logging.shutdown()
    tracing.shutdown()


main()
