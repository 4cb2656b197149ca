/** What a page shows when it has nothing to show, and why. */
import type { ComponentChildren } from "preact";
import { ApiError, Unreachable } from "../api/client.ts";

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <section class="empty">
      <h2>{title}</h2>
      {children}
    </section>
  );
}

/** The lines of a page that is about to be shown. */
export function Skeleton({ lines = 8 }: { lines?: number }) {
  return (
    <div class="skeleton" aria-busy="true" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, i) => (
        <span key={i} />
      ))}
    </div>
  );
}

/** Why nothing could be loaded, or why what is shown may be old. */
export function Failure({ error, retry, stale }: { error: Error; retry(): void; stale: boolean }) {
  const missing = error instanceof ApiError && error.status === 404;
  const forbidden = error instanceof ApiError && error.status === 403;
  // The frame says so already.
  if (error instanceof Unreachable && stale) return null;
  return (
    <div class={stale ? "notice" : "empty"} role="alert">
      {!stale && <h1>{missing ? "Not found" : forbidden ? "Not permitted" : "This could not be loaded"}</h1>}
      <p>
        {stale && "These are the last known data: "}
        {error.message}
        {/[.!?]$/.test(error.message) ? "" : "."}
      </p>
      {!missing && !forbidden && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}
