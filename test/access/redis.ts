/** A real Redis for a test file, run by scripts/redis.sh. */
import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createClient } from "@redis/client";
import { freePort } from "../free-port.ts";

const script = fileURLToPath(new URL("../../scripts/redis.sh", import.meta.url));

export const skipRedis = process.env.DRIFTLOCK_SKIP_REDIS === "1";

export class Redis {
  readonly port: number;
  readonly #options: readonly string[];
  #child: ChildProcess | undefined;

  private constructor(port: number, options: readonly string[]) {
    this.port = port;
    this.#options = options;
  }

  /** @param options of redis-server */
  static async start(
    options: readonly string[] = [],
    { tls = false, password }: { tls?: boolean; password?: string } = {},
  ): Promise<Redis> {
    const port = await freePort();
    const redis = new Redis(port, [
      ...(tls ? ["--port", "0", "--tls-port", String(port)] : []),
      ...(password === undefined ? [] : ["--requirepass", password]),
      ...options,
    ]);
    await redis.resume();
    return redis;
  }

  /** Starts the server again after `kill`, empty, on the same port. */
  async resume(): Promise<void> {
    const child = spawn(script, [String(this.port), ...this.#options], { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    let said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        said = (said + chunk.toString()).slice(-2_000);
      });
    }
    while (!said.includes("Ready to accept connections")) {
      if (child.exitCode !== null) throw new Error(`Redis did not start: ${said}`);
      await sleep(20);
    }
  }

  /** Kills the server at once, without closing the connections of its clients. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGCONT");
    child.kill("SIGKILL");
    await ended;
  }

  /** Suspends the server: it keeps its connections and answers nothing until `wake`. */
  freeze(): void {
    this.#child?.kill("SIGSTOP");
  }

  wake(): void {
    this.#child?.kill("SIGCONT");
  }

  url(database = 0): string {
    return `redis://127.0.0.1:${this.port}/${database}`;
  }

  /** Runs a command on a connection of its own, unknown to the server's other clients. */
  async ask(...command: string[]): Promise<unknown> {
    const client = createClient({ url: this.url() });
    await client.connect();
    try {
      return await client.sendCommand(command);
    } finally {
      client.destroy();
    }
  }
}
