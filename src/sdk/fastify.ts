/** Driftlock within Fastify. */
import "../base/require-node.ts";
import type { FastifyPluginCallback, FastifyRequest } from "fastify";
import type { Driftlock } from "./driftlock.ts";
import { pushAnswered } from "./http-span.ts";
import { nameOf } from "./observe.ts";
import { sharedDriftlock } from "./shared.ts";

export { Driftlock } from "./driftlock.ts";
export { sharedDriftlock } from "./shared.ts";

/** Options of the plugin. */
export interface DriftlockPluginOptions {
  /** The instance that judges; by default one that all parts of the SDK share. */
  driftlock?: Driftlock;
}

const plugin: FastifyPluginCallback<DriftlockPluginOptions> = (
  app,
  { driftlock = sharedDriftlock() },
  done,
) => {
  const errors = new WeakMap<FastifyRequest, string>();
  app.addHook("onError", (request, _, error, next) => {
    errors.set(request, nameOf(error));
    next();
  });
  app.addHook("onResponse", (request, reply, next) => {
    const status = reply.statusCode;
    pushAnswered(driftlock, {
      method: request.method,
      route: request.routeOptions.url,
      url: request.url,
      status,
      duration: reply.elapsedTime,
      traceparent: request.headers.traceparent,
      // An error of the client is none of the server's.
      error: status >= 500 ? errors.get(request) : undefined,
    });
    next();
  });
  app.addHook("onClose", (_, next) => {
    void driftlock.flush().then(() => next());
  });
  done();
};

/**
 * A plugin that pushes a span for each answered request: its method, route, status, and how long it took. It observes all routes of
 * the instance that registers it.
 */
export const driftlockPlugin: FastifyPluginCallback<DriftlockPluginOptions> = Object.assign(plugin, {
  // As the package fastify-plugin does: the hooks are for the instance that registers the plugin.
  [Symbol.for("skip-override")]: true,
  [Symbol.for("fastify.display-name")]: "driftlock",
});

export default driftlockPlugin;
