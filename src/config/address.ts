/** Hosts and ports, and which of them are this machine's. */
import { BlockList, isIP, isIPv6 } from "node:net";
import { hostname, networkInterfaces } from "node:os";

export interface Address {
  /** Without the brackets of IPv6. */
  host: string;
  port: number;
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

const wildcards = new Set(["0.0.0.0", "::"]);

function bare(host: string): string {
  return host.replace(/^\[|\]$/g, "").toLowerCase();
}

/** Of `host:port` or `[v6]:port`. */
export function parseListen(endpoint: string): Address {
  const at = endpoint.lastIndexOf(":");
  return { host: bare(endpoint.slice(0, at)), port: Number(endpoint.slice(at + 1)) };
}

/** Of an http(s) URL. */
export function parseTarget(url: string): Address {
  const { hostname: host, port, protocol } = new URL(url);
  return { host: bare(host), port: port ? Number(port) : protocol === "https:" ? 443 : 80 };
}

export function isLoopback(host: string): boolean {
  if (isIP(host) === 0) return host === "localhost" || host.endsWith(".localhost");
  return loopback.check(host, isIPv6(host) ? "ipv6" : "ipv4");
}

export function isWildcard(host: string): boolean {
  return wildcards.has(host);
}

function isOwn(host: string): boolean {
  if (isLoopback(host) || isWildcard(host) || host === hostname().toLowerCase()) return true;
  return Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === host));
}

/** Two listeners that the system would not let live together, or let shadow each other. Port 0 is any free port. */
export function listenersClash(a: Address, b: Address): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  return (
    a.host === b.host ||
    isWildcard(a.host) ||
    isWildcard(b.host) ||
    (isLoopback(a.host) && isLoopback(b.host))
  );
}

/** A connection to `target` ends at the listener. Names beyond this machine's own are not resolved. */
export function reaches(target: Address, listener: Address): boolean {
  if (target.port !== listener.port || listener.port === 0) return false;
  if (target.host === listener.host) return true;
  if (isWildcard(listener.host)) return isOwn(target.host);
  return isLoopback(listener.host) && (isLoopback(target.host) || isWildcard(target.host));
}
