/** Maximum size of a response, in bytes. */
const maxSize = 2 ** 20;

/**
 * Fetches a URL and reads the whole body.
 * @throws {Error} if the body is too large.
 */
export async function boundedFetch(url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, init);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > maxSize) throw new Error(`${url} answers with more than ${maxSize} bytes`);
    chunks.push(chunk);
  }
  return new Response(Buffer.concat(chunks), { status: response.status, headers: response.headers });
}
