/**
 * All hostile senders in a process of their own, so that their work does not slow the honest ones. Argument: the target as
 * JSON. They run until SIGTERM, or until the parent goes away.
 */
import process from "node:process";
import { attacks, type Target } from "./senders.ts";

const target: Target = JSON.parse(process.argv[2]!);
const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());
process.once("disconnect", () => stop.abort());
await Promise.all(Object.values(attacks).map((attack) => attack(target, stop.signal)));
process.exit();
