/** The attributes of resources and spans, by the semantic conventions of OpenTelemetry. */
import { Span_SpanKind as Kind } from "../../gen/opentelemetry/proto/trace/v1/trace_pb.js";
import type { Attribute } from "../wire.ts";
import type { Component, Failure, Host, Instance, Operation } from "./model.ts";

const namespace = "shop";

export function resourceOf({ service, id, pod, host, version }: Instance): Attribute[] {
  return [
    ["service.name", service.name],
    ["service.namespace", namespace],
    ["service.version", version],
    ["service.instance.id", id],
    ["deployment.environment.name", "production"],
    ["host.name", host.name],
    ["k8s.namespace.name", namespace],
    ["k8s.deployment.name", service.name],
    ["k8s.pod.name", pod],
    ["k8s.node.name", host.name],
  ];
}

/** The resource of what a Collector scrapes from a peer. */
export function peerResource({ name, kind, system }: Component): Attribute[] {
  return [
    ["service.name", name],
    ["service.namespace", namespace],
    ["service.instance.id", `${name}-0`],
    ["deployment.environment.name", "production"],
    ["host.name", `${name}-0`],
    [kind === "broker" ? "messaging.system" : "db.system.name", system],
  ];
}

/** The resource of the metrics of a host. */
export function hostResource({ name }: Host): Attribute[] {
  return [
    ["host.name", name],
    ["k8s.node.name", name],
    ["deployment.environment.name", "production"],
  ];
}

export function serverKind({ component: { kind } }: Operation): Kind {
  return kind === "consumer" ? Kind.CONSUMER : kind === "worker" ? Kind.INTERNAL : Kind.SERVER;
}

export function clientKind({ component: { kind } }: Operation): Kind {
  return kind === "broker" ? Kind.PRODUCER : Kind.CLIENT;
}

const httpName = (name: string) => name.split(" ", 2) as [method: string, path: string];

/** Returns the attributes of the spans with which a service answers. */
export function serverAttributes({ component, name }: Operation): Attribute[] {
  const { kind, system, port } = component;
  if (kind === "worker") return [];
  if (kind === "consumer") {
    return [
      ["messaging.system", system],
      ["messaging.operation.name", "process"],
      ["messaging.operation.type", "process"],
      ["messaging.destination.name", name.replace("process ", "")],
      ["messaging.consumer.group.name", component.name],
    ];
  }
  const address: Attribute[] = [
    ["server.address", component.name],
    ["server.port", port],
  ];
  if (system === "grpc") return [["rpc.system.name", "grpc"], ["rpc.method", name], ...address];
  const [method, route] = httpName(name);
  return [["http.request.method", method], ["http.route", route], ["url.scheme", "http"], ...address];
}

/** Returns the attributes of the spans with which a caller waits for an operation. */
export function clientAttributes({ component, name }: Operation): Attribute[] {
  const { kind, system, port, peerAttribute } = component;
  const address: Attribute[] = [
    ["server.address", component.name],
    ["server.port", port],
  ];
  if (peerAttribute) address.push([peerAttribute, component.name]);
  if (kind === "broker") {
    return [
      ["messaging.system", system],
      ["messaging.operation.name", "send"],
      ["messaging.operation.type", "send"],
      ["messaging.destination.name", name.replace("send ", "")],
      ...address,
    ];
  }
  if (kind === "database" || kind === "cache") {
    const [verb, target] = httpName(name);
    return [
      ["db.system.name", system],
      ["db.operation.name", verb],
      ...(kind === "database"
        ? ([
            ["db.namespace", component.name.replace(/-db$/, "")],
            ["db.collection.name", target],
            ["db.query.summary", name],
          ] as const)
        : []),
      ...address,
    ];
  }
  if (system === "grpc") return [["rpc.system.name", "grpc"], ["rpc.method", name], ...address];
  const [method, path] = httpName(name);
  return [["http.request.method", method], ["url.template", path], ...address];
}

const httpStatus: Readonly<Record<string, number>> = {
  timeout: 504,
  UNAVAILABLE: 503,
  DEADLINE_EXCEEDED: 504,
};

/** Returns the attributes that tell how a call ended, for the system that it was made over. */
export function outcome(
  { component: { kind, system } }: Operation,
  failure: Failure | undefined,
): Attribute[] {
  const http = kind !== "worker" && (system === "http" || system === "https");
  const rpc = system === "grpc";
  if (failure === undefined) {
    if (http) return [["http.response.status_code", 200]];
    return rpc ? [["rpc.response.status_code", "OK"]] : [];
  }
  if (http && failure.type !== "timeout") {
    return [
      ["http.response.status_code", httpStatus[failure.type] ?? 500],
      ["error.type", failure.type],
    ];
  }
  if (rpc) {
    const code = failure.type === "timeout" ? "DEADLINE_EXCEEDED" : failure.type;
    const known = /^[A-Z_]+$/.test(code);
    return [
      ["rpc.response.status_code", known ? code : "INTERNAL"],
      ["error.type", known ? code : failure.type],
    ];
  }
  return [["error.type", failure.type]];
}
