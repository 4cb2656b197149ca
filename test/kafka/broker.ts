/** A real Kafka broker for a test file, run by scripts/kafka.sh. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseConfig } from "../../src/index.ts";
import { freePort } from "../free-port.ts";

const script = fileURLToPath(new URL("../../scripts/kafka.sh", import.meta.url));

export const skipKafka = process.env.DRIFTLOCK_SKIP_KAFKA === "1";

export class Broker {
  readonly folder = mkdtempSync(join(tmpdir(), "driftlock-kafka-"));
  readonly #secure: boolean;
  port = 0;
  #child: ChildProcess | undefined;
  #prefixes = 0;

  private constructor(secure: boolean) {
    this.#secure = secure;
  }

  /** @param secure whether it also takes SASL, at `port + 2`, and TLS, at `port + 3` */
  static async start({ secure = false } = {}): Promise<Broker> {
    const broker = new Broker(secure);
    // The ports after it, which the broker takes as well, may be somebody else's.
    for (let attempt = 1; ; attempt += 1) {
      broker.port = await freePort();
      try {
        await broker.resume();
        return broker;
      } catch (error) {
        if (attempt === 5) throw error;
      }
    }
  }

  /** Starts the broker again after `kill`, with its data, on the same port. */
  async resume(): Promise<void> {
    const child = spawn(script, [this.folder, String(this.port)], {
      env: { ...process.env, ...(this.#secure && { KAFKA_SECURE: "1" }) },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    let said = "";
    let ready = false;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        said = (said + chunk.toString()).slice(-4_000);
        ready ||= said.includes("Kafka Server started");
      });
    }
    while (!ready) {
      if (child.exitCode !== null) throw new Error(`Kafka did not start: ${said}`);
      await sleep(50);
    }
  }

  get pid(): number {
    return this.#child!.pid!;
  }

  /** Kills the broker at once. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Returns a configuration whose topics nobody else uses. */
  config(kafka: object = {}, others: object = {}) {
    this.#prefixes += 1;
    return parseConfig({
      ...others,
      kafka: {
        brokers: [`127.0.0.1:${this.port}`],
        topic_prefix: `t${this.#prefixes}.`,
        partitions: 4,
        replication: 1,
        session_timeout: "1s",
        ...kafka,
      },
    });
  }
}
