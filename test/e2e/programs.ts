/** Real programs as child processes of a test or a benchmark: started, observed, and ended by their pid. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";

/** Time from SIGTERM to SIGKILL, which is longer than any of the programs takes to drain. */
const graceMs = 20_000;

const running = new Set<Program>();

// A test runner may end without running its hooks.
process.on("exit", () => {
  for (const program of running) program.kill("SIGKILL");
});

export class Program {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #waiting = new Set<() => void>();
  #ended = false;
  /** Standard output and standard error so far. */
  stdout = "";
  stderr = "";
  /** Resolves to the exit code, null after a signal, once all output is here. */
  readonly exit: Promise<number | null>;

  constructor(command: string, args: readonly string[], env: Record<string, string> = {}) {
    this.name = command.slice(command.lastIndexOf("/") + 1);
    this.#child = spawn(command, args, {
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    running.add(this);
    for (const stream of ["stdout", "stderr"] as const) {
      this.#child[stream]!.setEncoding("utf8").on("data", (text: string) => {
        this[stream] += text;
        this.#look();
      });
    }
    this.exit = once(this.#child, "close").then(
      ([code]) => this.#end(code as number | null),
      (error) => {
        this.stderr += String(error);
        return this.#end(null);
      },
    );
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Resolves to the first match in standard output or standard error. */
  said(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = pattern.exec(this.stdout) ?? pattern.exec(this.stderr);
        if (found === null && !this.#ended) return;
        this.#waiting.delete(look);
        if (found !== null) resolve(found);
        else reject(new Error(`${this.name} ended without ${pattern}:\n${this.stdout}${this.stderr}`));
      };
      this.#waiting.add(look);
      look();
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Sends SIGTERM, and SIGKILL if the program does not end. */
  async stop(): Promise<number | null> {
    this.kill("SIGTERM");
    const timer = setTimeout(() => this.kill("SIGKILL"), graceMs);
    const code = await this.exit;
    clearTimeout(timer);
    return code;
  }

  /** @throws {Error} with the program's output if its exit code is not 0. */
  async succeeded(): Promise<string> {
    const code = await this.exit;
    if (code !== 0) throw new Error(`${this.name} ended with ${code}:\n${this.stdout}${this.stderr}`);
    return this.stdout;
  }

  #end(code: number | null): number | null {
    this.#ended = true;
    running.delete(this);
    this.#look();
    return code;
  }

  #look(): void {
    for (const look of this.#waiting) look();
  }
}

/** A TCP relay to a server that can be cut and mended, as a network can. */
export class Relay {
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  #target: string;
  #port = 0;

  private constructor(target: string) {
    this.#target = target;
    this.#server = createServer((near) => {
      const colon = this.#target.lastIndexOf(":");
      const far = connect(Number(this.#target.slice(colon + 1)), this.#target.slice(0, colon));
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from);
        from.on("error", () => {});
        from.once("close", () => {
          this.#sockets.delete(from);
          to.destroy();
        });
        from.pipe(to);
      }
    });
  }

  static async start(target: string): Promise<Relay> {
    const relay = new Relay(target);
    relays.add(relay);
    await relay.#listen(0);
    return relay;
  }

  /** host:port of the relay. */
  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Closes all connections, whatever they carry, and accepts no more. */
  cut(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async resume(target: string): Promise<void> {
    this.#target = target;
    await this.#listen(this.#port);
  }

  async #listen(port: number): Promise<void> {
    this.#server.listen(port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as { port: number }).port;
  }
}

const relays = new Set<Relay>();

/** Stops everything that was started and still runs. */
export async function stopAll(): Promise<void> {
  for (const relay of relays) relay.cut();
  relays.clear();
  await Promise.all([...running].map((program) => program.stop()));
}

/** A port on 127.0.0.1 that was free just now, for programs that cannot report which one they chose. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

/** Calls `check` until it returns a value, which it has to do in time. */
export async function until<T>(what: string, check: () => Promise<T | undefined>, ms = 20_000): Promise<T> {
  const deadline = performance.now() + ms;
  for (;;) {
    const found = await check();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`waited ${ms} ms for ${what}`);
    await sleep(50);
  }
}
