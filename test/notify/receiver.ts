/** A receiver of notifications by HTTP on loopback, whose answers a test chooses. */
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";

export interface Arrived {
  url: string;
  headers: IncomingHttpHeaders;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: each channel has its own form, which the tests check
  json: any;
}

export interface Answer {
  status?: number;
  headers?: Record<string, string>;
  body?: string;
  /** It is sent once this resolves. */
  after?: Promise<unknown>;
}

export async function startReceiver(answer: (request: Arrived, index: number) => Answer = () => ({})) {
  const arrived: Arrived[] = [];
  const server = createServer(async (request, response) => {
    const text = Buffer.concat(await request.toArray()).toString("utf8");
    const one = { url: request.url!, headers: request.headers, text, json: JSON.parse(text) };
    const { status = 202, headers = {}, body = "", after } = answer(one, arrived.push(one) - 1);
    await after;
    response.writeHead(status, headers).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    arrived,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
