/** Opens the dashboard in the browser of whoever starts the sidecar. */
import { spawn } from "node:child_process";
import process from "node:process";
import { urlOf } from "../../base/address.ts";
import type { Logger } from "../../telemetry/log.ts";

/** The program of each platform that opens a URL in the default browser, and its first arguments. */
const openers: Readonly<Partial<Record<NodeJS.Platform, readonly [string, ...string[]]>>> = {
  darwin: ["open"],
  win32: ["rundll32", "url.dll,FileProtocolHandler"],
};

/**
 * Opens the dashboard, without waiting for the browser. If there is none, the log says where the dashboard is.
 * @param address the address of the API as host:port; undefined if it is disabled
 */
export function openDashboard(address: string | undefined, log: Logger): void {
  if (address === undefined) {
    log.warn("--open: there is no dashboard; set api.enabled");
    return;
  }
  const url = `${urlOf(address)}/`;
  const [program, ...args] = openers[process.platform] ?? ["xdg-open"];
  // The browser must neither read from the terminal nor end with this process.
  const child = spawn(program, [...args, url], { stdio: "ignore", detached: true });
  const fail = (reason: string) =>
    log.warn({ url, reason }, `--open: the browser could not be started; the dashboard is at ${url}`);
  child.once("error", ({ message }) => fail(message));
  child.once("exit", (code) => {
    if (code !== 0) fail(`${program} ended with ${code}`);
  });
  child.unref();
}
