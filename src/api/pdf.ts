import type { FastifyReply } from "fastify";
import { TooManyDocuments } from "../evidence/pdf/index.ts";
import { ApiError } from "./problem.ts";

/** Sends a document as a file of this name. Resolves to the bytes that the handler returns. */
export async function pdfFile(
  reply: FastifyReply,
  name: string,
  render: () => Promise<Uint8Array>,
): Promise<Buffer> {
  let pdf: Uint8Array;
  try {
    pdf = await render();
  } catch (error) {
    if (!(error instanceof TooManyDocuments)) throw error;
    throw new ApiError(503, error.message, { "retry-after": "5" });
  }
  reply.type("application/pdf").header("content-disposition", `attachment; filename="${name}.pdf"`);
  return Buffer.from(pdf);
}
