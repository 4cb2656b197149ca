/**
 * Bounds what API clients may use: the store serves a few of them at a time, in turn, and the memory of answers that
 * were not read yet is limited. A client that sends many requests, or does not read, does not delay others.
 */
import type { FastifyInstance, FastifyRequest } from "fastify";
import { Gate } from "../base/gate.ts";
import { peerOf } from "../base/peer.ts";
import { type Owner, Shares } from "../base/shares.ts";
import { Code, ExportError } from "../otlp/protocol.ts";
import { ApiError } from "./problem.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** The route's answers are small, or bounded in another way, and are not subject to this limit. */
    boundedAnswer?: boolean;
  }
}

const limits = { atOnce: 4, inside: 1_024 };

/** How long after the answer the rest of an unread body is received before the connection is closed. */
const unreadMs = 1_000;

const overloaded = (why: string) => new ApiError(503, why, { "retry-after": "1" });
const untaken = "answers that were not taken yet hold too much memory; take them, and ask again";

interface Asking {
  owner: Owner;
  bytes: number;
  /** Admits the next request; undefined after it was called. */
  leave: (() => void) | undefined;
}

/** @param limit the bytes of all answers that were not read yet */
export function limitAnswers(app: FastifyInstance, limit: number): void {
  const untakenBytes = new Shares(limit);
  const gate = new Gate(limits.atOnce, limits.inside);
  const asking = new WeakMap<FastifyRequest, Asking>();
  const leave = (one: Asking) => {
    one.leave?.();
    one.leave = undefined;
  };
  const hold = (one: Asking, bytes: number) => {
    untakenBytes.take(one.owner, bytes - one.bytes);
    one.bytes = bytes;
  };

  app.addHook("onRequest", async (request) => {
    const { boundedAnswer, scope } = request.routeOptions.config;
    if (boundedAnswer || request.is404) return;
    const peer = peerOf(request.raw.socket.remoteAddress);
    const owner = { peer, tenant: scope && request.principal.tenant };
    if (untakenBytes.room(owner) < 1) throw overloaded(untaken);
    asking.set(request, { owner, bytes: 0, leave: undefined });
  });
  // This runs after the body has arrived: a slow body takes no turn.
  app.addHook("preHandler", async (request, reply) => {
    const one = asking.get(request);
    if (one === undefined) return;
    const gone = new AbortController();
    const end = () => {
      gone.abort(new ExportError(Code.CANCELLED, "the caller closed the connection"));
      leave(one);
      hold(one, 0);
    };
    reply.raw.once("close", end);
    if (request.raw.socket.destroyed) end();
    const { peer, tenant } = one.owner;
    if (tenant === undefined) return;
    one.leave = await gate.enter({ peer, tenant }, gone.signal);
    if (one.leave === undefined) throw overloaded("too many requests wait for the store; try again later");
    if (gone.signal.aborted) leave(one);
  });
  app.addHook("onSend", async (request, _reply, payload) => {
    const one = asking.get(request);
    if (one === undefined) return payload;
    leave(one);
    const bytes = typeof payload === "string" || Buffer.isBuffer(payload) ? Buffer.byteLength(payload) : 0;
    if (untakenBytes.room(one.owner) < bytes) {
      // The problem that is sent instead passes this hook again.
      asking.delete(request);
      throw overloaded(untaken);
    }
    // If the connection has closed meanwhile, nothing is held, and no event would release it.
    if (!request.raw.socket.destroyed) hold(one, bytes);
    return payload;
  });
  app.addHook("onResponse", async ({ raw }) => {
    if (raw.complete) return;
    const cut = setTimeout(() => raw.socket.destroy(), unreadMs).unref();
    raw.once("close", () => clearTimeout(cut));
  });
}
