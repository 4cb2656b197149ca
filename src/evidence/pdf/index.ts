/** Evidence and reports as PDF, rendered one at a time in a thread of its own with bounded memory and time. */
import { Thread } from "../../base/thread.ts";
import type { Report } from "../reports/fill.ts";
import type { RenderJob } from "./render.ts";

const limits = { maxOldGenerationSizeMb: 512 };
const maxMs = 60_000;
const idleMs = 30_000;
/** Further documents wait, and beyond this number they are refused. */
const maxWaiting = 20;

/** Too many documents are waiting to be rendered. */
export class TooManyDocuments extends Error {}

let waiting = 0;
let turn: Promise<unknown> = Promise.resolve();
let thread: Thread<RenderJob, Uint8Array> | undefined;

function startThread(): Thread<RenderJob, Uint8Array> {
  // Its name ends as this file's does, before and after compilation.
  const url = new URL(`./worker${import.meta.url.slice(-3)}`, import.meta.url);
  const toError = ({ message }: { message: string }) =>
    new Error(`the document cannot be rendered: ${message}`);
  return new Thread(url, undefined, toError, { limits, idleMs });
}

function endThread(): void {
  void thread?.close(0);
  thread = undefined;
}

async function inThread(job: RenderJob): Promise<Uint8Array> {
  thread ??= startThread();
  // The thread rejects what it has in work when it ends.
  const late = setTimeout(endThread, maxMs);
  try {
    return await thread.call(job);
  } finally {
    clearTimeout(late);
  }
}

async function queued(job: RenderJob): Promise<Uint8Array> {
  if (waiting >= maxWaiting) throw new TooManyDocuments(`${maxWaiting} documents wait; try again later`);
  waiting += 1;
  const mine = turn.then(() => inThread(job));
  turn = mine.catch(() => {});
  try {
    return await mine;
  } finally {
    waiting -= 1;
  }
}

/**
 * Returns the PDF of an evidence bundle, in which the bundle is embedded. The same bundle gives the same bytes.
 * @param bundle the file of the bundle
 * @throws {TooManyDocuments}
 */
export function renderPdf(bundle: string | Uint8Array): Promise<Uint8Array> {
  return queued({ bundle: typeof bundle === "string" ? bundle : Buffer.from(bundle).toString() });
}

/**
 * Returns the PDF of a report to an authority, with blanks for what a person fills in.
 * @param createdAt RFC 3339
 * @throws {TooManyDocuments}
 */
export function renderReportPdf(report: Report, author: string, createdAt: string): Promise<Uint8Array> {
  return queued({ report, author, createdAt });
}
