import { once } from "node:events";
import process from "node:process";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { listen } from "../../config/schema/values.ts";
import { accessHelp, clientOf } from "../shared/ask.ts";
import { helpText } from "../shared/help.ts";
import { exit, type Io, UsageError } from "../shared/io.ts";
import { readOptions } from "../shared/options.ts";
import { serveHttp } from "./http.ts";
import { mcpServer } from "./tools.ts";

export const help = helpText({
  usage: ["mcp [--url URL] [--key KEY]", "mcp --listen ADDRESS [--url URL]"],
  about: `
Lets programs that speak the Model Context Protocol read from a running Driftlock: incidents with their stories, anomalies with
explanations, what is notable, streams and services. It changes nothing. It serves standard input and output, as programs expect
that start it themselves, or with --listen streamable HTTP at /mcp.

Over HTTP, each caller sends a key or token of its own, as to the API: \`authorization: Bearer dlk_…\`.`,
  options: [
    ["--listen ADDRESS", "serve streamable HTTP at this address, such as 127.0.0.1:8090"],
    ...accessHelp,
  ],
  exit: ["It was stopped, or its caller has closed standard input.", "It cannot listen at the address."],
});

const stopped = () => Promise.race((["SIGTERM", "SIGINT"] as const).map((signal) => once(process, signal)));

export async function run(args: string[], io: Io): Promise<number> {
  const options = readOptions(args, { values: ["listen", "url", "key"] });
  const client = clientOf(options, io);
  const endpoint = options.values.get("listen");
  if (endpoint === undefined) {
    const handle = serveStdio(() => mcpServer(client));
    await Promise.race([once(process.stdin, "close"), once(process.stdin, "end"), stopped()]);
    await handle.close();
    return exit.ok;
  }
  if (!listen.safeParse(endpoint).success) {
    throw new UsageError(
      `--listen must be an address such as 127.0.0.1:8090, is ${JSON.stringify(endpoint)}`,
    );
  }
  if (options.values.has("key")) {
    throw new UsageError(
      "--key is for standard input and output alone: over HTTP, each caller sends its own key",
    );
  }
  const server = await serveHttp(client.url, endpoint);
  io.err(`Serving the Model Context Protocol at ${server.url}; asking ${client.url}\n`);
  await stopped();
  await server.close();
  return exit.ok;
}
