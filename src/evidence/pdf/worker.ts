/** The thread that renders documents. */
import { serve } from "../../base/thread.ts";
import { type RenderJob, render } from "./render.ts";

serve<RenderJob, Uint8Array, object>({
  answer: async (job) => new Uint8Array(await render(job)),
  transfer: ({ buffer }) => [buffer as ArrayBuffer],
  toFailure: (error) => ({ message: (error as Error).message }),
});
